CREATE EXTENSION IF NOT EXISTS domev; -- a check that it is there: who is no superuser gets a notice, or an error

CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int NOT NULL REFERENCES customers,
    total numeric(10,2) NOT NULL,
    status text NOT NULL DEFAULT 'placed'
);
GRANT SELECT ON customers TO shop_app;
GRANT SELECT, INSERT, UPDATE (status) ON orders TO shop_app;

SELECT domev.create_topic('orders', scope => 'internal', if_not_exists => true);
SELECT domev.create_topic('shop.orders', if_not_exists => true);
SELECT domev.create_event_type('order.placed', 'order', topic => 'orders', if_not_exists => true);
GRANT INSERT ON domev_event."order.placed" TO shop_app;

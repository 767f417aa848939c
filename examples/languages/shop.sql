-- The shop that the examples of all languages use: run it as a superuser, in a database of its own, and let the services connect as shop_app.
CREATE EXTENSION domev;

CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int NOT NULL REFERENCES customers,
    total numeric(10,2) NOT NULL,
    status text NOT NULL DEFAULT 'placed'
);
INSERT INTO customers VALUES (7, 'Ann', 'Lisbon'), (8, 'Ben', 'Porto');

-- What can happen, and what others are told of it.
SELECT domev.create_topic('orders', scope => 'internal');
SELECT domev.create_topic('shop.orders');
SELECT domev.create_event_type('order.placed', 'order', topic => 'orders');
SELECT domev.create_event_type('order.cancelled', 'order', topic => 'orders');

CREATE FUNCTION order_placed_v1(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
BEGIN ATOMIC
    SELECT (domev.make_integration_event('shop.order-placed.v1',
        jsonb_build_object('order', (e).aggregate_id, 'total', (e).payload->'total', 'customer', c.name, 'city', c.city))).*
    FROM customers AS c WHERE c.id = ((e).payload->>'customer')::int;
END;
SELECT domev.create_mapping('order-placed-v1', 'order.placed', 'public.order_placed_v1', topic => 'shop.orders');

-- Who the services are: it writes orders and says what happened to them. It cannot publish, nor read what others are told.
SELECT 'CREATE ROLE shop_app LOGIN' WHERE to_regrole('shop_app') IS NULL \gexec
GRANT SELECT ON customers TO shop_app;
GRANT SELECT, INSERT, UPDATE (status) ON orders TO shop_app;
GRANT INSERT ON domev_event."order.placed", domev_event."order.cancelled" TO shop_app;

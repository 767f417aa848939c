-- What does the shop of this part of the run emit?  Topics with table and with WAL storage; keys of both kinds.
CREATE EXTENSION domev;
SELECT domev.create_topic('orders', scope => 'internal'), domev.create_topic('shop.orders'), domev.create_topic('shop.stock'), domev.create_topic('shop.pictures'),
    domev.create_topic('shop.audit', storage => 'wal'), domev.create_topic('shop.mixed', storage => 'wal');
SELECT domev.create_event_type('order.placed', 'order', topic => 'orders'), domev.create_event_type('order.noted', 'order');

CREATE FUNCTION order_placed(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('shop.order-placed.v1', (e).payload)).*; END;
CREATE FUNCTION stock_taken(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC
        SELECT (domev.make_integration_event('shop.stock-taken.v1', jsonb_build_object('n', (e).payload -> 'n'),
            key => 'product-' || ((e).payload ->> 'n')::int % 7, content_type => 'application/shop+json',
            data_schema => 'https://schemas.shop.example/stock-taken/1')).*
        WHERE (e).payload ? 'n';
    END;
-- Debezium can parse these, and those it cannot.
CREATE FUNCTION order_audited(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('shop.order-placed.v1', (e).payload)).* WHERE NOT (e).payload ? 'mixed'; END;
CREATE FUNCTION order_mixed(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC SELECT (domev.make_integration_event('shop.order-placed.v1', (e).payload)).* WHERE (e).payload ? 'mixed'; END;
CREATE FUNCTION picture_taken(e domev.domain_event) RETURNS SETOF domev.integration_event STABLE
    BEGIN ATOMIC
        SELECT (domev.make_integration_event('shop.picture-taken.v1', NULL, data => decode((e).payload ->> 'picture', 'hex'), content_type => 'image/png')).*
        WHERE (e).payload ? 'picture';
    END;
SELECT domev.create_mapping('orders', 'order.placed', 'public.order_placed', topic => 'shop.orders'),
    domev.create_mapping('stock', 'order.placed', 'public.stock_taken', topic => 'shop.stock'),
    domev.create_mapping('audit', 'order.placed', 'public.order_audited', topic => 'shop.audit'),
    domev.create_mapping('mixed', 'order.placed', 'public.order_mixed', topic => 'shop.mixed'),
    domev.create_mapping('pictures', 'order.placed', 'public.picture_taken', topic => 'shop.pictures'),
    domev.create_mapping('pictures-audit', 'order.placed', 'public.picture_taken', topic => 'shop.audit');

-- One transaction for each order, until somebody has said in the table that it is enough.
CREATE TABLE enough ();
CREATE PROCEDURE place_orders() LANGUAGE plpgsql AS $$
DECLARE n int := 0;
BEGIN
    WHILE NOT EXISTS (SELECT FROM enough) LOOP
        n := n + 1;
        PERFORM domev.emit('order.placed', 'order-' || n % 29, jsonb_build_object('n', n, 'total', 63.10), aggregate_version => n);
        COMMIT;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- What an application does while publishers are tested with real brokers: events of 40 aggregates, each with a row in a ledger of
-- the same transaction. Those with even numbers are in a topic with rows, the others in one of WAL messages.
CREATE EXTENSION domev;
SELECT domev.create_topic('shop.orders', scope => 'internal');
SELECT domev.create_topic('shop.views', scope => 'internal', storage => 'wal');
SELECT domev.create_event_type('order.placed', 'order', topic => 'shop.orders');
SELECT domev.create_event_type('page.viewed', 'page', topic => 'shop.views');
CREATE TABLE aggregates AS SELECT number AS id, 0::bigint AS version FROM generate_series(1, 40) AS number;
CREATE TABLE ledger (id uuid, aggregate int, version bigint);
CREATE FUNCTION happen(aggregate int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v bigint;
BEGIN
    UPDATE aggregates SET version = version + 1 WHERE id = aggregate RETURNING version INTO v;
    INSERT INTO ledger SELECT domev.emit(CASE aggregate % 2 WHEN 0 THEN 'order.placed' ELSE 'page.viewed' END, aggregate,
        jsonb_build_object('total', 63.10, 'note', 'naïve "quoted" '), aggregate_version => v), aggregate, v;
END $$;
SELECT pg_create_logical_replication_slot('publisher', 'domev');

-- What does Debezium need in the database?  Run this once, as a superuser, in a database with domev, before the first event that is to
-- reach Kafka: the slots have what is emitted from here on.
CREATE ROLE debezium LOGIN REPLICATION; -- with a password, or whatever pg_hba.conf asks for
GRANT EXECUTE ON FUNCTION domev.heartbeat() TO debezium;

-- For rows.properties: events of topics with table storage, without what is kept in the journal only.
CREATE PUBLICATION domev_rows FOR TABLE domev.outbox WHERE (topic IS NOT NULL AND data IS NULL)
    WITH (publish = 'insert', publish_via_partition_root);
SELECT pg_create_logical_replication_slot('domev_rows', 'pgoutput');

-- For messages.properties, or messages-unparsed.properties: events of topics with WAL storage.  They are in no publication, but the
-- connector wants one.
CREATE PUBLICATION domev_messages;
SELECT pg_create_logical_replication_slot('domev_messages', 'pgoutput');

-- EventRouter takes columns as they are: what is NULL for "the default" is written out.
CREATE FUNCTION domev_write_out_defaults() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.key := coalesce(NEW.key, NEW.aggregate_id);
    NEW.content_type := coalesce(NEW.content_type, CASE
        WHEN NEW.payload IS NOT NULL THEN 'application/json' WHEN NEW.data IS NOT NULL THEN 'application/octet-stream' END);
    RETURN NEW;
END $$;
CREATE TRIGGER write_out_defaults BEFORE INSERT ON domev.outbox FOR EACH ROW
    WHEN (NEW.key IS NULL OR NEW.content_type IS NULL) EXECUTE FUNCTION domev_write_out_defaults();

-- What does a superuser do, once, before the first migration?  In the database of the shop.
CREATE EXTENSION domev;

SELECT 'CREATE ROLE shop_migrator LOGIN' WHERE to_regrole('shop_migrator') IS NULL \gexec
SELECT 'CREATE ROLE shop_app LOGIN' WHERE to_regrole('shop_app') IS NULL \gexec
GRANT CREATE ON SCHEMA public TO shop_migrator;

-- It may change the registry,
GRANT EXECUTE ON FUNCTION domev.create_topic, domev.alter_topic, domev.drop_topic,
	domev.create_event_type, domev.alter_event_type, domev.drop_event_type,
	domev.create_mapping, domev.alter_mapping, domev.drop_mapping TO shop_migrator;
-- its mappings may take and publish events, also of types and topics that are still to be made, and it may pass the rights on.
ALTER DEFAULT PRIVILEGES IN SCHEMA domev_event, domev_topic GRANT SELECT, INSERT ON TABLES TO shop_migrator WITH GRANT OPTION;

-- Run once in each database, by a superuser: only a superuser can make the extension.  shop_migrator is who migrates, shop_app the service.
CREATE EXTENSION domev;
SELECT 'CREATE ROLE shop_app LOGIN' WHERE to_regrole('shop_app') IS NULL \gexec
SELECT 'CREATE ROLE shop_migrator LOGIN' WHERE to_regrole('shop_migrator') IS NULL \gexec

GRANT USAGE, CREATE ON SCHEMA public TO shop_migrator;
GRANT EXECUTE ON FUNCTION
    domev.create_topic, domev.alter_topic, domev.create_event_type, domev.alter_event_type, domev.create_mapping, domev.alter_mapping, domev.drop_mapping
TO shop_migrator;

-- The views that come with topics and event types are the extension owner's: let shop_migrator, who has them made, emit, publish, and grant both.
ALTER DEFAULT PRIVILEGES IN SCHEMA domev_event, domev_topic GRANT SELECT, INSERT ON TABLES TO shop_migrator WITH GRANT OPTION;

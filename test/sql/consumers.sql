-- Consumers: names that belong to roles.
CREATE EXTENSION domev;
CREATE ROLE regress_domev_shop;
CREATE ROLE regress_domev_app IN ROLE regress_domev_shop;
CREATE ROLE regress_domev_other;
GRANT EXECUTE ON FUNCTION domev.create_consumer, domev.alter_consumer, domev.drop_consumer TO regress_domev_app, regress_domev_other;

SELECT domev.create_consumer('mine');
SELECT domev.create_consumer('mine');
SELECT domev.create_consumer('mine', if_not_exists => true);
SELECT domev.create_consumer('shop', owner => 'regress_domev_shop', description => 'the shop');
SELECT domev.create_consumer(NULL);
SELECT domev.create_consumer('');
SELECT domev.create_consumer(repeat('x', 64));
SELECT domev.create_consumer(E'a\nb');
SELECT domev.create_consumer('later', poll_since => 'infinity');
SELECT domev.create_consumer('nobody', owner => 4294967294::oid::regrole);
SELECT consumer, owner = current_user::regrole AS own, description FROM domev.consumers ORDER BY 1;

-- who has the owner's rights
SET ROLE regress_domev_app;
SELECT domev.receive('shop', 'a');
SELECT domev.create_consumer('app');
SELECT domev.create_consumer('app2', owner => 'regress_domev_shop');
SELECT domev.create_consumer('app3', owner => 'regress_domev_other');
SELECT consumer, owner FROM domev.consumers WHERE consumer <> 'mine' ORDER BY 1;
SELECT domev.alter_consumer('app', owner => 'regress_domev_other');
SELECT domev.drop_consumer('app2');
-- and who has not
SET ROLE regress_domev_other;
SELECT domev.receive('shop', 'b');
SELECT domev.poll('shop');
SELECT domev.ack('shop', '0000000000000001.0000000000000000');
SELECT domev.alter_consumer('shop', description => 'stolen');
SELECT domev.alter_consumer('shop', owner => 'regress_domev_other');
SELECT domev.drop_consumer('shop');
SELECT domev.receive('mine', 'b');
SELECT * FROM domev.inbox;
DELETE FROM domev.consumers;
UPDATE domev.poll_consumers SET position = '0';
SELECT domev.purge_inbox('0');
RESET ROLE;
-- without a GRANT nobody registers
REVOKE EXECUTE ON FUNCTION domev.create_consumer FROM regress_domev_other;
SET ROLE regress_domev_other;
SELECT domev.create_consumer('other');
RESET ROLE;

-- changes
SELECT domev.alter_consumer('shop', owner => 'regress_domev_other', poll_since => now());
SELECT c.owner, c.description, p.position IS NOT NULL AS polls FROM domev.consumers AS c LEFT JOIN domev.poll_consumers AS p USING (consumer) WHERE consumer = 'shop';
SELECT domev.alter_consumer('shop', reset => '{description, poll_since}');
SELECT c.owner, c.description, p.position IS NOT NULL AS polls FROM domev.consumers AS c LEFT JOIN domev.poll_consumers AS p USING (consumer) WHERE consumer = 'shop';
SELECT domev.alter_consumer('shop', reset => '{owner}');
SELECT domev.alter_consumer('none');
SELECT domev.alter_consumer(NULL);
-- dropped with what it has received; one of the same name starts anew
SELECT domev.receive('shop', 'a'), domev.receive('mine', 'a');
SELECT domev.drop_consumer('shop');
SELECT domev.drop_consumer('shop');
SELECT domev.drop_consumer('shop', if_exists => true);
SELECT domev.drop_consumer(NULL);
SELECT domev.create_consumer('shop');
SELECT domev.receive('shop', 'a'), domev.receive('mine', 'a');

-- a role that was dropped leaves consumers that a superuser can give away
DROP OWNED BY regress_domev_other;
SELECT domev.create_consumer('left', owner => 'regress_domev_other');
DROP ROLE regress_domev_other;
SELECT domev.alter_consumer('left', owner => 'regress_domev_shop');
SELECT owner FROM domev.consumers WHERE consumer = 'left';

DROP EXTENSION domev;
DROP ROLE regress_domev_app, regress_domev_shop;

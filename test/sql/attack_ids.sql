-- Ids that callers of emit give: one role's claim against another's event.
CREATE EXTENSION domev;
CREATE ROLE regress_evil;
CREATE ROLE regress_app;
SELECT domev.create_event_type('own', 'a'), domev.create_event_type('payments.Paid', 'payment');
GRANT INSERT ON domev_event.own TO regress_evil;
GRANT INSERT ON domev_event."payments.Paid" TO regress_app;

-- what may not be emitted claims nothing
SET ROLE regress_evil;
SELECT domev.emit('payments.Paid', 'x', event_id => '00000000-0000-0000-0000-000000000001');
INSERT INTO domev_event."payments.Paid" (event_id, aggregate_id) VALUES ('00000000-0000-0000-0000-000000000001', 'x');
SELECT domev.emit('none', 'x', event_id => '00000000-0000-0000-0000-000000000001');
SELECT count(*) FROM domev.preview('own', 'x', event_id => '00000000-0000-0000-0000-000000000001');
BEGIN;
SELECT domev.emit('own', 'x', event_id => '00000000-0000-0000-0000-000000000001');
ROLLBACK;
SELECT * FROM domev.idempotency;
INSERT INTO domev.idempotency VALUES ('00000000-0000-0000-0000-000000000001');
SET ROLE regress_app;
SELECT domev.emit('payments.Paid', 'genuine', event_id => '00000000-0000-0000-0000-000000000001');
RESET ROLE;
SELECT event_type, aggregate_id FROM domev.outbox;

-- what may be emitted claims its id for its own event type; an event of another one is refused, not swallowed
SET ROLE regress_evil;
SELECT domev.emit('own', 'x', event_id => '00000000-0000-0000-0000-000000000002');
SET ROLE regress_app;
SELECT domev.emit('payments.Paid', 'swallowed', event_id => '00000000-0000-0000-0000-000000000002');
RESET ROLE;
SELECT event_type, aggregate_id FROM domev.outbox ORDER BY recorded_at;

SET client_min_messages = warning;
DROP EXTENSION domev CASCADE;
DROP ROLE regress_evil, regress_app;

-- What must go on in the new database, by the roles that did it in the old one; its events' subjects say which.
SET ROLE move_owner;
INSERT INTO app.orders VALUES (7, 'new', 'x'), (7000000, 'new', 'y');
UPDATE app.orders SET status = 'again' WHERE id = 7;
UPDATE app.orders SET status = 'it''s \ "none"' WHERE id = 7000000;
DELETE FROM app.orders WHERE id = 7000000;
INSERT INTO app.documents VALUES ('new d', 'Odd "name" é', '{}');
SELECT domev.emit('order.placed', 'command', event_id => '00000000-0000-0000-0000-000000000001');
RESET ROLE;

-- Which values must arrive as they are?  And what must not arrive?
SELECT domev.emit('order.placed', 'Größe 🚲', '{"text": "Straße 東京 \"quoted\" \\ \u000a", "empty": "", "nothing": null}');
SELECT domev.emit('order.placed', 'numbers', '{"big": 9007199254740993, "small": -1, "half": 0.5, "true": true, "list": [1, 2, 3], "lists": [{"a": 1}, {"a": 2}], "empty": [], "none": {}, "price": 63.10}');
SELECT domev.emit('order.placed', 'mixed', '{"mixed": [1, 1.5, "x", null, {}], "big": 12345678901234567890}');
SELECT domev.emit('order.placed', 'picture', '{"picture": "89504e470d0a1a0a00ff"}');
BEGIN;
SET LOCAL domev.context = '{"tenant": "acme", "attempt": 2, "test": true, "causationid": "0190163d-8694-739b-aea5-966c26f8ad90"}';
SELECT domev.emit('order.placed', 'headers', '{"n": 1}', headers => '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}');
SELECT domev.emit('order.placed', 'headers', '{"n": 2}');
COMMIT;
-- Bigger than a page and than what is kept in line.
SELECT domev.emit('order.placed', 'long', jsonb_build_object('text', repeat('0123456789abcdef', 20000)));

SELECT domev.emit('order.noted', 'kept in the journal only');
BEGIN;
SELECT domev.emit('order.placed', 'rolled back');
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT domev.emit('order.placed', 'rolled back to a savepoint');
ROLLBACK TO a;
SELECT domev.emit('order.placed', 'after a savepoint');
COMMIT;
SELECT pg_logical_emit_message(true, 'somebody', '{"id": "else"}');
SELECT pg_logical_emit_message(false, 'somebody', 'else');
-- What was emitted until now, for whoever takes the replays of "kafka", and for others.
CALL domev.replay('kafka', topics => '{shop.stock}');
CALL domev.replay('others', topics => '{shop.stock}');

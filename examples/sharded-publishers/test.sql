-- After the page's blocks: six events, and six slots instead of four.
CREATE TEMP VIEW received AS
SELECT shard, data::jsonb AS e
FROM generate_series(0, 5) AS shard,
	pg_logical_slot_peek_changes(format('publisher_%s_of_6', shard), NULL, NULL, 'shard', shard || '/6');

SELECT CASE WHEN (count(*) = 6 AND count(DISTINCT confirmed_flush_lsn) = 1 AND count(DISTINCT restart_lsn) = 1 AND bool_and(slot_name ~ '^publisher_\d_of_6$'))
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - six slots at one position, and no other'
FROM pg_replication_slots WHERE database = current_database();
SELECT CASE WHEN (count(*) = 6 AND count(DISTINCT e->>'partitionkey') = 6)
	IS TRUE THEN 'ok' ELSE 'not ok' END || ' - all that the four had not published, each once'
FROM received;

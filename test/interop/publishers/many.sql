-- More events than a publisher may have on their way, in one transaction, of an aggregate whose other events go on.
WITH many AS (SELECT 10000 AS many), aggregate AS (UPDATE aggregates SET version = version + many FROM many WHERE id = 1 RETURNING version)
INSERT INTO ledger
SELECT domev.emit('page.viewed', 1, jsonb_build_object('note', repeat('x', 4000)), aggregate_version => v), 1, v
FROM aggregate, many, generate_series(version - many + 1, version) AS v;

-- Subject keys on PostgreSQL: the keys themselves are elsewhere, here is which of them were destroyed.

-- name: list_destroyed_keys :many
-- Those of some keys whose destruction is on record; by the primary key, as ranges for the reason given in events.sql.
SELECT d.key_id
FROM unnest(CAST(:key_ids AS text[])) AS g (key_id)
CROSS JOIN LATERAL (
    SELECT k.key_id FROM aureus.destroyed_keys AS k
    WHERE k.tenant_id = :tenant_id AND k.key_id BETWEEN g.key_id AND g.key_id
    ORDER BY k.key_id
    LIMIT 1) AS d;

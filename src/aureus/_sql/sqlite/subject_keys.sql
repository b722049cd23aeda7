-- Subject keys on SQLite: the keys themselves are elsewhere, here is which of them were destroyed.

-- name: list_destroyed_keys :many
-- Those of some keys whose destruction is on record; by the primary key.
SELECT d.key_id
FROM json_each(:key_ids) AS g
CROSS JOIN aureus.destroyed_keys AS d ON d.tenant_id = :tenant_id AND d.key_id = g.value;

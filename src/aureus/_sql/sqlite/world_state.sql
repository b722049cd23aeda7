-- World state on SQLite: a write is a script whose first statement is the guarded write of the key's row; the SELECT at
-- its end answers a repeated call too.

-- name: set_world_state :one
-- key: scope, key
-- records
-- Give a key a value. No row: the expected version is not the current one.
INSERT INTO aureus.world_state AS w
    (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
SELECT :tenant_id, :scope, :key, 1, :value, false, :operation_id, :now, :now
WHERE (coalesce(:expected_version, 0) = 0 OR EXISTS (
    SELECT 1 FROM aureus.world_state AS k
    WHERE k.tenant_id = :tenant_id AND k.scope = :scope AND k.state_key = :key))
  AND NOT EXISTS (
    SELECT 1 FROM aureus.world_state_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id)
ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET
    version = w.version + 1, value = excluded.value, is_deleted = false, operation_id = excluded.operation_id,
    created_at = CASE WHEN w.is_deleted THEN excluded.created_at ELSE w.created_at END,
    updated_at = excluded.updated_at
WHERE :expected_version IS NULL OR :expected_version = CASE WHEN w.is_deleted THEN 0 ELSE w.version END
RETURNING version;
INSERT INTO aureus.world_state_versions (tenant_id, scope, state_key, version, value, operation_id, created_at)
SELECT :tenant_id, w.scope, w.state_key, w.version, w.value, w.operation_id, w.updated_at
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key;
SELECT v.state_key, v.version, v.value, v.created_at
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id;

-- name: increment_world_state :one
-- key: scope, key
-- records
-- Add to a whole number; a key that is not there counts as 0. No row: the value is no whole number, or the sum is none
-- that can be stored.
INSERT INTO aureus.world_state AS w
    (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
SELECT :tenant_id, :scope, :key, 1, CAST(:amount AS TEXT), false, :operation_id, :now, :now
WHERE NOT EXISTS (
    SELECT 1 FROM aureus.world_state_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id)
ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET
    version = w.version + 1,
    value = CAST(CASE WHEN w.is_deleted THEN 0 ELSE w.value ->> '$' END + :amount AS TEXT),
    is_deleted = false, operation_id = excluded.operation_id,
    created_at = CASE WHEN w.is_deleted THEN excluded.created_at ELSE w.created_at END,
    updated_at = excluded.updated_at
WHERE w.is_deleted
   OR (json_type(w.value) = 'integer' AND typeof((w.value ->> '$') + :amount) = 'integer')
RETURNING version;
INSERT INTO aureus.world_state_versions (tenant_id, scope, state_key, version, value, operation_id, created_at)
SELECT :tenant_id, w.scope, w.state_key, w.version, w.value, w.operation_id, w.updated_at
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key;
SELECT v.state_key, v.version, v.value, v.created_at
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id;

-- name: delete_world_state :one
-- key: scope, key
-- records
-- Take a key's value away; its version goes on counting. No row: it is not there, or at another version.
UPDATE aureus.world_state AS w SET version = w.version + 1, value = NULL, is_deleted = true,
    operation_id = :operation_id, updated_at = :now
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key AND NOT w.is_deleted
  AND (:expected_version IS NULL OR :expected_version = w.version)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.world_state_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id)
RETURNING version;
INSERT INTO aureus.world_state_versions (tenant_id, scope, state_key, version, value, operation_id, created_at)
SELECT :tenant_id, w.scope, w.state_key, w.version, NULL, w.operation_id, w.updated_at
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key;
SELECT v.version
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id
  AND v.value IS NULL;

-- name: rewrite_keys :many
-- records
-- Give many keys values as their next versions, no value to those given as null; one row for each. A key that this
-- operation has written before has none. Within a transaction that has seen the keys.
INSERT INTO aureus.world_state AS w
    (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
SELECT :tenant_id, :scope, g.value ->> 'key', 1, g.value ->> 'value', g.value ->> 'value' IS NULL, :operation_id, :now,
    :now
FROM json_each(:values) AS g
WHERE NOT EXISTS (
    SELECT 1 FROM aureus.world_state_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = g.value ->> 'key'
      AND v.operation_id = :operation_id)
ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET
    version = w.version + 1, value = excluded.value, is_deleted = excluded.is_deleted,
    operation_id = excluded.operation_id,
    created_at = CASE WHEN w.is_deleted THEN excluded.created_at ELSE w.created_at END,
    updated_at = excluded.updated_at
RETURNING state_key;
INSERT INTO aureus.world_state_versions (tenant_id, scope, state_key, version, value, operation_id, created_at)
SELECT :tenant_id, w.scope, w.state_key, w.version, w.value, w.operation_id, w.updated_at
FROM json_each(:values) AS g
CROSS JOIN aureus.world_state AS w
    ON w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = g.value ->> 'key'
WHERE w.operation_id = :operation_id
ON CONFLICT DO NOTHING;

-- name: list_versions_of_keys :many
-- The current versions of some keys.
SELECT w.state_key, w.version
FROM json_each(:keys) AS k
JOIN aureus.world_state AS w ON w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = k.value
WHERE NOT w.is_deleted;

-- name: list_written_values :many
-- The values that certain operations gave to keys; served by world_state_versions_operation.
SELECT v.state_key, v.version, v.value, v.created_at
FROM json_each(:wanted) AS g
CROSS JOIN aureus.world_state_versions AS v
  ON v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = g.value ->> 'key'
  AND v.operation_id = g.value ->> 'operation_id';

-- name: hold_keys :many
-- records
-- Hold keys until the transaction ends, whose old versions are about to go.
UPDATE aureus.world_state SET updated_at = updated_at
WHERE tenant_id = :tenant_id AND scope = :scope AND state_key IN (SELECT g.value FROM json_each(:keys) AS g)
RETURNING state_key;

-- name: empty_versions :many
-- Take the values of versions away by a record whose event was appended before; a trigger looks for it.
UPDATE aureus.world_state_versions SET value = NULL, erasure_record_id = :record_id
WHERE tenant_id = :tenant_id AND scope = :scope AND (state_key, version) IN (
    SELECT g.value ->> 0, g.value ->> 1 FROM json_each(:versions) AS g)
RETURNING version;

-- name: delete_versions :many
-- Delete versions whose values went by a record of pruning.
DELETE FROM aureus.world_state_versions
WHERE tenant_id = :tenant_id AND scope = :scope AND (state_key, version) IN (
    SELECT g.value ->> 0, g.value ->> 1 FROM json_each(:versions) AS g) AND erasure_record_id = :record_id
RETURNING version;

-- World state: versioned keys in scopes. Every write begins with the key's row and leaves a row in
-- world_state_versions, by which a repeated call is known, however much followed it.

-- name: get_world_state :one
-- The current value of a key.
SELECT w.state_key, w.version, w.value, w.updated_at
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key AND NOT w.is_deleted;

-- name: get_world_state_standing :one
-- Where a key stands that a write was refused for: its version, whether it is deleted, and its value.
SELECT w.version, w.is_deleted, w.value
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key;

-- name: get_world_state_version :one
-- A value that a key had.
SELECT v.state_key, v.version, v.value, v.created_at
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.version = :version;

-- name: get_world_state_of_operation :one
-- What an earlier attempt at the same call has written.
SELECT v.state_key, v.version, v.value, v.created_at
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.operation_id = :operation_id;

-- name: list_world_state_versions :many
-- The values that a key had, newest first.
SELECT v.state_key, v.version, v.value, v.created_at
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.version < :before_version
ORDER BY v.version DESC
LIMIT :limit;

-- name: list_world_state :many
-- The keys of a scope with their values, in order, from one key up to another.
SELECT w.state_key, w.version, w.value, w.updated_at
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key > :after_key AND w.state_key >= :first_key
  AND w.state_key < :end_key AND NOT w.is_deleted
ORDER BY w.state_key
LIMIT :limit;

-- name: list_world_state_keys :many
-- The keys of a scope that have a value, in order, from one key up to another; their values may be a megabyte each.
SELECT w.state_key
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key > :after_key AND w.state_key >= :first_key
  AND w.state_key < :end_key AND NOT w.is_deleted
ORDER BY w.state_key
LIMIT :limit;

-- name: lock_world_state :one
-- key: scope, key
-- Hold a key until the transaction ends, also one that is not there yet; version 0 is what was never written.
INSERT INTO aureus.world_state AS w
    (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
VALUES (:tenant_id, :scope, :key, 0, NULL, true, '', :now, :now)
ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET updated_at = w.updated_at
RETURNING version, is_deleted, value;

-- name: count_world_state_versions :one
-- How many values the keys of a scope have had of which events tell: deletions included, and not what was erased.
SELECT count(*) FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.erasure_record_id IS NULL;

-- name: get_key_remains :one
-- Whether a key has, or ever had, a value that was not erased.
SELECT w.value IS NOT NULL OR EXISTS (
    SELECT 1 FROM aureus.world_state_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.value IS NOT NULL)
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key;

-- name: empty_key :one
-- Take the current value of a key away, and hold the key until the transaction ends; its version stands.
UPDATE aureus.world_state SET value = NULL, is_deleted = true
WHERE tenant_id = :tenant_id AND scope = :scope AND state_key = :key
RETURNING version;

-- name: count_key_values :one
-- How many values a key that is held ever had.
SELECT count(*) FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND v.state_key = :key AND v.value IS NOT NULL;

-- name: empty_key_versions :many
-- Take every value that a key had away, by a record whose event was appended before; a trigger looks for it.
UPDATE aureus.world_state_versions SET value = NULL, erasure_record_id = :record_id
WHERE tenant_id = :tenant_id AND scope = :scope AND state_key = :key AND value IS NOT NULL
RETURNING version;

-- name: get_pruning :one
-- What an event tells of a batch of pruning, if this very batch was carried out before; by its identifier, whose order
-- leaves no other way.
SELECT p.payload
FROM aureus.events AS e
JOIN aureus.event_payloads AS p ON p.tenant_id = e.tenant_id AND p.entry_no = e.entry_no
WHERE e.tenant_id = :tenant_id AND e.event_id BETWEEN :record_id AND :record_id
  AND CASE WHEN e.type = 'world_state_pruned' THEN 1 END IS NOT NULL
ORDER BY e.event_id
LIMIT 1;

-- name: list_prunable_versions :many
-- Versions of keys behind a place, by key and number, that are neither among the newest ones, nor younger than a time,
-- nor named by a snapshot; by the primary key, and snapshot_parts_key.
SELECT v.state_key, v.version, v.erasure_record_id IS NULL
FROM aureus.world_state_versions AS v
WHERE v.tenant_id = :tenant_id AND v.scope = :scope AND (v.state_key, v.version) > (:after_key, :after_version)
  AND CASE WHEN v.created_at < :before_at
    AND v.version <= (
      SELECT w.version FROM aureus.world_state AS w
      WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = v.state_key) - :keep_newest
    AND NOT EXISTS (
      SELECT 1 FROM aureus.snapshot_parts AS p
      WHERE p.tenant_id = :tenant_id AND p.kind = 'world_state' AND p.place = :scope AND p.name = v.state_key
        AND p.version = v.version) THEN 1 END IS NOT NULL
ORDER BY v.state_key, v.version
LIMIT (SELECT CAST(:limit AS bigint));

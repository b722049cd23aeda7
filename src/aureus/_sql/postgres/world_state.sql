-- World state on PostgreSQL: a write is one statement that begins with the guarded write of the key's row.

-- part: of_operation
-- The version that an operation gave a key, by world_state_versions_operation: a range of one in its order. By equality
-- the primary key would serve as well before there are statistics, which reads every version of the key.
SELECT o.* FROM aureus.world_state_versions AS o
    WHERE o.tenant_id = :tenant_id AND o.operation_id >= ''
      AND (o.operation_id, o.scope, o.state_key) BETWEEN (:operation_id, :scope, :key) AND (:operation_id, :scope, :key)
    ORDER BY o.operation_id, o.scope, o.state_key
    LIMIT 1

-- name: get_world_state_of_operation :one
-- What an earlier attempt at the same call has written.
SELECT v.state_key, v.version, v.value, v.created_at
FROM (<<of_operation>>) AS v;

-- name: set_world_state :one
-- key: scope, key
-- records
-- Give a key a value. No row: the expected version is not the current one.
WITH written AS (
    INSERT INTO aureus.world_state AS w
        (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
    SELECT :tenant_id, :scope, :key, 1, CAST(:value AS json), false, :operation_id, CAST(:now AS timestamptz),
        CAST(:now AS timestamptz)
    WHERE (coalesce(CAST(:expected_version AS bigint), 0) = 0 OR EXISTS (
        SELECT FROM aureus.world_state AS k
        WHERE k.tenant_id = :tenant_id AND k.scope = :scope AND k.state_key = :key))
      AND NOT EXISTS (
        SELECT FROM (<<of_operation>>) AS v)
    ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET
        version = w.version + 1, value = excluded.value, is_deleted = false, operation_id = excluded.operation_id,
        created_at = CASE WHEN w.is_deleted THEN excluded.created_at ELSE w.created_at END,
        updated_at = excluded.updated_at
    WHERE CAST(:expected_version AS bigint) IS NULL
       OR CAST(:expected_version AS bigint) = CASE WHEN w.is_deleted THEN 0 ELSE w.version END
    RETURNING w.state_key, w.version, w.updated_at
), kept AS (
    INSERT INTO aureus.world_state_versions
        (tenant_id, scope, state_key, version, value, operation_id, created_at)
    SELECT :tenant_id, :scope, :key, written.version, CAST(:value AS json), :operation_id, written.updated_at
    FROM written
)
SELECT written.state_key, written.version, CAST(NULL AS json), written.updated_at,
    set_config('aureus.mark', :mark, true)
FROM written
UNION ALL
SELECT v.state_key, v.version, v.value, v.created_at, NULL
FROM (<<of_operation>>) AS v
WHERE NOT EXISTS (SELECT FROM written);

-- name: increment_world_state :one
-- key: scope, key
-- records
-- Add to a whole number; a key that is not there counts as 0. No row: the value is no whole number, or the sum is none
-- that can be stored.
WITH written AS (
    INSERT INTO aureus.world_state AS w
        (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
    SELECT :tenant_id, :scope, :key, 1, to_json(CAST(:amount AS bigint)), false, :operation_id,
        CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    WHERE NOT EXISTS (
        SELECT FROM (<<of_operation>>) AS v)
    ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET
        version = w.version + 1,
        value = to_json(CASE WHEN w.is_deleted THEN 0 ELSE CAST(CAST(w.value AS text) AS numeric) END
            + CAST(:amount AS bigint)),
        is_deleted = false, operation_id = excluded.operation_id,
        created_at = CASE WHEN w.is_deleted THEN excluded.created_at ELSE w.created_at END,
        updated_at = excluded.updated_at
    WHERE CASE WHEN w.is_deleted THEN true WHEN CAST(w.value AS text) ~ '^-?[0-9]+$'
        THEN CAST(CAST(w.value AS text) AS numeric) + CAST(:amount AS bigint)
            BETWEEN -9223372036854775808 AND 9223372036854775807
        ELSE false END
    RETURNING w.state_key, w.version, w.value, w.updated_at
), kept AS (
    INSERT INTO aureus.world_state_versions
        (tenant_id, scope, state_key, version, value, operation_id, created_at)
    SELECT :tenant_id, :scope, :key, written.version, written.value, :operation_id, written.updated_at
    FROM written
)
SELECT written.state_key, written.version, written.value, written.updated_at, set_config('aureus.mark', :mark, true)
FROM written
UNION ALL
SELECT v.state_key, v.version, v.value, v.created_at, NULL
FROM (<<of_operation>>) AS v
WHERE NOT EXISTS (SELECT FROM written);

-- name: delete_world_state :one
-- key: scope, key
-- records
-- Take a key's value away; its version goes on counting. No row: it is not there, or at another version.
WITH written AS (
    UPDATE aureus.world_state AS w SET version = w.version + 1, value = NULL, is_deleted = true,
        operation_id = :operation_id, updated_at = CAST(:now AS timestamptz)
    WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = :key AND NOT w.is_deleted
      AND (CAST(:expected_version AS bigint) IS NULL OR CAST(:expected_version AS bigint) = w.version)
      AND NOT EXISTS (
        SELECT FROM (<<of_operation>>) AS v)
    RETURNING w.version, w.updated_at
), kept AS (
    INSERT INTO aureus.world_state_versions
        (tenant_id, scope, state_key, version, value, operation_id, created_at)
    SELECT :tenant_id, :scope, :key, written.version, NULL, :operation_id, written.updated_at
    FROM written
)
SELECT written.version, set_config('aureus.mark', :mark, true) FROM written
UNION ALL
SELECT v.version, NULL
FROM (<<of_operation>>) AS v
WHERE v.value IS NULL AND NOT EXISTS (SELECT FROM written);

-- name: rewrite_keys :many
-- records
-- Give many keys values as their next versions, no value to those given as null; one row for each. A key that this
-- operation has written before has none. Within a transaction that has seen the keys: whoever changed one since lets it
-- fail.
WITH given AS MATERIALIZED (
    SELECT g."key", g.value FROM json_to_recordset(CAST(:values AS json)) AS g ("key" text, value text)
), written AS (
    INSERT INTO aureus.world_state AS w
        (tenant_id, scope, state_key, version, value, is_deleted, operation_id, created_at, updated_at)
    SELECT :tenant_id, :scope, g."key", 1, CAST(g.value AS json), g.value IS NULL, :operation_id,
        CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    FROM given AS g
    WHERE NOT EXISTS (
        SELECT FROM (
            SELECT o.version FROM aureus.world_state_versions AS o
            WHERE o.tenant_id = :tenant_id AND o.operation_id >= ''
              AND (o.operation_id, o.scope, o.state_key)
                BETWEEN (:operation_id, :scope, g."key") AND (:operation_id, :scope, g."key")
            ORDER BY o.operation_id, o.scope, o.state_key
            LIMIT 1) AS v)
    ORDER BY g."key" COLLATE "C"
    ON CONFLICT (tenant_id, scope, state_key) DO UPDATE SET
        version = w.version + 1, value = excluded.value, is_deleted = excluded.is_deleted,
        operation_id = excluded.operation_id,
        created_at = CASE WHEN w.is_deleted THEN excluded.created_at ELSE w.created_at END,
        updated_at = excluded.updated_at
    RETURNING w.state_key, w.version, w.value, w.updated_at
), kept AS (
    INSERT INTO aureus.world_state_versions
        (tenant_id, scope, state_key, version, value, operation_id, created_at)
    SELECT :tenant_id, :scope, written.state_key, written.version, written.value, :operation_id, written.updated_at
    FROM written
)
SELECT written.state_key, set_config('aureus.mark', :mark, true) FROM written;

-- name: list_versions_of_keys :many
-- The current versions of some keys.
SELECT w.state_key, w.version
FROM aureus.world_state AS w
WHERE w.tenant_id = :tenant_id AND w.scope = :scope AND w.state_key = ANY (CAST(:keys AS text[])) AND NOT w.is_deleted;

-- name: list_written_values :many
-- The values that certain operations gave to keys; served by world_state_versions_operation.
SELECT v.state_key, v.version, v.value, v.created_at
FROM json_to_recordset(CAST(:wanted AS json)) AS g ("key" text, operation_id text)
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.world_state_versions AS o
    WHERE o.tenant_id = :tenant_id AND o.operation_id >= ''
      AND (o.operation_id, o.scope, o.state_key)
        BETWEEN (g.operation_id, :scope, g."key") AND (g.operation_id, :scope, g."key")
    ORDER BY o.operation_id, o.scope, o.state_key
    LIMIT 1) AS v;

-- name: hold_keys :many
-- records
-- Hold keys until the transaction ends, whose old versions are about to go.
UPDATE aureus.world_state SET updated_at = updated_at
WHERE tenant_id = :tenant_id AND scope = :scope AND state_key = ANY (ARRAY(
    SELECT g.value FROM json_array_elements_text(CAST(:keys AS json)) AS g (value)))
RETURNING state_key;

-- name: empty_versions :many
-- Take the values of versions away by a record whose event was appended before; a trigger looks for it.
UPDATE aureus.world_state_versions AS v SET value = NULL, erasure_record_id = :record_id
FROM json_array_elements(CAST(:versions AS json)) AS g
WHERE v.tenant_id = :tenant_id AND v.scope = :scope
  AND v.state_key = ANY (ARRAY(SELECT i.value ->> 0 FROM json_array_elements(CAST(:versions AS json)) AS i))
  AND v.version = ANY (ARRAY(
    SELECT CAST(i.value ->> 1 AS bigint) FROM json_array_elements(CAST(:versions AS json)) AS i))
  AND v.state_key = g.value ->> 0
  AND v.version = CAST(g.value ->> 1 AS bigint)
RETURNING v.version;

-- name: delete_versions :many
-- Delete versions whose values went by a record of pruning. Here and above, the lists come first: joined alone, the
-- versions of all keys would be read.
DELETE FROM aureus.world_state_versions AS v
USING json_array_elements(CAST(:versions AS json)) AS g
WHERE v.tenant_id = :tenant_id AND v.scope = :scope
  AND v.state_key = ANY (ARRAY(SELECT i.value ->> 0 FROM json_array_elements(CAST(:versions AS json)) AS i))
  AND v.version = ANY (ARRAY(
    SELECT CAST(i.value ->> 1 AS bigint) FROM json_array_elements(CAST(:versions AS json)) AS i))
  AND v.state_key = g.value ->> 0
  AND v.version = CAST(g.value ->> 1 AS bigint) AND v.erasure_record_id = :record_id
RETURNING v.version;

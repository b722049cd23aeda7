-- Profiles on PostgreSQL. The merge is part of the upsert, so that it sees the newest row after waiting for its lock:
-- concurrent merges lose nothing, and each answer holds all that was there. Columns of type json keep the text of every
-- value. A deletion takes two statements: the second one begins when the row is locked, and so sees every version.

-- part: of_operation
-- The version that an operation wrote, by profile_versions_operation: a range of one in its order. By equality the
-- primary key would serve as well before there are statistics, which reads every version of the user.
SELECT o.* FROM aureus.profile_versions AS o
    WHERE o.tenant_id = :tenant_id AND o.operation_id >= ''
      AND (o.operation_id, o.user_id) BETWEEN (:operation_id, :user_id) AND (:operation_id, :user_id)
    ORDER BY o.operation_id, o.user_id
    LIMIT 1

-- name: merge_profile :one
-- key: user_id
-- records
-- Merge changes into a user's sections, or begin the profile with them. A key's value replaces the one before it, null
-- removes the key. No row: another version was expected, or the profile would become too large.
WITH written AS (
    INSERT INTO aureus.profiles AS p (tenant_id, user_id, sections, version, first_version, updated_by, operation_id,
        created_at, updated_at)
    SELECT :tenant_id, :user_id, CAST(:sections AS json), 1, 1, :updated_by, :operation_id,
        CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    WHERE coalesce(CAST(:expected_version AS bigint), 0) = 0
       OR EXISTS (SELECT FROM aureus.profiles AS q WHERE q.tenant_id = :tenant_id AND q.user_id = :user_id)
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET
        sections = (
            SELECT coalesce(json_object_agg(s.section, s.entries ORDER BY s.section COLLATE "C"), '{}') FROM (
                SELECT e.section, json_object_agg(e.entry, e.value ORDER BY e.entry COLLATE "C") AS entries FROM (
                    SELECT o.key AS section, k.key AS entry, k.value
                    FROM json_each(p.sections) AS o, json_each(o.value) AS k
                    WHERE NOT EXISTS (
                        SELECT FROM json_each(CAST(:changes AS json)) AS n, json_each(n.value) AS c
                        WHERE n.key = o.key AND c.key = k.key)
                    UNION ALL
                    SELECT n.key, c.key, c.value
                    FROM json_each(CAST(:changes AS json)) AS n, json_each(n.value) AS c
                    WHERE json_typeof(c.value) <> 'null') AS e
                GROUP BY e.section) AS s),
        version = p.version + 1,
        first_version = CASE WHEN p.deleted_at IS NULL THEN p.first_version ELSE p.version + 1 END,
        created_at = CASE WHEN p.deleted_at IS NULL THEN p.created_at ELSE excluded.created_at END,
        updated_by = excluded.updated_by, operation_id = excluded.operation_id, updated_at = excluded.updated_at,
        deleted_at = NULL
    WHERE (CAST(:expected_version AS bigint) IS NULL
        OR CAST(:expected_version AS bigint) = CASE WHEN p.deleted_at IS NULL THEN p.version ELSE 0 END)
      AND (CAST(:added_bytes AS bigint) = 0
        OR octet_length(CAST(p.sections AS text)) + CAST(:added_bytes AS bigint) <= :bytes_max)
      AND NOT EXISTS (
        SELECT FROM (<<of_operation>>) AS v)
    RETURNING p.user_id, p.sections, p.version, p.updated_by, p.operation_id, p.created_at, p.updated_at
), kept AS (
    INSERT INTO aureus.profile_versions (tenant_id, user_id, sections, version, updated_by, operation_id, created_at,
        updated_at)
    SELECT :tenant_id, written.* FROM written
)
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written
UNION ALL
SELECT v.user_id, v.sections, v.version, v.updated_by, v.operation_id, v.created_at, v.updated_at, NULL
FROM (<<of_operation>>) AS v
WHERE NOT EXISTS (SELECT FROM written);

-- name: lock_profile :one
-- Where a user's row stands before a deletion; PostgreSQL locks the row.
SELECT p.version, p.deleted_at
FROM aureus.profiles AS p
WHERE p.tenant_id = :tenant_id AND p.user_id = :user_id
FOR UPDATE OF p;

-- name: get_written_version :one
-- The version of a profile that an operation wrote; behind lock_profile, so that it sees those of whoever was waited
-- for.
SELECT v.version
FROM (<<of_operation>>) AS v;

-- name: delete_profile :one
-- key: user_id
-- records
-- Empty a profile and all its versions, and keep the bare rows.
WITH deleted AS (
    UPDATE aureus.profiles SET sections = '{}', version = version + 1, updated_by = :updated_by,
        operation_id = :operation_id, updated_at = CAST(:now AS timestamptz), deleted_at = CAST(:now AS timestamptz)
    WHERE tenant_id = :tenant_id AND user_id = :user_id AND version = :version AND deleted_at IS NULL
    RETURNING user_id, sections, version, updated_by, operation_id, created_at, updated_at
), emptied AS (
    UPDATE aureus.profile_versions AS v SET sections = '{}'
    FROM deleted
    WHERE v.tenant_id = :tenant_id AND v.user_id = deleted.user_id
), kept AS (
    INSERT INTO aureus.profile_versions (tenant_id, user_id, sections, version, updated_by, operation_id, created_at,
        updated_at)
    SELECT :tenant_id, deleted.* FROM deleted
)
SELECT deleted.version, set_config('aureus.mark', :mark, true) FROM deleted;

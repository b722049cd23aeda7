-- Profiles on SQLite: a value is copied as the text that it has in its document (doc -> fullkey), so that a merge of
-- one key leaves every other one as it was, to the last digit.

-- name: merge_profile :one
-- key: user_id
-- records
-- Merge changes into a user's sections, or begin the profile with them. A key's value replaces the one before it, null
-- removes the key. No row: another version was expected, or the profile would become too large.
INSERT INTO aureus.profiles AS p (tenant_id, user_id, sections, version, first_version, updated_by, operation_id,
    created_at, updated_at)
SELECT :tenant_id, :user_id, :sections, 1, 1, :updated_by, :operation_id, :now, :now
WHERE coalesce(:expected_version, 0) = 0
   OR EXISTS (SELECT 1 FROM aureus.profiles AS q WHERE q.tenant_id = :tenant_id AND q.user_id = :user_id)
ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    sections = (
        SELECT json_group_object(section, json(entries) ORDER BY section) FROM (
            SELECT section, json_group_object(entry, json(value) ORDER BY entry) AS entries FROM (
                SELECT o.key AS section, k.key AS entry, o.value -> k.fullkey AS value
                FROM json_each(p.sections) AS o, json_each(o.value) AS k
                WHERE NOT EXISTS (
                    SELECT 1 FROM json_each(:changes) AS n, json_each(n.value) AS c
                    WHERE n.key = o.key AND c.key = k.key)
                UNION ALL
                SELECT n.key, c.key, n.value -> c.fullkey
                FROM json_each(:changes) AS n, json_each(n.value) AS c
                WHERE c.type <> 'null')
            GROUP BY section)),
    version = p.version + 1,
    first_version = CASE WHEN p.deleted_at IS NULL THEN p.first_version ELSE p.version + 1 END,
    created_at = CASE WHEN p.deleted_at IS NULL THEN p.created_at ELSE excluded.created_at END,
    updated_by = excluded.updated_by, operation_id = excluded.operation_id, updated_at = excluded.updated_at,
    deleted_at = NULL
WHERE (:expected_version IS NULL
    OR :expected_version = CASE WHEN p.deleted_at IS NULL THEN p.version ELSE 0 END)
  AND (:added_bytes = 0 OR octet_length(p.sections) + :added_bytes <= :bytes_max)
  AND NOT EXISTS (
    SELECT 1 FROM aureus.profile_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.operation_id = :operation_id)
RETURNING version;
INSERT INTO aureus.profile_versions (tenant_id, user_id, version, sections, updated_by, operation_id, created_at,
    updated_at)
SELECT tenant_id, user_id, version, sections, updated_by, operation_id, created_at, updated_at
FROM aureus.profiles
WHERE tenant_id = :tenant_id AND user_id = :user_id;
SELECT user_id, sections, version, updated_by, operation_id, created_at, updated_at
FROM aureus.profile_versions
WHERE tenant_id = :tenant_id AND user_id = :user_id AND operation_id = :operation_id;

-- name: delete_profile :one
-- key: user_id
-- records
-- Empty a profile and all its versions, and keep the bare rows.
UPDATE aureus.profiles SET sections = '{}', version = version + 1, updated_by = :updated_by,
    operation_id = :operation_id, updated_at = :now, deleted_at = :now
WHERE tenant_id = :tenant_id AND user_id = :user_id AND version = :version AND deleted_at IS NULL
RETURNING version;
UPDATE aureus.profile_versions SET sections = '{}'
WHERE tenant_id = :tenant_id AND user_id = :user_id;
INSERT INTO aureus.profile_versions (tenant_id, user_id, version, sections, updated_by, operation_id, created_at,
    updated_at)
SELECT tenant_id, user_id, version, sections, updated_by, operation_id, created_at, updated_at
FROM aureus.profiles
WHERE tenant_id = :tenant_id AND user_id = :user_id;

-- Profiles: one row for each user, in which sections is a JSON object of objects, keys in the order of their
-- characters. Every write leaves its result in profile_versions under the operation's id; that is also how a repeated
-- call finds what it did. Only versions from first_version on belong to the profile that is there now.

-- name: get_profile :one
-- One profile as it is.
SELECT user_id, sections, version, updated_by, operation_id, created_at, updated_at
FROM aureus.profiles
WHERE tenant_id = :tenant_id AND user_id = :user_id AND deleted_at IS NULL;

-- name: get_profile_state :one
-- Where a user's row stands, deleted or not, for the error of a refused write.
SELECT version, deleted_at FROM aureus.profiles
WHERE tenant_id = :tenant_id AND user_id = :user_id;

-- name: get_profile_version :one
-- A profile as it was at one of its versions.
SELECT v.user_id, v.sections, v.version, v.updated_by, v.operation_id, v.created_at, v.updated_at
FROM aureus.profile_versions AS v
JOIN aureus.profiles AS p ON p.tenant_id = v.tenant_id AND p.user_id = v.user_id
WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.version = :version
  AND v.version >= p.first_version AND p.deleted_at IS NULL;

-- name: list_profile_versions :many
-- The versions of a profile before one of them, newest first; served by the primary key.
SELECT v.user_id, v.sections, v.version, v.updated_by, v.operation_id, v.created_at, v.updated_at
FROM aureus.profile_versions AS v
JOIN aureus.profiles AS p ON p.tenant_id = v.tenant_id AND p.user_id = v.user_id
WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.version < :before
  AND v.version >= p.first_version AND p.deleted_at IS NULL
ORDER BY v.version DESC
LIMIT :limit;

-- name: list_profiles :many
-- A page of profiles behind a user id, in the order of user ids; served by the primary key.
SELECT user_id, sections, version, updated_by, operation_id, created_at, updated_at
FROM aureus.profiles
WHERE tenant_id = :tenant_id AND user_id > :after
  AND CASE WHEN deleted_at IS NULL THEN 1 END IS NOT NULL
ORDER BY user_id
LIMIT (SELECT CAST(:limit AS bigint));

-- name: lock_profile :one
-- Where a user's row stands before a deletion; PostgreSQL locks the row.
SELECT p.version, p.deleted_at
FROM aureus.profiles AS p
WHERE p.tenant_id = :tenant_id AND p.user_id = :user_id;

-- name: get_written_version :one
-- The version of a profile that an operation wrote; behind lock_profile, so that it sees those of whoever was waited
-- for.
SELECT v.version
FROM aureus.profile_versions AS v
WHERE v.tenant_id = :tenant_id AND v.user_id = :user_id AND v.operation_id = :operation_id;

-- name: erase_profile_versions :many
-- Remove every version of a user's profile, before the row itself.
DELETE FROM aureus.profile_versions
WHERE tenant_id = :tenant_id AND user_id = :user_id
RETURNING version;

-- name: erase_profile :one
-- Remove a user's profile, also one that was emptied before.
DELETE FROM aureus.profiles
WHERE tenant_id = :tenant_id AND user_id = :user_id
RETURNING version;

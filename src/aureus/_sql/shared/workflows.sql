-- Workflows: definitions by the hash of their meaning. A version is written once and never changes; workflows points at
-- the version that was used last. Written once per process and version, never on the hot path of a run.

-- name: get_workflow_version :one
-- The stored definition of one version.
SELECT definition FROM aureus.workflow_versions
WHERE tenant_id = :tenant_id AND workflow_id = :workflow_id AND hash = :hash;

-- name: list_workflow_versions :many
-- Every version of a workflow, newest first.
SELECT hash, created_at FROM aureus.workflow_versions
WHERE tenant_id = :tenant_id AND workflow_id = :workflow_id
ORDER BY created_at DESC, hash;

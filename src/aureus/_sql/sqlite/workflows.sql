-- Workflows: SQLite writes the two tables one after the other.

-- name: save_workflow_version :one
-- key: workflow_id
-- Keep a version unless it is there, and make it the workflow's current one.
INSERT INTO aureus.workflows (tenant_id, workflow_id, name, hash, created_at, updated_at)
VALUES (:tenant_id, :workflow_id, :name, :hash, :now, :now)
ON CONFLICT (tenant_id, workflow_id)
DO UPDATE SET name = excluded.name, hash = excluded.hash, updated_at = excluded.updated_at
RETURNING hash;
INSERT INTO aureus.workflow_versions (tenant_id, workflow_id, hash, definition, created_at)
VALUES (:tenant_id, :workflow_id, :hash, :definition, :now)
ON CONFLICT (tenant_id, workflow_id, hash) DO NOTHING;

-- Workflows: what only PostgreSQL can do in one statement.

-- name: save_workflow_version :one
-- key: workflow_id
-- Keep a version unless it is there, and make it the workflow's current one.
WITH version AS (
    INSERT INTO aureus.workflow_versions (tenant_id, workflow_id, hash, definition, created_at)
    VALUES (:tenant_id, :workflow_id, :hash, CAST(:definition AS json), CAST(:now AS timestamptz))
    ON CONFLICT (tenant_id, workflow_id, hash) DO NOTHING
)
INSERT INTO aureus.workflows AS w (tenant_id, workflow_id, name, hash, created_at, updated_at)
VALUES (:tenant_id, :workflow_id, :name, :hash, CAST(:now AS timestamptz), CAST(:now AS timestamptz))
ON CONFLICT (tenant_id, workflow_id)
DO UPDATE SET name = excluded.name, hash = excluded.hash, updated_at = excluded.updated_at
RETURNING w.hash;

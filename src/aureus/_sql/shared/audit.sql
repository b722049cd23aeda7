-- The audit trail: events with an action. Entries are written by the statements of events; here is what they refer to,
-- how they are found, and the mode of a tenant. Lists are in the order of time, and of entry numbers where it is the
-- same; all that finds entries is an index in that order.

-- name: get_audit_mode :one
-- The mode that a tenant has set, if it ever did; NULL when it has gone back to that of the settings.
SELECT m.mode, m.changed_by, m.changed_at, m.version, m.operation_id
FROM aureus.audit_modes AS m
WHERE m.tenant_id = :tenant_id;

-- name: get_pruned_to :one
-- Before which position the trail was pruned.
SELECT r.pruned_to FROM aureus.audit_retention AS r WHERE r.tenant_id = :tenant_id;

-- name: set_pruned_to :one
-- Note how far the trail was pruned; it never goes back.
INSERT INTO aureus.audit_retention AS r (tenant_id, pruned_to, pruned_at)
VALUES (:tenant_id, :pruned_to, :now)
ON CONFLICT (tenant_id) DO UPDATE SET pruned_to = excluded.pruned_to, pruned_at = excluded.pruned_at
WHERE r.pruned_to <= excluded.pruned_to
RETURNING pruned_to;

-- name: set_audit_mode :one
-- records
-- Set the mode of a tenant, if it has the version that was read, 0 for none.
INSERT INTO aureus.audit_modes AS m (tenant_id, mode, version, operation_id, changed_by, changed_at)
VALUES (:tenant_id, :mode, 1, :operation_id, :actor, :now)
ON CONFLICT (tenant_id)
DO UPDATE SET mode = excluded.mode, version = m.version + 1, operation_id = excluded.operation_id,
    changed_by = excluded.changed_by, changed_at = excluded.changed_at
WHERE m.version = :expected_version
RETURNING version;

-- Approvals: questions to people. A transition asks (runs.sql); a decision is made once, by whoever is first.

-- name: list_approvals :many
-- What the tasks of a run asked, oldest first.
SELECT run_id, scope, name, occurrence, status, message, risk_tier, requested_by, requested_at, expires_at,
    decision_id,
    decided_by, decided_at, reason
FROM aureus.approvals
WHERE tenant_id = :tenant_id AND run_id = :run_id
ORDER BY requested_at, scope, name, occurrence;

-- name: list_pending_approvals :many
-- What waits for a person, oldest first; served by approvals_pending.
SELECT run_id, scope, name, occurrence, status, message, risk_tier, requested_by, requested_at, expires_at,
    decision_id,
    decided_by, decided_at, reason
FROM aureus.approvals
WHERE tenant_id = :tenant_id AND status = 'pending'
ORDER BY requested_at, run_id, scope, name, occurrence
LIMIT :limit;

-- Approvals on PostgreSQL.

-- name: decide_approval :one
-- key: run_id
-- records
-- Answer a pending question. No row: it is answered already, has expired, or was never asked; a repeated call finds its
-- own answer by decision_id. Pending is what is nothing else: said so, the planner cannot read the questions of all
-- runs by approvals_pending.
WITH decided AS (
    UPDATE aureus.approvals SET
        status = :status, decision_id = :decision_id, decided_by = :decided_by,
            decided_at = CAST(:now AS timestamptz), reason = :reason
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND scope = :scope AND name = :name AND occurrence = :occurrence
      AND status NOT IN ('approved', 'denied', 'expired', 'cancelled')
      AND (expires_at IS NULL OR expires_at > CAST(:now AS timestamptz))
    RETURNING run_id, scope, name, occurrence, status, message, risk_tier, requested_by, requested_at,
        expires_at, decision_id,
        decided_by, decided_at, reason
)
SELECT decided.*, set_config('aureus.mark', :mark, true) FROM decided
UNION ALL
SELECT run_id, scope, name, occurrence, status, message, risk_tier, requested_by, requested_at, expires_at,
    decision_id,
    decided_by, decided_at, reason, NULL
FROM aureus.approvals
WHERE tenant_id = :tenant_id AND run_id = :run_id AND scope = :scope AND name = :name AND occurrence = :occurrence
  AND decision_id = :decision_id AND NOT EXISTS (SELECT FROM decided);

-- Approvals on SQLite.

-- name: decide_approval :one
-- key: run_id
-- records
-- Answer a pending question. No row: it is answered already, has expired, or was never asked.
UPDATE aureus.approvals SET
    status = :status, decision_id = :decision_id, decided_by = :decided_by, decided_at = :now, reason = :reason
WHERE tenant_id = :tenant_id AND run_id = :run_id AND scope = :scope AND name = :name AND occurrence = :occurrence
  AND status = 'pending' AND (expires_at IS NULL OR expires_at > :now)
RETURNING run_id, scope, name, occurrence, status, message, risk_tier, requested_by, requested_at, expires_at,
    decision_id,
    decided_by, decided_at, reason;

-- Hypotheses on SQLite: a write is a script whose first statement is the guard.

-- name: propose_hypothesis :one
-- key: hypothesis_id
-- records
-- Form a hypothesis. No row: the id is taken by another one.
INSERT INTO aureus.hypotheses (tenant_id, hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence,
    evidence_for_count, evidence_against_count, confidence_change_total, version, operation_id, created_at, updated_at)
VALUES (:tenant_id, :hypothesis_id, :agent_id, :user_id, :statement, :confidence, :confidence, 0, 0, 0.0, 1,
    :hypothesis_id, :now, :now)
ON CONFLICT (tenant_id, hypothesis_id) DO NOTHING
RETURNING hypothesis_id;
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND agent_id = :agent_id AND user_id = :user_id
  AND statement = :statement AND initial_confidence = :confidence AND deleted_at IS NULL;

-- name: add_hypothesis_evidence :one
-- key: hypothesis_id
-- records
-- Add a test to a hypothesis that was looked at before, and move its confidence.
INSERT INTO aureus.hypothesis_evidence (tenant_id, hypothesis_id, evidence_no, evidence_id, side, text, source,
    agent_id, confidence_before, confidence_after, recorded_at)
SELECT :tenant_id, :hypothesis_id, evidence_for_count + evidence_against_count + 1, :evidence_id, :side, :text, :source,
    :agent_id, confidence, :confidence, :now
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND version = :version AND deleted_at IS NULL
ON CONFLICT DO NOTHING
RETURNING evidence_no;
UPDATE aureus.hypotheses SET
    confidence_change_total = confidence_change_total + abs(:confidence - confidence), confidence = :confidence,
    evidence_for_count = evidence_for_count + (:side = 'for'),
    evidence_against_count = evidence_against_count + (:side = 'against'),
    version = version + 1, operation_id = :evidence_id, updated_at = :now, last_tested_at = :now
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id;
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND operation_id = :evidence_id;

-- name: delete_hypothesis :one
-- key: hypothesis_id
-- records
-- Empty a hypothesis, remove its evidence, and keep the bare row.
UPDATE aureus.hypotheses SET statement = '', version = version + 1, operation_id = :operation_id, updated_at = :now,
    deleted_at = :now
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND version = :version AND deleted_at IS NULL
RETURNING version;
DELETE FROM aureus.hypothesis_evidence
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id;

-- name: erase_hypothesis_evidence :many
-- Remove all evidence of some hypotheses, before these.
DELETE FROM aureus.hypothesis_evidence
WHERE tenant_id = :tenant_id AND hypothesis_id IN (SELECT value FROM json_each(:hypothesis_ids))
RETURNING evidence_no;

-- name: lock_hypotheses :many
-- Those of some hypotheses that are about a user; nobody else writes meanwhile.
SELECT hypothesis_id FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id IN (SELECT value FROM json_each(:hypothesis_ids)) AND user_id = :user_id
ORDER BY hypothesis_id;

-- name: erase_hypotheses :many
-- Remove hypotheses that have no evidence any more.
DELETE FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id IN (SELECT value FROM json_each(:hypothesis_ids))
RETURNING hypothesis_id;

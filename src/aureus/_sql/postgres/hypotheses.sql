-- Hypotheses on PostgreSQL. A test of a hypothesis takes two statements: the first locks the row, so that what the
-- second one writes, and which event tells of it, rests on how the hypothesis stands.

-- name: propose_hypothesis :one
-- key: hypothesis_id
-- records
-- Form a hypothesis. No row: the id is taken by another one.
WITH formed AS (
    INSERT INTO aureus.hypotheses (tenant_id, hypothesis_id, agent_id, user_id, statement, initial_confidence,
        confidence, evidence_for_count, evidence_against_count, confidence_change_total, version, operation_id,
        created_at, updated_at)
    VALUES (:tenant_id, :hypothesis_id, :agent_id, :user_id, :statement, :confidence, :confidence, 0, 0, 0.0, 1,
        :hypothesis_id, :now, :now)
    ON CONFLICT (tenant_id, hypothesis_id) DO NOTHING
    RETURNING hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
        evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
        operation_id, created_at, updated_at, last_tested_at
)
SELECT formed.*, set_config('aureus.mark', :mark, true) FROM formed
UNION ALL
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at, NULL
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND agent_id = :agent_id AND user_id = :user_id
  AND statement = :statement AND initial_confidence = :confidence AND deleted_at IS NULL
  AND NOT EXISTS (SELECT FROM formed);

-- name: lock_hypothesis :one
-- A hypothesis before it is changed; PostgreSQL locks the row.
SELECT h.hypothesis_id, h.agent_id, h.user_id, h.statement, h.initial_confidence, h.confidence, h.status,
    h.evidence_for_count, h.evidence_against_count, h.evidence_for_count + h.evidence_against_count, h.version,
    h.operation_id, h.created_at, h.updated_at, h.last_tested_at, h.deleted_at
FROM aureus.hypotheses AS h
WHERE h.tenant_id = :tenant_id AND h.hypothesis_id = :hypothesis_id
FOR UPDATE OF h;

-- name: find_evidence :one
-- Whether evidence is known already; behind lock_hypothesis, so that it sees what whoever was waited for has added. By
-- hypothesis_evidence_id, as a range of one in its order: by equality the primary key would serve as well before there
-- are statistics, which reads all evidence of the hypothesis.
SELECT e.evidence_no
FROM aureus.hypothesis_evidence AS e
WHERE e.tenant_id = :tenant_id AND e.evidence_id >= ''
  AND (e.evidence_id, e.hypothesis_id) BETWEEN (:evidence_id, :hypothesis_id) AND (:evidence_id, :hypothesis_id)
ORDER BY e.evidence_id, e.hypothesis_id
LIMIT 1;

-- name: add_hypothesis_evidence :one
-- key: hypothesis_id
-- records
-- Add a test to a hypothesis that was looked at before, and move its confidence.
WITH added AS (
    INSERT INTO aureus.hypothesis_evidence (tenant_id, hypothesis_id, evidence_no, evidence_id, side, text, source,
        agent_id, confidence_before, confidence_after, recorded_at)
    SELECT :tenant_id, :hypothesis_id, evidence_for_count + evidence_against_count + 1, :evidence_id, :side, :text,
        :source, :agent_id, confidence, CAST(:confidence AS double precision), CAST(:now AS timestamptz)
    FROM aureus.hypotheses
    WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND version = :version AND deleted_at IS NULL
    ON CONFLICT DO NOTHING
    RETURNING hypothesis_id
), tested AS (
    UPDATE aureus.hypotheses AS h SET
        confidence_change_total = confidence_change_total + abs(CAST(:confidence AS double precision) - confidence),
        confidence = CAST(:confidence AS double precision),
        evidence_for_count = evidence_for_count + CAST(CAST(:side AS text) = 'for' AS integer),
        evidence_against_count = evidence_against_count + CAST(CAST(:side AS text) = 'against' AS integer),
        version = version + 1, operation_id = :evidence_id, updated_at = CAST(:now AS timestamptz),
        last_tested_at = CAST(:now AS timestamptz)
    WHERE h.tenant_id = :tenant_id AND h.hypothesis_id = :hypothesis_id AND EXISTS (SELECT FROM added)
    RETURNING h.hypothesis_id, h.agent_id, h.user_id, h.statement, h.initial_confidence, h.confidence, h.status,
        h.evidence_for_count, h.evidence_against_count, h.evidence_for_count + h.evidence_against_count, h.version,
        h.operation_id, h.created_at, h.updated_at, h.last_tested_at
)
SELECT tested.*, set_config('aureus.mark', :mark, true) FROM tested;

-- name: delete_hypothesis :one
-- key: hypothesis_id
-- records
-- Empty a hypothesis, remove its evidence, and keep the bare row.
WITH deleted AS (
    UPDATE aureus.hypotheses SET statement = '', version = version + 1, operation_id = :operation_id,
        updated_at = CAST(:now AS timestamptz), deleted_at = CAST(:now AS timestamptz)
    WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND version = :version AND deleted_at IS NULL
    RETURNING hypothesis_id, version
), removed AS (
    DELETE FROM aureus.hypothesis_evidence AS e
    WHERE e.tenant_id = :tenant_id AND e.hypothesis_id = :hypothesis_id AND EXISTS (SELECT FROM deleted)
)
SELECT deleted.version, set_config('aureus.mark', :mark, true) FROM deleted;

-- name: erase_hypothesis_evidence :many
-- Remove all evidence of some hypotheses, before these.
DELETE FROM aureus.hypothesis_evidence
WHERE tenant_id = :tenant_id AND hypothesis_id = ANY (CAST(:hypothesis_ids AS text[]))
RETURNING evidence_no;

-- name: lock_hypotheses :many
-- Those of some hypotheses that are about a user, in the order of their ids, that nobody else is about to change.
SELECT hypothesis_id FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = ANY (CAST(:hypothesis_ids AS text[])) AND user_id = :user_id
ORDER BY hypothesis_id
FOR UPDATE;

-- name: erase_hypotheses :many
-- Remove hypotheses that are locked and have no evidence any more.
DELETE FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = ANY (CAST(:hypothesis_ids AS text[]))
RETURNING hypothesis_id;

-- Hypotheses: what agents believe, one row each; hypothesis_evidence holds every test in order. Status is generated
-- from confidence. A deletion empties the row and keeps it, so that its id is never used for something else.

-- part: listed
-- What every row fulfils and only lists say: on PostgreSQL their indexes have it as a condition (migration 0030).
user_id >= ''

-- part: listed_of_agent
-- The same for the index of an agent's.
agent_id >= ''

-- name: get_hypothesis :one
-- One hypothesis by its id.
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND deleted_at IS NULL;

-- name: get_hypothesis_state :one
-- Where the row of an id stands, deleted or not, for the error of a refused proposal.
SELECT agent_id, deleted_at FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id;

-- name: lock_hypothesis :one
-- A hypothesis before it is changed; PostgreSQL locks the row.
SELECT h.hypothesis_id, h.agent_id, h.user_id, h.statement, h.initial_confidence, h.confidence, h.status,
    h.evidence_for_count, h.evidence_against_count, h.evidence_for_count + h.evidence_against_count, h.version,
    h.operation_id, h.created_at, h.updated_at, h.last_tested_at, h.deleted_at
FROM aureus.hypotheses AS h
WHERE h.tenant_id = :tenant_id AND h.hypothesis_id = :hypothesis_id;

-- name: find_evidence :one
-- Whether evidence is known already; behind lock_hypothesis, so that it sees what whoever was waited for has added.
SELECT e.evidence_no
FROM aureus.hypothesis_evidence AS e
WHERE e.tenant_id = :tenant_id AND e.hypothesis_id = :hypothesis_id AND e.evidence_id = :evidence_id;

-- name: list_hypotheses :many
-- A page of hypotheses, newest first; an empty status lets all through. Served by hypotheses_newest.
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND <<listed>> AND (created_at, hypothesis_id) < (:before_at, :before_id)
  AND CASE WHEN deleted_at IS NULL AND (:status = '' OR status = :status) THEN 1 END IS NOT NULL
ORDER BY created_at DESC, hypothesis_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_hypotheses_of_agent :many
-- A page of one agent's hypotheses, newest first. Served by hypotheses_of_agent.
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND <<listed_of_agent>>
  AND (created_at, hypothesis_id) < (:before_at, :before_id)
  AND CASE WHEN deleted_at IS NULL AND (:status = '' OR status = :status) THEN 1 END IS NOT NULL
ORDER BY created_at DESC, hypothesis_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_hypotheses_of_user :many
-- A page of hypotheses about one user, newest first, of one agent or all. Served by hypotheses_of_user.
SELECT hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence, status,
    evidence_for_count, evidence_against_count, evidence_for_count + evidence_against_count, version,
    operation_id, created_at, updated_at, last_tested_at
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND user_id = :user_id AND user_id <> ''
  AND (created_at, hypothesis_id) < (:before_at, :before_id)
  AND CASE WHEN deleted_at IS NULL AND (:agent_id = '' OR agent_id = :agent_id)
    AND (:status = '' OR status = :status) THEN 1 END IS NOT NULL
ORDER BY created_at DESC, hypothesis_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_hypothesis_evidence :many
-- The tests of a hypothesis behind one of them, oldest first; an empty side lets both through.
SELECT hypothesis_id, evidence_no, evidence_id, side, text, source, agent_id, confidence_before, confidence_after,
    recorded_at
FROM aureus.hypothesis_evidence
WHERE tenant_id = :tenant_id AND hypothesis_id = :hypothesis_id AND evidence_no > :after
  AND CASE WHEN :side = '' OR side = :side THEN 1 END IS NOT NULL
ORDER BY evidence_no
LIMIT (SELECT CAST(:limit AS bigint));

-- name: get_hypothesis_statistics :one
-- How many hypotheses of an agent stand where, how often they were tested, and how far confidence moved in all. Served
-- by hypotheses_of_agent.
SELECT count(*), count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'validated'),
    count(*) FILTER (WHERE status = 'rejected'), coalesce(sum(evidence_for_count + evidence_against_count), 0),
    coalesce(sum(confidence_change_total), 0.0)
FROM aureus.hypotheses
WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND <<listed_of_agent>>
  AND (:user_id = '' OR user_id = :user_id) AND deleted_at IS NULL;

-- name: list_subject_hypotheses :many
-- Hypotheses about a user behind an id, in the order of ids, deleted ones too. Served by hypotheses_of_user: all of the
-- user's are gathered first, or those of everybody would be walked in their order until a page is full.
WITH found AS MATERIALIZED (
    SELECT hypothesis_id FROM aureus.hypotheses
    WHERE tenant_id = :tenant_id AND user_id = :user_id AND user_id <> ''
)
SELECT hypothesis_id FROM found
WHERE hypothesis_id > :after_id
ORDER BY hypothesis_id
LIMIT :limit;

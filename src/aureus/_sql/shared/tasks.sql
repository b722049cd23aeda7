-- Tasks: the journal of a run. Written only by the transitions in runs.sql, under the run's fence.

-- name: list_tasks :many
-- The whole journal of a run with its results, in the order in which the tasks were scheduled.
SELECT t.scope, t.name, t.occurrence, t.kind, t.status, t.attempt, t.interruptions, t.epoch, t.tool, t.input_hash,
    t.code_version, t.idempotency_key, t.replayed, t.error_code, t.error_message, t.finished_no, t.scheduled_at,
    t.started_at, t.wake_at, t.completed_at, coalesce(t.result, r.result)
FROM aureus.tasks AS t
LEFT JOIN aureus.task_results AS r
  ON r.tenant_id = t.tenant_id AND r.run_id = t.run_id AND r.scope = t.scope AND r.name = t.name
  AND r.occurrence = t.occurrence
WHERE t.tenant_id = :tenant_id AND t.run_id = :run_id
ORDER BY t.scheduled_at, t.scope, t.name, t.occurrence;

-- name: get_task :one
-- One entry of a run's journal.
SELECT t.scope, t.name, t.occurrence, t.kind, t.status, t.attempt, t.interruptions, t.epoch, t.tool, t.input_hash,
    t.code_version, t.idempotency_key, t.replayed, t.error_code, t.error_message, t.finished_no, t.scheduled_at,
    t.started_at, t.wake_at, t.completed_at, coalesce(t.result, r.result)
FROM aureus.tasks AS t
LEFT JOIN aureus.task_results AS r
  ON r.tenant_id = t.tenant_id AND r.run_id = t.run_id AND r.scope = t.scope AND r.name = t.name
  AND r.occurrence = t.occurrence
WHERE t.tenant_id = :tenant_id AND t.run_id = :run_id AND t.scope = :scope AND t.name = :name
  AND t.occurrence = :occurrence;

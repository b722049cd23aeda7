-- Runs: one row for each execution of a workflow. Written by start, advance and claim (engine files), which hold the
-- fence; a request to cancel is the one thing that others may write beside the holder.

-- part: listed
-- What every row fulfils and only lists say: on PostgreSQL their indexes have it as a condition (migration 0030).
workflow_id >= ''

-- name: request_cancel :one
-- key: run_id
-- records
-- Ask the holder of a run to stop; a run that has ended is left alone, and asking twice is asking once.
UPDATE aureus.runs SET cancel_requested_at = :now
WHERE tenant_id = :tenant_id AND run_id = :run_id AND status NOT IN ('completed', 'failed', 'cancelled')
  AND cancel_requested_at IS NULL
RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at;

-- name: get_run :one
-- One run by its id.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: get_run_origin :one
-- What a run was started with: its inputs, the folder its paths start in, and from which risk people are asked.
SELECT inputs, directory, approve_from FROM aureus.run_inputs
WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: get_unfinished_run :one
-- The unfinished run that holds a resume key; served by runs_unfinished.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND resume_key = :resume_key AND status IN ('pending', 'running', 'paused');

-- name: get_run_remains :one
-- Whether a run has ended, and whether it holds anything that it was told or has found out.
SELECT r.status, r.error_message IS NOT NULL
    OR EXISTS (SELECT 1 FROM aureus.run_inputs AS i
        WHERE i.tenant_id = :tenant_id AND i.run_id = :run_id AND CAST(i.inputs AS text) <> '{}')
    OR EXISTS (SELECT 1 FROM aureus.tasks AS t
        WHERE t.tenant_id = :tenant_id AND t.run_id = :run_id
          AND (t.result IS NOT NULL OR t.error_message IS NOT NULL OR t.input_hash IS NOT NULL
            OR t.idempotency_key IS NOT NULL))
    OR EXISTS (SELECT 1 FROM aureus.task_results AS d
        WHERE d.tenant_id = :tenant_id AND d.run_id = :run_id)
    OR EXISTS (SELECT 1 FROM aureus.approvals AS a
        WHERE a.tenant_id = :tenant_id AND a.run_id = :run_id AND (a.message <> '' OR a.reason IS NOT NULL))
FROM aureus.runs AS r
WHERE r.tenant_id = :tenant_id AND r.run_id = :run_id;

-- name: empty_run :one
-- Take the error message of a run that has ended away; no row when it has not.
UPDATE aureus.runs SET error_message = NULL, resume_key = NULL
WHERE tenant_id = :tenant_id AND run_id = :run_id AND status NOT IN ('pending', 'running', 'paused')
RETURNING run_id;

-- name: empty_run_inputs :many
-- Take the inputs of a run that is locked away.
UPDATE aureus.run_inputs SET inputs = '{}'
WHERE tenant_id = :tenant_id AND run_id = :run_id AND CAST(inputs AS text) <> '{}'
RETURNING run_id;

-- name: empty_run_keys :many
-- Take the hashes of inputs away that keys hold which an author gave to tasks of a run that is locked; before
-- empty_tasks, which takes the keys of the tasks. The key itself stays: its work must not be done a second time.
UPDATE aureus.idempotency_keys SET input_hash = ''
WHERE tenant_id = :tenant_id AND run_id = :run_id AND input_hash <> '' AND idempotency_key IN (
    SELECT t.idempotency_key FROM aureus.tasks AS t WHERE t.tenant_id = :tenant_id AND t.run_id = :run_id)
RETURNING idempotency_key;

-- name: empty_tasks :many
-- Take the results and error messages of the tasks of a run that is locked away, and what was made of their inputs:
-- the hashes, and the keys, which may be guessed by as well.
UPDATE aureus.tasks SET result = NULL, error_message = NULL, input_hash = NULL, idempotency_key = NULL
WHERE tenant_id = :tenant_id AND run_id = :run_id
  AND (result IS NOT NULL OR error_message IS NOT NULL OR input_hash IS NOT NULL OR idempotency_key IS NOT NULL)
RETURNING name;

-- name: drop_task_results :many
-- Remove the large results of a run that is locked.
DELETE FROM aureus.task_results
WHERE tenant_id = :tenant_id AND run_id = :run_id
RETURNING name;

-- name: empty_run_approvals :many
-- Take what was asked and answered in a run that is locked away; who answered how stays.
UPDATE aureus.approvals SET message = '', reason = NULL
WHERE tenant_id = :tenant_id AND run_id = :run_id AND (message <> '' OR reason IS NOT NULL)
RETURNING name;

-- Runs: one row for each execution of a workflow. Written by start, advance and claim (engine files), which hold the
-- fence; a request to cancel is the one thing that others may write beside the holder.

-- name: request_cancel :one
-- key: run_id
-- records
-- Ask the holder of a run to stop; a run that has ended is left alone, and asking twice is asking once.
UPDATE aureus.runs SET cancel_requested_at = :now
WHERE tenant_id = :tenant_id AND run_id = :run_id AND status IN ('pending', 'running', 'paused')
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

-- Runs on SQLite: a transition is a script whose first statement is the guarded write of the run's row; the others run
-- only when it brought a row, all inside one savepoint. Same names and parameters as on PostgreSQL.

-- name: start_run :one
-- key: run_id
-- records
-- Begin a run with its first tasks, held by a lease. No row: this run id is taken, or an unfinished run of the same
-- workflow and inputs holds the resume key.
INSERT INTO aureus.runs (tenant_id, run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id,
    transition_id, resume_key, created_at, started_at, updated_at)
VALUES (:tenant_id, :run_id, :workflow_id, :workflow_hash, 'running', 'forward', 1, 1, :lease_id,
    :transition_id, :resume_key, :now, :now, :now)
ON CONFLICT DO NOTHING
RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at;
INSERT INTO aureus.run_inputs (tenant_id, run_id, inputs, directory, approve_from)
VALUES (:tenant_id, :run_id, :inputs, :directory, :approve_from);
INSERT INTO aureus.tasks (tenant_id, run_id, scope, name, occurrence, kind, status, attempt, interruptions, epoch,
    tool, input_hash, code_version, idempotency_key, replayed, error_code, error_message, finished_no,
    scheduled_at, started_at, wake_at, completed_at)
SELECT :tenant_id, :run_id, g.value ->> 'scope', g.value ->> 'name', g.value ->> 'occurrence', g.value ->> 'kind',
    g.value ->> 'status', g.value ->> 'attempt', g.value ->> 'interruptions', r.epoch, g.value ->> 'tool',
    g.value ->> 'input_hash', g.value ->> 'code_version', g.value ->> 'idempotency_key', g.value ->> 'replayed',
    g.value ->> 'error_code', g.value ->> 'error_message', g.value ->> 'finished_no', :now,
    CASE WHEN g.value ->> 'status' = 'running' THEN :now END, g.value ->> 'wake_at',
    CASE WHEN g.value ->> 'status' = 'skipped' THEN :now END
FROM json_each(:tasks) AS g
JOIN aureus.runs AS r ON r.tenant_id = :tenant_id AND r.run_id = :run_id
WHERE g.value ->> 'is_new';
INSERT INTO aureus.approvals (tenant_id, run_id, scope, name, occurrence, status, message, risk_tier,
    requested_by, requested_at, expires_at)
SELECT :tenant_id, :run_id, a.value ->> 'scope', a.value ->> 'name', a.value ->> 'occurrence', 'pending',
    a.value ->> 'message', a.value ->> 'risk_tier', a.value ->> 'requested_by', :now, a.value ->> 'expires_at'
FROM json_each(:approvals) AS a;

-- name: advance_run :one
-- key: run_id
-- records
-- Carry out one transition: the run's row, the tasks that changed or begin, the approvals that are asked for. Only the
-- holder of the current epoch's lease may. No row: the lease is lost.
UPDATE aureus.runs SET
    status = :status, phase = :phase, version = version + 1, transition_id = :transition_id,
    lease_id = CASE WHEN :keeps_lease THEN lease_id END,
    error_code = :error_code, error_message = :error_message,
    completed_at = CASE WHEN :status IN ('completed', 'failed', 'cancelled') THEN :now END,
    updated_at = :now
WHERE tenant_id = :tenant_id AND run_id = :run_id AND epoch = :epoch AND lease_id = :lease_id
  AND transition_id <> :transition_id
RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at;
UPDATE aureus.tasks AS t SET
    status = g.value ->> 'status', attempt = g.value ->> 'attempt', interruptions = g.value ->> 'interruptions',
    epoch = :epoch, replayed = g.value ->> 'replayed',
    result = CASE WHEN NOT g.value ->> 'is_large' THEN g.value ->> 'result_json' END,
    error_code = g.value ->> 'error_code', error_message = g.value ->> 'error_message',
    finished_no = g.value ->> 'finished_no',
    started_at = CASE WHEN g.value ->> 'status' = 'running' THEN :now ELSE t.started_at END,
    wake_at = g.value ->> 'wake_at',
    completed_at = CASE WHEN g.value ->> 'status' IN ('completed', 'failed', 'timeout', 'skipped',
        'cancelled') THEN :now END
FROM json_each(:tasks) AS g
WHERE NOT g.value ->> 'is_new' AND t.tenant_id = :tenant_id AND t.run_id = :run_id
  AND t.scope = g.value ->> 'scope' AND t.name = g.value ->> 'name' AND t.occurrence = g.value ->> 'occurrence';
INSERT INTO aureus.task_results (tenant_id, run_id, scope, name, occurrence, result)
SELECT :tenant_id, :run_id, g.value ->> 'scope', g.value ->> 'name', g.value ->> 'occurrence',
    g.value ->> 'result_json'
FROM json_each(:tasks) AS g
WHERE g.value ->> 'is_large';
INSERT INTO aureus.tasks (tenant_id, run_id, scope, name, occurrence, kind, status, attempt, interruptions, epoch,
    tool, input_hash, code_version, idempotency_key, replayed, error_code, error_message, finished_no,
    scheduled_at, started_at, wake_at, completed_at)
SELECT :tenant_id, :run_id, g.value ->> 'scope', g.value ->> 'name', g.value ->> 'occurrence', g.value ->> 'kind',
    g.value ->> 'status', g.value ->> 'attempt', g.value ->> 'interruptions', r.epoch, g.value ->> 'tool',
    g.value ->> 'input_hash', g.value ->> 'code_version', g.value ->> 'idempotency_key', g.value ->> 'replayed',
    g.value ->> 'error_code', g.value ->> 'error_message', g.value ->> 'finished_no', :now,
    CASE WHEN g.value ->> 'status' = 'running' THEN :now END, g.value ->> 'wake_at',
    CASE WHEN g.value ->> 'status' = 'skipped' THEN :now END
FROM json_each(:tasks) AS g
JOIN aureus.runs AS r ON r.tenant_id = :tenant_id AND r.run_id = :run_id
WHERE g.value ->> 'is_new';
INSERT INTO aureus.approvals (tenant_id, run_id, scope, name, occurrence, status, message, risk_tier,
    requested_by, requested_at, expires_at)
SELECT :tenant_id, :run_id, a.value ->> 'scope', a.value ->> 'name', a.value ->> 'occurrence', 'pending',
    a.value ->> 'message', a.value ->> 'risk_tier', a.value ->> 'requested_by', :now, a.value ->> 'expires_at'
FROM json_each(:approvals) AS a;
UPDATE aureus.approvals SET status = 'cancelled', decided_at = :now
WHERE :status IN ('completed', 'failed',
    'cancelled') AND tenant_id = :tenant_id AND run_id = :run_id AND status = 'pending';

-- name: claim_run :one
-- key: run_id
-- records
-- Take an unfinished run over: nobody holds it, or its holder's lease is over, or the holder is known to be dead.
UPDATE aureus.runs AS r SET
    status = 'running', version = version + 1, epoch = epoch + 1, lease_id = :lease_id,
    workflow_hash = coalesce(:workflow_hash, workflow_hash),
    transition_id = :transition_id, started_at = coalesce(started_at, :now), updated_at = :now
WHERE tenant_id = :tenant_id AND run_id = :run_id AND status IN ('pending', 'running', 'paused')
  AND transition_id <> :transition_id
  AND (lease_id IS NULL OR lease_id = :dead_lease_id OR NOT EXISTS (
        SELECT 1 FROM aureus.leases AS l
        WHERE l.tenant_id = :tenant_id AND l.lease_id = r.lease_id
          AND l.expires_at > CAST(unixepoch('subsec') * 1000000 AS INTEGER)))
RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at;

-- name: list_runs :many
-- A page of runs, newest first; served by runs_newest.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND (created_at, run_id) < (:before_at, :before_id)
ORDER BY created_at DESC, run_id DESC
LIMIT :limit;

-- name: list_runs_of_workflow :many
-- A page of the runs of a workflow, newest first; a NULL status lets everything through. Served by runs_workflow.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND workflow_id = :workflow_id AND (created_at, run_id) < (:before_at, :before_id)
  AND (:status IS NULL OR status = :status)
ORDER BY created_at DESC, run_id DESC
LIMIT :limit;

-- name: list_runs_in_status :many
-- A page of the runs that are in a status, newest first. Served by runs_status.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND status = :status AND (created_at, run_id) < (:before_at, :before_id)
ORDER BY created_at DESC, run_id DESC
LIMIT :limit;

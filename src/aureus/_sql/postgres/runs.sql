-- Runs on PostgreSQL: every transition is one statement that begins with the guarded write of the run's row, so that
-- the row's lock is the fence: a process whose epoch is over changes nothing, whatever it had read before. All else in
-- the statement selects from the guard. transition_id makes a repeated call harmless: it returns the row it wrote.
-- Tasks arrive as one JSON array (aureus.stores.runs); their results as JSON text inside it, kept to the letter.

-- name: start_run :one
-- key: run_id
-- records
-- Begin a run with its first tasks, held by a lease. No row: this run id is taken, or an unfinished run of the same
-- workflow and inputs holds the resume key.
WITH run AS (
    INSERT INTO aureus.runs (tenant_id, run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id,
        transition_id, resume_key, created_at, started_at, updated_at)
    VALUES (:tenant_id, :run_id, :workflow_id, :workflow_hash, 'running', 'forward', 1, 1, :lease_id,
        :transition_id, :resume_key, CAST(:now AS timestamptz), CAST(:now AS timestamptz), CAST(:now AS timestamptz))
    ON CONFLICT DO NOTHING
    RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
        error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
), inputs AS (
    INSERT INTO aureus.run_inputs (tenant_id, run_id, inputs, directory, approve_from)
    SELECT :tenant_id, run.run_id, CAST(:inputs AS json), :directory, :approve_from FROM run
), given AS (
    SELECT * FROM json_to_recordset(CAST(:tasks AS json)) AS t (
        is_new boolean, scope text, name text, occurrence integer, kind text, status text, attempt integer,
        interruptions integer, tool text, input_hash text, code_version text, idempotency_key text, replayed boolean,
        result_json text, is_large boolean, error_code text, error_message text, finished_no integer, wake_at bigint)
), inserted AS (
    INSERT INTO aureus.tasks (tenant_id, run_id, scope, name, occurrence, kind, status, attempt, interruptions, epoch,
        tool, input_hash, code_version, idempotency_key, replayed, error_code, error_message, finished_no,
        scheduled_at, started_at, wake_at, completed_at)
    SELECT :tenant_id, run.run_id, g.scope, g.name, g.occurrence, g.kind, g.status, g.attempt, g.interruptions,
        run.epoch, g.tool, g.input_hash, g.code_version, g.idempotency_key, g.replayed, g.error_code,
        g.error_message, g.finished_no, CAST(:now AS timestamptz),
        CASE WHEN g.status = 'running' THEN CAST(:now AS timestamptz) END,
        aureus.from_micros(g.wake_at),
        CASE WHEN g.status = 'skipped' THEN CAST(:now AS timestamptz) END
    FROM run, given AS g
    WHERE g.is_new
), asked AS (
    INSERT INTO aureus.approvals (tenant_id, run_id, scope, name, occurrence, status, message, risk_tier,
        requested_by, requested_at, expires_at)
    SELECT :tenant_id, run.run_id, a.scope, a.name, a.occurrence, 'pending', a.message, a.risk_tier, a.requested_by,
        CAST(:now AS timestamptz), aureus.from_micros(a.expires_at)
    FROM run, json_to_recordset(CAST(:approvals AS json)) AS a (
        scope text, name text, occurrence integer, message text, risk_tier text, requested_by text, expires_at bigint)
)
SELECT run.*, set_config('aureus.mark', :mark, true) FROM run;

-- name: advance_run :one
-- key: run_id
-- records
-- Carry out one transition: the run's row, the tasks that changed or begin, the approvals that are asked for. Only the
-- holder of the current epoch's lease may. No row: the lease is lost. Approvals are pending when they are nothing else:
-- said so, the planner cannot read those of all runs by approvals_pending. Tasks that change are looked up
-- by the lists of their scopes and names before they are joined, which alone would be done by reading all of a run.
WITH run AS (
    UPDATE aureus.runs SET
        status = :status, phase = :phase, version = version + 1, transition_id = :transition_id,
        lease_id = CASE WHEN CAST(:keeps_lease AS boolean) THEN lease_id END,
        error_code = :error_code, error_message = :error_message,
        completed_at = CASE WHEN CAST(:status AS text) IN ('completed', 'failed',
            'cancelled') THEN CAST(:now AS timestamptz) END,
        updated_at = CAST(:now AS timestamptz)
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND epoch = :epoch AND lease_id = :lease_id
      AND transition_id <> :transition_id
    RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
        error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
), given AS (
    SELECT * FROM json_to_recordset(CAST(:tasks AS json)) AS t (
        is_new boolean, scope text, name text, occurrence integer, kind text, status text, attempt integer,
        interruptions integer, tool text, input_hash text, code_version text, idempotency_key text, replayed boolean,
        result_json text, is_large boolean, error_code text, error_message text, finished_no integer, wake_at bigint)
), updated AS (
    UPDATE aureus.tasks AS t SET
        status = g.status, attempt = g.attempt, interruptions = g.interruptions, epoch = run.epoch,
        replayed = g.replayed, result = CASE WHEN NOT g.is_large THEN CAST(g.result_json AS json) END,
        error_code = g.error_code, error_message = g.error_message, finished_no = g.finished_no,
        started_at = CASE WHEN g.status = 'running' THEN CAST(:now AS timestamptz) ELSE t.started_at END,
        wake_at = aureus.from_micros(g.wake_at),
        completed_at = CASE WHEN g.status IN ('completed', 'failed', 'timeout', 'skipped',
            'cancelled') THEN CAST(:now AS timestamptz) END
    FROM run, given AS g
    WHERE NOT g.is_new AND t.tenant_id = :tenant_id AND t.run_id = :run_id
      AND t.scope = ANY (ARRAY(SELECT i.scope FROM given AS i WHERE NOT i.is_new))
      AND t.name = ANY (ARRAY(SELECT i.name FROM given AS i WHERE NOT i.is_new))
      AND t.scope = g.scope AND t.name = g.name AND t.occurrence = g.occurrence
), large AS (
    INSERT INTO aureus.task_results (tenant_id, run_id, scope, name, occurrence, result)
    SELECT :tenant_id, run.run_id, g.scope, g.name, g.occurrence, CAST(g.result_json AS json)
    FROM run, given AS g
    WHERE g.is_large
), inserted AS (
    INSERT INTO aureus.tasks (tenant_id, run_id, scope, name, occurrence, kind, status, attempt, interruptions, epoch,
        tool, input_hash, code_version, idempotency_key, replayed, error_code, error_message, finished_no,
        scheduled_at, started_at, wake_at, completed_at)
    SELECT :tenant_id, run.run_id, g.scope, g.name, g.occurrence, g.kind, g.status, g.attempt, g.interruptions,
        run.epoch, g.tool, g.input_hash, g.code_version, g.idempotency_key, g.replayed, g.error_code,
        g.error_message, g.finished_no, CAST(:now AS timestamptz),
        CASE WHEN g.status = 'running' THEN CAST(:now AS timestamptz) END,
        aureus.from_micros(g.wake_at),
        CASE WHEN g.status = 'skipped' THEN CAST(:now AS timestamptz) END
    FROM run, given AS g
    WHERE g.is_new
), asked AS (
    INSERT INTO aureus.approvals (tenant_id, run_id, scope, name, occurrence, status, message, risk_tier,
        requested_by, requested_at, expires_at)
    SELECT :tenant_id, run.run_id, a.scope, a.name, a.occurrence, 'pending', a.message, a.risk_tier, a.requested_by,
        CAST(:now AS timestamptz), aureus.from_micros(a.expires_at)
    FROM run, json_to_recordset(CAST(:approvals AS json)) AS a (
        scope text, name text, occurrence integer, message text, risk_tier text, requested_by text, expires_at bigint)
), closed AS (
    UPDATE aureus.approvals AS a SET status = 'cancelled', decided_at = CAST(:now AS timestamptz)
    FROM run
    WHERE CAST(:status AS text) IN ('completed', 'failed', 'cancelled')
      AND a.tenant_id = :tenant_id AND a.run_id = :run_id
      AND a.status NOT IN ('approved', 'denied', 'expired', 'cancelled')
)
SELECT run.*, set_config('aureus.mark', :mark, true) FROM run
UNION ALL
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at, NULL
FROM aureus.runs
WHERE tenant_id = :tenant_id AND run_id = :run_id AND transition_id = :transition_id
  AND NOT EXISTS (SELECT FROM run);

-- name: claim_run :one
-- key: run_id
-- records
-- Take an unfinished run over: nobody holds it, or its holder's lease is over, or the holder is known to be dead. Said
-- as what it is not, the status fits none of the partial indexes, which the planner takes for smaller than the key.
WITH run AS (
    UPDATE aureus.runs AS r SET
        status = 'running', version = version + 1, epoch = epoch + 1, lease_id = :lease_id,
        workflow_hash = coalesce(:workflow_hash, workflow_hash),
        transition_id = :transition_id, started_at = coalesce(started_at, CAST(:now AS timestamptz)),
        updated_at = CAST(:now AS timestamptz)
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND status NOT IN ('completed', 'failed', 'cancelled')
      AND transition_id <> :transition_id
      AND (lease_id IS NULL OR lease_id = :dead_lease_id OR NOT EXISTS (
            SELECT FROM aureus.leases AS l
            WHERE l.tenant_id = :tenant_id AND l.lease_id = r.lease_id AND l.expires_at > clock_timestamp()))
    RETURNING run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
        error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
)
SELECT run.*, set_config('aureus.mark', :mark, true) FROM run
UNION ALL
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at, NULL
FROM aureus.runs
WHERE tenant_id = :tenant_id AND run_id = :run_id AND transition_id = :transition_id
  AND NOT EXISTS (SELECT FROM run);

-- name: list_runs :many
-- A page of runs, newest first; served by runs_newest.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND <<listed>> AND (created_at, run_id) < (CAST(:before_at AS timestamptz), :before_id)
ORDER BY created_at DESC, run_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_runs_of_workflow :many
-- A page of the runs of a workflow, newest first; a NULL status lets everything through. Served by runs_workflow.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND <<listed>> AND workflow_id >= :workflow_id
  AND (workflow_id, created_at, run_id) < (:workflow_id, CAST(:before_at AS timestamptz), :before_id)
  AND CASE WHEN CAST(:status AS text) IS NULL OR status = :status THEN 1 END IS NOT NULL
ORDER BY workflow_id DESC, created_at DESC, run_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- name: list_runs_in_status :many
-- A page of the runs that are in a status, newest first. Served by runs_status.
SELECT run_id, workflow_id, workflow_hash, status, phase, version, epoch, lease_id, transition_id, resume_key,
    error_code, error_message, cancel_requested_at, created_at, started_at, completed_at, updated_at
FROM aureus.runs
WHERE tenant_id = :tenant_id AND <<listed>> AND status >= :status
  AND (status, created_at, run_id) < (:status, CAST(:before_at AS timestamptz), :before_id)
ORDER BY status DESC, created_at DESC, run_id DESC
LIMIT (SELECT CAST(:limit AS bigint));

-- why: the journal of runs, the ledger's entries, leases and approvals
-- breaking: no
--
-- Tenants. Every table starts its keys with tenant_id; a policy compares it with the tenant that the first message of
-- a flush bound. A statement without a bound tenant fails, also where no row would match. The named exception is
-- flushes, which holds nothing but identifiers.
--
-- States. A trigger on runs, tasks and approvals refuses a move that aureus.model.states does not list (SQLSTATE
-- AU001).
-- Immutability. events and event_payloads refuse UPDATE, DELETE and TRUNCATE (SQLSTATE AU003).
-- Lock order: a run before its tasks, a state row before its stream, leases alone.

CREATE FUNCTION aureus.tenant() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    bound text := pg_catalog.current_setting('aureus.tenant', true);
BEGIN
    -- A setting made for one transaction leaves '' behind in its session, not NULL.
    IF bound IS NULL OR bound = '' THEN
        RAISE EXCEPTION 'no tenant is bound' USING ERRCODE = 'AU002';
    END IF;
    RETURN bound;
END $$;

CREATE FUNCTION aureus.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are immutable', TG_TABLE_NAME USING ERRCODE = 'AU003';
END $$;

CREATE FUNCTION aureus.check_run_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status IN ('pending', 'running') THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'run % cannot begin as %', NEW.run_id, NEW.status USING ERRCODE = 'AU001';
    END IF;
    IF (OLD.status, NEW.status) IN (
        ('pending', 'running'), ('pending', 'cancelled'),
        ('running', 'paused'), ('running', 'completed'), ('running', 'failed'), ('running', 'cancelled'),
        ('paused', 'running'), ('paused', 'failed'), ('paused', 'cancelled')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'run % is %, it cannot become %', OLD.run_id, OLD.status, NEW.status USING ERRCODE = 'AU001';
END $$;

CREATE FUNCTION aureus.check_task_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status IN ('pending', 'running', 'waiting', 'skipped') THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'task % cannot begin as %', NEW.name, NEW.status USING ERRCODE = 'AU001';
    END IF;
    IF (OLD.status, NEW.status) IN (
        ('pending', 'running'), ('pending', 'waiting'), ('pending', 'skipped'), ('pending', 'cancelled'),
        ('running', 'completed'), ('running', 'failed'), ('running', 'retrying'), ('running', 'timeout'),
        ('running', 'cancelled'),
        ('retrying', 'running'), ('retrying', 'cancelled'),
        ('waiting', 'running'), ('waiting', 'completed'), ('waiting', 'failed'), ('waiting', 'cancelled')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'task % is %, it cannot become %', OLD.name, OLD.status, NEW.status USING ERRCODE = 'AU001';
END $$;

CREATE FUNCTION aureus.check_approval_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status = 'pending' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'approval of % cannot begin as %', NEW.name, NEW.status USING ERRCODE = 'AU001';
    END IF;
    IF OLD.status = 'pending' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'approval of % is %, it cannot become %', OLD.name, OLD.status, NEW.status
        USING ERRCODE = 'AU001';
END $$;

-- Workflows: what may run. A version is named by the hash of its meaning and never changes.

CREATE TABLE aureus.workflows (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    workflow_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    hash text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id)
);

CREATE TABLE aureus.workflow_versions (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    workflow_id text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL,
    definition json NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id, hash)
);

-- Runs: one narrow row for each execution, updated in place by every transition (epoch is the fence). What is wide
-- and does not change lies in run_inputs.

CREATE TABLE aureus.runs (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    run_id text COLLATE "C" NOT NULL,
    workflow_id text COLLATE "C" NOT NULL,
    workflow_hash text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    phase text COLLATE "C" NOT NULL CHECK (phase IN ('forward', 'compensating')),
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    lease_id text COLLATE "C",
    transition_id text COLLATE "C" NOT NULL,
    resume_key text COLLATE "C",
    error_code text,
    error_message text,
    cancel_requested_at timestamptz,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, workflow_id, workflow_hash)
        REFERENCES aureus.workflow_versions (tenant_id, workflow_id, hash)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX runs_unfinished ON aureus.runs (tenant_id, resume_key)
    WHERE status IN ('pending', 'running', 'paused');
CREATE INDEX runs_newest ON aureus.runs (tenant_id, created_at, run_id);
CREATE INDEX runs_leased ON aureus.runs (tenant_id, lease_id)
    WHERE status IN ('pending', 'running', 'paused') AND lease_id IS NOT NULL;

CREATE TABLE aureus.run_inputs (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    run_id text COLLATE "C" NOT NULL,
    inputs json NOT NULL,
    directory text NOT NULL,
    approve_from text COLLATE "C",
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES aureus.runs (tenant_id, run_id) ON DELETE CASCADE
);

-- Tasks: the journal of a run, for workflow files and Python functions alike. scope is '' for the run itself, or names
-- an item of a loop, a child or a compensation; occurrence counts calls of one name.

CREATE TABLE aureus.tasks (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    run_id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('task', 'timer', 'signal', 'child', 'marker')),
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('pending', 'running', 'waiting', 'retrying', 'completed', 'failed', 'timeout', 'skipped',
                          'cancelled')),
    attempt integer NOT NULL,
    interruptions integer NOT NULL,
    epoch bigint NOT NULL,
    tool text,
    input_hash text COLLATE "C",
    code_version text COLLATE "C",
    idempotency_key text COLLATE "C",
    replayed boolean NOT NULL,
    result json,
    error_code text,
    error_message text,
    finished_no integer,
    scheduled_at timestamptz NOT NULL,
    started_at timestamptz,
    wake_at timestamptz,
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, run_id, scope, name, occurrence),
    FOREIGN KEY (tenant_id, run_id) REFERENCES aureus.runs (tenant_id, run_id) ON DELETE CASCADE
) WITH (fillfactor = 80);

-- Results too large for a journal row.

CREATE TABLE aureus.task_results (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    run_id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    result json NOT NULL,
    PRIMARY KEY (tenant_id, run_id, scope, name, occurrence),
    FOREIGN KEY (tenant_id, run_id, scope, name, occurrence)
        REFERENCES aureus.tasks (tenant_id, run_id, scope, name, occurrence) ON DELETE CASCADE
);

-- Idempotency keys that authors gave: one effect for a key, whatever run asks for it. The result is the task's.

CREATE TABLE aureus.idempotency_keys (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    idempotency_key text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    input_hash text COLLATE "C" NOT NULL,
    reserved_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, idempotency_key)
);

-- Approvals: a question to a person, asked by a task, answered once.

CREATE TABLE aureus.approvals (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    run_id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    occurrence integer NOT NULL,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'cancelled')),
    message text NOT NULL,
    risk_tier text COLLATE "C",
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    expires_at timestamptz,
    decision_id text COLLATE "C",
    decided_by text,
    decided_at timestamptz,
    reason text,
    PRIMARY KEY (tenant_id, run_id, scope, name, occurrence),
    FOREIGN KEY (tenant_id, run_id) REFERENCES aureus.runs (tenant_id, run_id) ON DELETE CASCADE
);

CREATE INDEX approvals_pending ON aureus.approvals (tenant_id, requested_at) WHERE status = 'pending';

-- Leases: one row for each process that works on runs of a tenant. Deadlines are the database's own time.

CREATE TABLE aureus.leases (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    lease_id text COLLATE "C" NOT NULL,
    host text NOT NULL,
    boot_id text NOT NULL,
    pid integer NOT NULL,
    process_start text NOT NULL,
    acquired_at timestamptz NOT NULL,
    renewed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, lease_id)
) WITH (fillfactor = 50);

-- The ledger's entries. entry_no comes from one sequence, taken while the stream's row is locked, so that versions and
-- entry numbers rise together; append_no is the lowest entry_no of the append. An event with an action is an audit
-- entry. Salt and payload lie apart, so that they can be erased without touching an entry.

CREATE SEQUENCE aureus.entry_no AS bigint CACHE 1;

CREATE TABLE aureus.streams (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    stream text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, stream)
) WITH (fillfactor = 70);

CREATE TABLE aureus.events (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    entry_no bigint NOT NULL,
    append_no bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    occurred_at timestamptz NOT NULL,
    correlation_id text COLLATE "C",
    action text COLLATE "C",
    resource text COLLATE "C",
    outcome text COLLATE "C",
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    PRIMARY KEY (tenant_id, entry_no),
    UNIQUE (tenant_id, stream, version),
    UNIQUE (tenant_id, event_id)
);

CREATE INDEX events_audit ON aureus.events (tenant_id, action, entry_no) WHERE action IS NOT NULL;

CREATE TABLE aureus.event_payloads (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    entry_no bigint NOT NULL,
    salt bytea NOT NULL CHECK (octet_length(salt) = 32),
    payload bytea NOT NULL,
    metadata bytea,
    PRIMARY KEY (tenant_id, entry_no),
    FOREIGN KEY (tenant_id, entry_no) REFERENCES aureus.events (tenant_id, entry_no)
);

-- One identifier for each flush: whoever inserts it first decides whether a commit in doubt happened.

CREATE TABLE aureus.flushes (
    flush_id text COLLATE "C" PRIMARY KEY,
    flushed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER runs_move_insert BEFORE INSERT ON aureus.runs
    FOR EACH ROW EXECUTE FUNCTION aureus.check_run_move();
CREATE TRIGGER runs_move_update BEFORE UPDATE OF status ON aureus.runs
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION aureus.check_run_move();
CREATE TRIGGER tasks_move_insert BEFORE INSERT ON aureus.tasks
    FOR EACH ROW EXECUTE FUNCTION aureus.check_task_move();
CREATE TRIGGER tasks_move_update BEFORE UPDATE OF status ON aureus.tasks
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION aureus.check_task_move();
CREATE TRIGGER approvals_move_insert BEFORE INSERT ON aureus.approvals
    FOR EACH ROW EXECUTE FUNCTION aureus.check_approval_move();
CREATE TRIGGER approvals_move_update BEFORE UPDATE OF status ON aureus.approvals
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION aureus.check_approval_move();
CREATE TRIGGER events_immutable BEFORE UPDATE OR DELETE ON aureus.events
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON aureus.events
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER event_payloads_immutable BEFORE UPDATE OR DELETE ON aureus.event_payloads
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER event_payloads_no_truncate BEFORE TRUNCATE ON aureus.event_payloads
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

-- Row level security: forced, so that the owner is held by it too.

ALTER TABLE aureus.workflows ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.workflows FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.workflows
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.workflow_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.workflow_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.workflow_versions
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.runs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.runs
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.run_inputs ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.run_inputs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.run_inputs
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.tasks
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.task_results ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.task_results FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.task_results
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.idempotency_keys
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.approvals
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.leases FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.leases
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.streams ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.streams FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.streams
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.events ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.events
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.event_payloads ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.event_payloads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.event_payloads
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

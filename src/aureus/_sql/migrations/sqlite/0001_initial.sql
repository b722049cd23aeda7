-- why: the journal of runs, the ledger's entries, leases and approvals
-- breaking: no
--
-- Times are INTEGER microseconds since 1970 UTC, JSON is TEXT, truth is 0 or 1. Every table starts its keys with
-- tenant_id and every statement compares it, which a test over the catalogue proves; the named exception is the row
-- number of events, which SQLite hands out itself.
--
-- States. A trigger on runs, tasks and approvals refuses a move that aureus.model.states does not list (AU001).
-- Immutability. events and event_payloads refuse UPDATE and DELETE (AU003).

-- Workflows: what may run. A version is named by the hash of its meaning and never changes.

CREATE TABLE aureus.workflows (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    workflow_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id)
) STRICT;

CREATE TABLE aureus.workflow_versions (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    workflow_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id, hash)
) STRICT;

-- Runs: one narrow row for each execution, updated in place by every transition (epoch is the fence). What is wide
-- and does not change lies in run_inputs.

CREATE TABLE aureus.runs (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    run_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    workflow_hash TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    phase TEXT NOT NULL CHECK (phase IN ('forward', 'compensating')),
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    lease_id TEXT,
    transition_id TEXT NOT NULL,
    resume_key TEXT,
    error_code TEXT,
    error_message TEXT,
    cancel_requested_at INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, workflow_id, workflow_hash)
        REFERENCES aureus.workflow_versions (tenant_id, workflow_id, hash)
) STRICT;

CREATE UNIQUE INDEX runs_unfinished ON aureus.runs (tenant_id, resume_key)
    WHERE status IN ('pending', 'running', 'paused');
CREATE INDEX runs_newest ON aureus.runs (tenant_id, created_at, run_id);
CREATE INDEX runs_leased ON aureus.runs (tenant_id, lease_id)
    WHERE status IN ('pending', 'running', 'paused') AND lease_id IS NOT NULL;

CREATE TABLE aureus.run_inputs (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    run_id TEXT NOT NULL,
    inputs TEXT NOT NULL,
    directory TEXT NOT NULL,
    approve_from TEXT,
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES aureus.runs (tenant_id, run_id) ON DELETE CASCADE
) STRICT;

-- Tasks: the journal of a run, for workflow files and Python functions alike. scope is '' for the run itself, or names
-- an item of a loop, a child or a compensation; occurrence counts calls of one name.

CREATE TABLE aureus.tasks (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    run_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('task', 'timer', 'signal', 'child', 'marker')),
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'running', 'waiting', 'retrying', 'completed', 'failed', 'timeout', 'skipped',
                          'cancelled')),
    attempt INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    tool TEXT,
    input_hash TEXT,
    code_version TEXT,
    idempotency_key TEXT,
    replayed INTEGER NOT NULL,
    result TEXT,
    error_code TEXT,
    error_message TEXT,
    finished_no INTEGER,
    scheduled_at INTEGER NOT NULL,
    started_at INTEGER,
    wake_at INTEGER,
    completed_at INTEGER,
    PRIMARY KEY (tenant_id, run_id, scope, name, occurrence),
    FOREIGN KEY (tenant_id, run_id) REFERENCES aureus.runs (tenant_id, run_id) ON DELETE CASCADE
) STRICT;

-- Results too large for a journal row.

CREATE TABLE aureus.task_results (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    run_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (tenant_id, run_id, scope, name, occurrence),
    FOREIGN KEY (tenant_id, run_id, scope, name, occurrence)
        REFERENCES aureus.tasks (tenant_id, run_id, scope, name, occurrence) ON DELETE CASCADE
) STRICT;

-- Idempotency keys that authors gave: one effect for a key, whatever run asks for it. The result is the task's.

CREATE TABLE aureus.idempotency_keys (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    idempotency_key TEXT NOT NULL,
    run_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    input_hash TEXT NOT NULL,
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, idempotency_key)
) STRICT;

-- Approvals: a question to a person, asked by a task, answered once.

CREATE TABLE aureus.approvals (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    run_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'cancelled')),
    message TEXT NOT NULL,
    risk_tier TEXT,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    expires_at INTEGER,
    decision_id TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    reason TEXT,
    PRIMARY KEY (tenant_id, run_id, scope, name, occurrence),
    FOREIGN KEY (tenant_id, run_id) REFERENCES aureus.runs (tenant_id, run_id) ON DELETE CASCADE
) STRICT;

CREATE INDEX approvals_pending ON aureus.approvals (tenant_id, requested_at) WHERE status = 'pending';

-- Leases: one row for each process that works on runs of a tenant. Deadlines are the database's own time.

CREATE TABLE aureus.leases (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    lease_id TEXT NOT NULL,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_start TEXT NOT NULL,
    acquired_at INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, lease_id)
) STRICT;

-- The ledger's entries. entry_no is the row's own rising number and is never used twice; append_no is the lowest
-- entry_no of the append. One writer at a time makes versions and entry numbers rise together. An event with an action
-- is an audit entry. Salt and payload lie apart, so that they can be erased without touching an entry.

CREATE TABLE aureus.streams (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    stream TEXT NOT NULL,
    category TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, stream)
) STRICT;

CREATE TABLE aureus.events (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    entry_no INTEGER PRIMARY KEY AUTOINCREMENT,
    append_no INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    type TEXT NOT NULL,
    actor TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    correlation_id TEXT,
    action TEXT,
    resource TEXT,
    outcome TEXT,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    UNIQUE (tenant_id, entry_no),
    UNIQUE (tenant_id, stream, version),
    UNIQUE (tenant_id, event_id)
) STRICT;

CREATE INDEX events_audit ON aureus.events (tenant_id, action, entry_no) WHERE action IS NOT NULL;

CREATE TABLE aureus.event_payloads (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    entry_no INTEGER NOT NULL,
    salt BLOB NOT NULL CHECK (length(salt) = 32),
    payload BLOB NOT NULL,
    metadata BLOB,
    PRIMARY KEY (tenant_id, entry_no),
    FOREIGN KEY (tenant_id, entry_no) REFERENCES aureus.events (tenant_id, entry_no)
) STRICT;

CREATE TRIGGER runs_move_insert BEFORE INSERT ON aureus.runs
WHEN NEW.status NOT IN ('pending', 'running')
BEGIN
    SELECT RAISE(ABORT, 'AU001: this run cannot begin in that state');
END;

CREATE TRIGGER runs_move_update BEFORE UPDATE OF status ON aureus.runs
WHEN OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (VALUES
        ('pending', 'running'), ('pending', 'cancelled'),
        ('running', 'paused'), ('running', 'completed'), ('running', 'failed'), ('running', 'cancelled'),
        ('paused', 'running'), ('paused', 'failed'), ('paused', 'cancelled'))
BEGIN
    SELECT RAISE(ABORT, 'AU001: this run is in a state that does not lead to the one asked for');
END;

CREATE TRIGGER tasks_move_insert BEFORE INSERT ON aureus.tasks
WHEN NEW.status NOT IN ('pending', 'running', 'waiting', 'skipped')
BEGIN
    SELECT RAISE(ABORT, 'AU001: this task cannot begin in that state');
END;

CREATE TRIGGER tasks_move_update BEFORE UPDATE OF status ON aureus.tasks
WHEN OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (VALUES
        ('pending', 'running'), ('pending', 'waiting'), ('pending', 'skipped'), ('pending', 'cancelled'),
        ('running', 'completed'), ('running', 'failed'), ('running', 'retrying'), ('running', 'timeout'),
        ('running', 'cancelled'), ('retrying', 'running'), ('retrying', 'cancelled'),
        ('waiting', 'running'), ('waiting', 'completed'), ('waiting', 'failed'), ('waiting', 'cancelled'))
BEGIN
    SELECT RAISE(ABORT, 'AU001: this task is in a state that does not lead to the one asked for');
END;

CREATE TRIGGER approvals_move_insert BEFORE INSERT ON aureus.approvals
WHEN NEW.status NOT IN ('pending')
BEGIN
    SELECT RAISE(ABORT, 'AU001: this approval cannot begin in that state');
END;

CREATE TRIGGER approvals_move_update BEFORE UPDATE OF status ON aureus.approvals
WHEN OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (VALUES
        ('pending', 'approved'), ('pending', 'denied'), ('pending', 'expired'), ('pending', 'cancelled'))
BEGIN
    SELECT RAISE(ABORT, 'AU001: this approval is in a state that does not lead to the one asked for');
END;

CREATE TRIGGER events_no_update BEFORE UPDATE ON aureus.events
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of events are immutable');
END;

CREATE TRIGGER events_no_delete BEFORE DELETE ON aureus.events
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of events are immutable');
END;

CREATE TRIGGER event_payloads_no_update BEFORE UPDATE ON aureus.event_payloads
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of event_payloads are immutable');
END;

CREATE TRIGGER event_payloads_no_delete BEFORE DELETE ON aureus.event_payloads
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of event_payloads are immutable');
END;

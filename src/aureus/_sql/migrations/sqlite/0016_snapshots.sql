-- why: snapshots of agents, and going back to them
-- breaking: no
--
-- A snapshot is immutable but for the mark of its last verification; its root covers its row and its parts, and stands
-- in the ledger too.

CREATE TABLE aureus.snapshots (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    snapshot_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    user_id TEXT,
    namespace TEXT,
    world_scope TEXT,
    collection TEXT NOT NULL,
    session_ids TEXT,
    run_id TEXT,
    task_id TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    risk_tier TEXT CHECK (risk_tier IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    ledger_key TEXT NOT NULL,
    ledger_incarnation INTEGER NOT NULL CHECK (ledger_incarnation > 0),
    ledger_size INTEGER NOT NULL CHECK (ledger_size >= 0),
    ledger_root BLOB NOT NULL CHECK (length(ledger_root) = 32),
    as_of_size INTEGER,
    state_count INTEGER NOT NULL CHECK (state_count >= 0),
    memory_count INTEGER NOT NULL CHECK (memory_count >= 0),
    state_hash BLOB NOT NULL CHECK (length(state_hash) = 32),
    root BLOB NOT NULL CHECK (length(root) = 32),
    is_verified INTEGER NOT NULL CHECK (is_verified IN (0, 1)),
    verified_at INTEGER,
    PRIMARY KEY (tenant_id, snapshot_id)
) STRICT;

CREATE INDEX snapshots_newest ON aureus.snapshots (tenant_id, created_at, snapshot_id);
CREATE INDEX snapshots_agent ON aureus.snapshots (tenant_id, agent_id, created_at, snapshot_id);
CREATE INDEX snapshots_run ON aureus.snapshots (tenant_id, run_id, created_at, snapshot_id) WHERE run_id IS NOT NULL;

-- What a snapshot holds, in the order of its leaves: keys and sessions with their content, memories as pointers.
-- Erasing a person takes the content of a session away, on record; its hash stays, and with it the root.

CREATE TABLE aureus.snapshot_parts (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    snapshot_id TEXT NOT NULL,
    part_no INTEGER NOT NULL CHECK (part_no > 0),
    kind TEXT NOT NULL CHECK (kind IN ('world_state', 'session', 'memory')),
    place TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    content TEXT,
    erasure_record_id TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, snapshot_id, part_no),
    FOREIGN KEY (tenant_id, snapshot_id) REFERENCES aureus.snapshots (tenant_id, snapshot_id) ON DELETE CASCADE
) STRICT;

CREATE INDEX snapshot_parts_memory ON aureus.snapshot_parts (tenant_id, name, created_at, snapshot_id)
    WHERE kind = 'memory';
CREATE INDEX snapshot_parts_session ON aureus.snapshot_parts (tenant_id, place, name, snapshot_id)
    WHERE kind = 'session' AND content IS NOT NULL;

-- What going back to snapshots did; a snapshot may be deleted later.

CREATE TABLE aureus.rollbacks (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    rollback_id TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    before_id TEXT NOT NULL,
    approval_id TEXT,
    risk_tier TEXT NOT NULL CHECK (risk_tier IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    actor TEXT NOT NULL,
    reason TEXT,
    created_at INTEGER NOT NULL,
    counts TEXT NOT NULL,
    kept TEXT NOT NULL,
    PRIMARY KEY (tenant_id, rollback_id)
) STRICT;

CREATE INDEX rollbacks_newest ON aureus.rollbacks (tenant_id, created_at, rollback_id);

-- Questions whether an agent may go back: bound to a snapshot by its root, answered once, good for one rollback.

CREATE TABLE aureus.rollback_approvals (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    approval_id TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    risk_tier TEXT NOT NULL CHECK (risk_tier IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'used')),
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    reason TEXT,
    needs_another INTEGER NOT NULL CHECK (needs_another IN (0, 1)),
    decision_id TEXT,
    decided_by TEXT,
    decided_at INTEGER,
    decision_reason TEXT,
    rollback_id TEXT,
    PRIMARY KEY (tenant_id, approval_id)
) STRICT;

CREATE INDEX rollback_approvals_newest ON aureus.rollback_approvals (tenant_id, requested_at, approval_id);

CREATE TRIGGER snapshots_no_update BEFORE UPDATE OF
    tenant_id, snapshot_id, agent_id, user_id, namespace, world_scope, collection, session_ids, run_id, task_id,
    created_at, created_by, risk_tier, tags, metadata, ledger_key, ledger_incarnation, ledger_size, ledger_root,
    as_of_size, state_count, memory_count, state_hash, root
    ON aureus.snapshots
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of snapshots are immutable');
END;

CREATE TRIGGER snapshot_parts_no_update BEFORE UPDATE OF
    tenant_id, snapshot_id, part_no, kind, place, name, version, content_hash, leaf_hash, created_at
    ON aureus.snapshot_parts
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of snapshot_parts are immutable');
END;

CREATE TRIGGER snapshot_parts_only_erased BEFORE UPDATE OF content, erasure_record_id ON aureus.snapshot_parts
WHEN NEW.content IS NOT NULL OR NEW.erasure_record_id IS NULL OR OLD.kind <> 'session'
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of snapshot_parts are immutable');
END;

CREATE TRIGGER rollbacks_no_update BEFORE UPDATE ON aureus.rollbacks
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of rollbacks are immutable');
END;

CREATE TRIGGER rollbacks_no_delete BEFORE DELETE ON aureus.rollbacks
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of rollbacks are immutable');
END;

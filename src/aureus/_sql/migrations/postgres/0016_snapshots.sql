-- why: snapshots of agents, and going back to them
-- breaking: no
--
-- A snapshot is immutable but for the mark of its last verification; its root covers its row and its parts, and stands
-- in the ledger too.
--
-- Lock order: the head of the ledger, then what is captured or brought back, then the snapshot.

CREATE TABLE aureus.snapshots (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    snapshot_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C",
    namespace text COLLATE "C",
    world_scope text COLLATE "C",
    collection text COLLATE "C" NOT NULL,
    session_ids json,
    run_id text COLLATE "C",
    task_id text COLLATE "C",
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    risk_tier text COLLATE "C" CHECK (risk_tier IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    tags json NOT NULL,
    metadata json NOT NULL,
    ledger_key text COLLATE "C" NOT NULL,
    ledger_incarnation integer NOT NULL CHECK (ledger_incarnation > 0),
    ledger_size bigint NOT NULL CHECK (ledger_size >= 0),
    ledger_root bytea NOT NULL CHECK (octet_length(ledger_root) = 32),
    as_of_size bigint,
    state_count integer NOT NULL CHECK (state_count >= 0),
    memory_count integer NOT NULL CHECK (memory_count >= 0),
    state_hash bytea NOT NULL CHECK (octet_length(state_hash) = 32),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    is_verified boolean NOT NULL,
    verified_at timestamptz,
    PRIMARY KEY (tenant_id, snapshot_id)
);

CREATE INDEX snapshots_newest ON aureus.snapshots (tenant_id, created_at, snapshot_id);
CREATE INDEX snapshots_agent ON aureus.snapshots (tenant_id, agent_id, created_at, snapshot_id);
CREATE INDEX snapshots_run ON aureus.snapshots (tenant_id, run_id, created_at, snapshot_id) WHERE run_id IS NOT NULL;

-- What a snapshot holds, in the order of its leaves: keys and sessions with their content, memories as pointers.
-- Erasing a person takes the content of a session away, on record; its hash stays, and with it the root.

CREATE TABLE aureus.snapshot_parts (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    snapshot_id text COLLATE "C" NOT NULL,
    part_no integer NOT NULL CHECK (part_no > 0),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('world_state', 'session', 'memory')),
    place text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    content text,
    erasure_record_id text COLLATE "C",
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, snapshot_id, part_no),
    FOREIGN KEY (tenant_id, snapshot_id) REFERENCES aureus.snapshots (tenant_id, snapshot_id) ON DELETE CASCADE
);

CREATE INDEX snapshot_parts_memory ON aureus.snapshot_parts (tenant_id, name, created_at, snapshot_id)
    WHERE kind = 'memory';
CREATE INDEX snapshot_parts_session ON aureus.snapshot_parts (tenant_id, place, name, snapshot_id)
    WHERE kind = 'session' AND content IS NOT NULL;

-- What going back to snapshots did; a snapshot may be deleted later.

CREATE TABLE aureus.rollbacks (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    rollback_id text COLLATE "C" NOT NULL,
    snapshot_id text COLLATE "C" NOT NULL,
    before_id text COLLATE "C" NOT NULL,
    approval_id text COLLATE "C",
    risk_tier text COLLATE "C" NOT NULL CHECK (risk_tier IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    actor text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL,
    counts json NOT NULL,
    kept json NOT NULL,
    PRIMARY KEY (tenant_id, rollback_id)
);

CREATE INDEX rollbacks_newest ON aureus.rollbacks (tenant_id, created_at, rollback_id);

-- Questions whether an agent may go back: bound to a snapshot by its root, answered once, good for one rollback.

CREATE TABLE aureus.rollback_approvals (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    approval_id text COLLATE "C" NOT NULL,
    snapshot_id text COLLATE "C" NOT NULL,
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    risk_tier text COLLATE "C" NOT NULL CHECK (risk_tier IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    status text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'used')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    reason text,
    needs_another boolean NOT NULL,
    decision_id text COLLATE "C",
    decided_by text,
    decided_at timestamptz,
    decision_reason text,
    rollback_id text COLLATE "C",
    PRIMARY KEY (tenant_id, approval_id)
);

CREATE INDEX rollback_approvals_newest ON aureus.rollback_approvals (tenant_id, requested_at, approval_id);

CREATE TRIGGER snapshots_immutable BEFORE UPDATE OF
    tenant_id, snapshot_id, agent_id, user_id, namespace, world_scope, collection, session_ids, run_id, task_id,
    created_at, created_by, risk_tier, tags, metadata, ledger_key, ledger_incarnation, ledger_size, ledger_root,
    as_of_size, state_count, memory_count, state_hash, root
    ON aureus.snapshots FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER snapshots_no_truncate BEFORE TRUNCATE ON aureus.snapshots
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER snapshot_parts_immutable BEFORE UPDATE OF
    tenant_id, snapshot_id, part_no, kind, place, name, version, content_hash, leaf_hash, created_at
    ON aureus.snapshot_parts FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER snapshot_parts_only_erased BEFORE UPDATE OF content, erasure_record_id ON aureus.snapshot_parts
    FOR EACH ROW WHEN (NEW.content IS NOT NULL OR NEW.erasure_record_id IS NULL OR OLD.kind <> 'session')
    EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER snapshot_parts_no_truncate BEFORE TRUNCATE ON aureus.snapshot_parts
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER rollbacks_immutable BEFORE UPDATE OR DELETE ON aureus.rollbacks
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER rollbacks_no_truncate BEFORE TRUNCATE ON aureus.rollbacks
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

ALTER TABLE aureus.snapshots ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.snapshots FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.snapshots
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.snapshot_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.snapshot_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.snapshot_parts
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.rollbacks ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.rollbacks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.rollbacks
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.rollback_approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.rollback_approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.rollback_approvals
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

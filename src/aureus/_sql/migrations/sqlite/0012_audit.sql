-- why: the audit trail: found by who, what, when and what it refers to; a mode of its own for each tenant
-- breaking: no
--
-- An audit entry is an event with an action, so its columns are those of the event and the indexes below hold nothing
-- else. What it refers to beside them comes from its payload: audit_references holds no more than what can be derived
-- from those bytes again, which is how it is verified. occurred_at is that of the entry, so that a list by reference
-- is in the order of all others.

DROP INDEX aureus.events_audit;
CREATE INDEX events_audit ON aureus.events (tenant_id, occurred_at, entry_no) WHERE action IS NOT NULL;
CREATE INDEX events_audit_actor ON aureus.events (tenant_id, actor, occurred_at, entry_no) WHERE action IS NOT NULL;
CREATE INDEX events_audit_action ON aureus.events (tenant_id, action, occurred_at, entry_no) WHERE action IS NOT NULL;
CREATE INDEX events_audit_resource ON aureus.events (tenant_id, resource, occurred_at, entry_no)
    WHERE action IS NOT NULL AND resource IS NOT NULL;
CREATE INDEX events_audit_correlation ON aureus.events (tenant_id, correlation_id, occurred_at, entry_no)
    WHERE action IS NOT NULL AND correlation_id IS NOT NULL;

CREATE TABLE aureus.audit_references (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    kind TEXT NOT NULL CHECK (kind IN ('run', 'task', 'step', 'source_event')),
    value TEXT NOT NULL CHECK (value <> ''),
    occurred_at INTEGER NOT NULL,
    entry_no INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, kind, value, occurred_at, entry_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_references_entry ON aureus.audit_references (tenant_id, entry_no);

CREATE TRIGGER audit_references_no_update BEFORE UPDATE ON aureus.audit_references
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of audit_references are immutable');
END;

CREATE TRIGGER audit_references_no_delete BEFORE DELETE ON aureus.audit_references
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of audit_references are immutable');
END;

-- mode is null where a tenant has gone back to what the settings say; the row stays, so that its version counts on.

CREATE TABLE aureus.audit_modes (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    mode TEXT CHECK (mode IN ('decisions', 'all', 'off')),
    version INTEGER NOT NULL CHECK (version > 0),
    operation_id TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

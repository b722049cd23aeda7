-- why: the audit trail: found by who, what, when and what it refers to; a mode of its own for each tenant
-- breaking: no
--
-- An audit entry is an event with an action, so its columns are those of the event and the indexes below hold nothing
-- else. What it refers to beside them comes from its payload: audit_references holds no more than what can be derived
-- from those bytes again, which is how it is verified. occurred_at is that of the entry, so that a list by reference
-- is in the order of all others.
--
-- Lock order: an entry before what it refers to. The mode of a tenant is one row; nothing is locked behind it but the
-- stream of its event.

DROP INDEX aureus.events_audit;
CREATE INDEX events_audit ON aureus.events (tenant_id, occurred_at, entry_no) WHERE action IS NOT NULL;
CREATE INDEX events_audit_actor ON aureus.events (tenant_id, actor COLLATE "C", occurred_at, entry_no)
    WHERE action IS NOT NULL;
CREATE INDEX events_audit_action ON aureus.events (tenant_id, action, occurred_at, entry_no)
    WHERE action IS NOT NULL;
CREATE INDEX events_audit_resource ON aureus.events (tenant_id, resource, occurred_at, entry_no)
    WHERE action IS NOT NULL AND resource IS NOT NULL;
CREATE INDEX events_audit_correlation ON aureus.events (tenant_id, correlation_id, occurred_at, entry_no)
    WHERE action IS NOT NULL AND correlation_id IS NOT NULL;

CREATE TABLE aureus.audit_references (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('run', 'task', 'step', 'source_event')),
    value text COLLATE "C" NOT NULL CHECK (value <> ''),
    occurred_at timestamptz NOT NULL,
    entry_no bigint NOT NULL,
    PRIMARY KEY (tenant_id, kind, value, occurred_at, entry_no)
);

CREATE INDEX audit_references_entry ON aureus.audit_references (tenant_id, entry_no);

CREATE TRIGGER audit_references_immutable BEFORE UPDATE OR DELETE ON aureus.audit_references
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER audit_references_no_truncate BEFORE TRUNCATE ON aureus.audit_references
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

-- mode is null where a tenant has gone back to what the settings say; the row stays, so that its version counts on.

CREATE TABLE aureus.audit_modes (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    mode text COLLATE "C" CHECK (mode IN ('decisions', 'all', 'off')),
    version bigint NOT NULL CHECK (version > 0),
    operation_id text COLLATE "C" NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);

ALTER TABLE aureus.audit_references ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.audit_references FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.audit_references
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.audit_modes ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.audit_modes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.audit_modes
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

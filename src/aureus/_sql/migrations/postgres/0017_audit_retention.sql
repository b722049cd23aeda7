-- why: retention of the audit trail: payloads of its oldest entries go, on record and with every proof intact
-- breaking: no
--
-- What an entry refers to goes with its payload, so audit_references lets go of a row as event_payloads does: when
-- erased_entries names it under a record that was appended before.

CREATE TABLE aureus.audit_retention (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    pruned_to bigint NOT NULL CHECK (pruned_to >= 0),
    pruned_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);

DROP TRIGGER audit_references_immutable ON aureus.audit_references;
CREATE TRIGGER audit_references_immutable BEFORE UPDATE ON aureus.audit_references
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER audit_references_recorded BEFORE DELETE ON aureus.audit_references
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_unrecorded_erasure();

ALTER TABLE aureus.audit_retention ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.audit_retention FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.audit_retention
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

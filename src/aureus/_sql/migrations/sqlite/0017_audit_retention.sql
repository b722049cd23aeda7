-- why: retention of the audit trail: payloads of its oldest entries go, on record and with every proof intact
-- breaking: no
--
-- What an entry refers to goes with its payload, so audit_references lets go of a row as event_payloads does: when
-- erased_entries names it under a record that was appended before.

CREATE TABLE aureus.audit_retention (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    pruned_to INTEGER NOT NULL CHECK (pruned_to >= 0),
    pruned_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

DROP TRIGGER aureus.audit_references_no_delete;

CREATE TRIGGER audit_references_recorded BEFORE DELETE ON aureus.audit_references
WHEN NOT EXISTS (
    SELECT 1 FROM aureus.erased_entries AS x
    CROSS JOIN aureus.events AS e
        ON e.tenant_id = x.tenant_id AND e.event_id = x.record_id AND e.type = 'payloads_erased'
    WHERE x.tenant_id = OLD.tenant_id AND x.entry_no = OLD.entry_no)
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of audit_references are deleted only on record of an erasure');
END;

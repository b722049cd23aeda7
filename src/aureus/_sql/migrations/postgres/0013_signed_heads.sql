-- why: a ledger never signs two heads that contradict each other, so what was signed is kept in the same commit
-- breaking: no
--
-- Lock order: the tenant's head in ledger_heads before its signed heads.

CREATE TABLE aureus.signed_heads (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    incarnation integer NOT NULL CHECK (incarnation > 0),
    size bigint NOT NULL CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, size)
);

ALTER TABLE aureus.signed_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.signed_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.signed_heads
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

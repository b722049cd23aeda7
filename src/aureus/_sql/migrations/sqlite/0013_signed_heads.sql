-- why: a ledger never signs two heads that contradict each other, so what was signed is kept in the same commit
-- breaking: no

CREATE TABLE aureus.signed_heads (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    incarnation INTEGER NOT NULL CHECK (incarnation > 0),
    size INTEGER NOT NULL CHECK (size > 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note TEXT NOT NULL,
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, size)
) STRICT, WITHOUT ROWID;

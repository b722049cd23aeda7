-- why: the order of entries that no reader can miss, and the Merkle tree over it
-- breaking: no
--
-- One writer at a time: the order of entry numbers is the order of committing, so that what is not sealed yet is what
-- lies behind the head's last entry. A commit seals its own entries into one row of ledger_batches; positions are
-- dense.
-- ledger_nodes holds the roots of complete subtrees of 2^8, 2^16 … leaves, so that a proof reads little.

CREATE TABLE aureus.ledger_heads (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    tenant_key TEXT NOT NULL,
    incarnation INTEGER NOT NULL CHECK (incarnation > 0),
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    peaks BLOB NOT NULL CHECK (length(peaks) % 32 = 0),
    last_entry_no INTEGER NOT NULL,
    sealed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.ledger_batches (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    first_position INTEGER NOT NULL CHECK (first_position >= 0),
    size INTEGER NOT NULL CHECK (size > 0),
    first_entry_no INTEGER NOT NULL,
    last_entry_no INTEGER NOT NULL,
    entry_nos TEXT NOT NULL,
    leaf_hashes BLOB NOT NULL CHECK (length(leaf_hashes) = 32 * size),
    sealed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, first_position)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_batches_entries ON aureus.ledger_batches (tenant_id, last_entry_no, first_entry_no);

CREATE TABLE aureus.ledger_nodes (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    level INTEGER NOT NULL CHECK (level > 0),
    node_no INTEGER NOT NULL CHECK (node_no >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, level, node_no)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_batches_no_update BEFORE UPDATE ON aureus.ledger_batches
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of ledger_batches are immutable');
END;

CREATE TRIGGER ledger_batches_no_delete BEFORE DELETE ON aureus.ledger_batches
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of ledger_batches are immutable');
END;

CREATE TRIGGER ledger_nodes_no_update BEFORE UPDATE ON aureus.ledger_nodes
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of ledger_nodes are immutable');
END;

CREATE TRIGGER ledger_nodes_no_delete BEFORE DELETE ON aureus.ledger_nodes
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of ledger_nodes are immutable');
END;

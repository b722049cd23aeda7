-- why: the order of entries that no reader can miss, and the Merkle tree over it
-- breaking: no
--
-- Writers append without a position and leave the hash of each entry in ledger_pending. A sealing round locks the
-- tenant's head, and in a later statement moves what is then visible into one row of ledger_batches: positions are
-- dense, and a late commit simply gets a later one. Nothing that was appended is ever updated.
--
-- A batch is one row: 38 bytes an entry, against 157 for a row each, at half the processor time (docs/design/0017).
-- ledger_nodes holds the roots of complete subtrees of 2^8, 2^16 … leaves, so that a proof reads little.
--
-- Lock order: a head after all else that the same transaction locks, and before its batches.

CREATE TABLE aureus.ledger_heads (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    tenant_key text COLLATE "C" NOT NULL,
    incarnation integer NOT NULL CHECK (incarnation > 0),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    peaks bytea NOT NULL CHECK (octet_length(peaks) % 32 = 0),
    last_entry_no bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
) WITH (fillfactor = 50);

CREATE TABLE aureus.ledger_pending (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    append_no bigint NOT NULL,
    entry_no bigint NOT NULL,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    PRIMARY KEY (tenant_id, append_no, entry_no)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE aureus.ledger_batches (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    first_position bigint NOT NULL CHECK (first_position >= 0),
    size integer NOT NULL CHECK (size > 0),
    first_entry_no bigint NOT NULL,
    last_entry_no bigint NOT NULL,
    entry_nos bigint[] NOT NULL CHECK (cardinality(entry_nos) = size),
    leaf_hashes bytea NOT NULL CHECK (octet_length(leaf_hashes) = 32 * size),
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, first_position)
);

-- Hashes do not get smaller by compression.
ALTER TABLE aureus.ledger_batches ALTER COLUMN leaf_hashes SET STORAGE EXTERNAL;

CREATE INDEX ledger_batches_entries ON aureus.ledger_batches (tenant_id, last_entry_no, first_entry_no);

CREATE TABLE aureus.ledger_nodes (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    level integer NOT NULL CHECK (level > 0),
    node_no bigint NOT NULL CHECK (node_no >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (tenant_id, level, node_no)
);

-- What was appended before there was a ledger is pending too; the owner may look beyond one tenant for this once.

ALTER TABLE aureus.events NO FORCE ROW LEVEL SECURITY;
INSERT INTO aureus.ledger_pending (tenant_id, append_no, entry_no, leaf_hash)
SELECT tenant_id, append_no, entry_no, leaf_hash FROM aureus.events;
ALTER TABLE aureus.events FORCE ROW LEVEL SECURITY;

CREATE TRIGGER ledger_batches_immutable BEFORE UPDATE OR DELETE ON aureus.ledger_batches
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER ledger_batches_no_truncate BEFORE TRUNCATE ON aureus.ledger_batches
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER ledger_nodes_immutable BEFORE UPDATE OR DELETE ON aureus.ledger_nodes
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER ledger_nodes_no_truncate BEFORE TRUNCATE ON aureus.ledger_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

ALTER TABLE aureus.ledger_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.ledger_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.ledger_heads
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.ledger_pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.ledger_pending FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.ledger_pending
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.ledger_batches ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.ledger_batches FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.ledger_batches
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.ledger_nodes ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.ledger_nodes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.ledger_nodes
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

-- why: one small tree over the heads of all tenants, so that one signature speaks for all of them
-- breaking: no
--
-- Nothing here names a tenant: a leaf holds the key that stands for it, the size of its tree and its root. So these
-- tables are not a tenant's, and row level security is not on them. What is anchored are the heads of all tenants;
-- a transaction that has said so sees them, and nothing else of other tenants. (Of two policies that one is asked
-- first: without a tenant, reading ledger_heads shows nothing, where other tables fail.)
--
-- Lock order: the anchor log's head alone.

CREATE TABLE aureus.anchor_heads (
    log_no integer PRIMARY KEY CHECK (log_no = 1),
    log_key text COLLATE "C" NOT NULL,
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    peaks bytea NOT NULL CHECK (octet_length(peaks) % 32 = 0),
    anchored_at timestamptz
);

INSERT INTO aureus.anchor_heads (log_no, log_key, size, root, peaks)
VALUES (1, replace(CAST(gen_random_uuid() AS text), '-', ''), 0,
    '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '');

CREATE TABLE aureus.anchors (
    position bigint PRIMARY KEY CHECK (position >= 0),
    tenant_key text COLLATE "C" NOT NULL,
    incarnation integer NOT NULL CHECK (incarnation > 0),
    size bigint NOT NULL CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    anchored_at timestamptz NOT NULL
);

CREATE INDEX anchors_tenant ON aureus.anchors (tenant_key, position);

CREATE TABLE aureus.anchor_nodes (
    level integer NOT NULL CHECK (level > 0),
    node_no bigint NOT NULL CHECK (node_no >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, node_no)
);

CREATE POLICY anchoring ON aureus.ledger_heads FOR SELECT
    USING (current_setting('aureus.anchoring', true) = 'on');

CREATE TRIGGER anchors_immutable BEFORE UPDATE OR DELETE ON aureus.anchors
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER anchors_no_truncate BEFORE TRUNCATE ON aureus.anchors
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER anchor_nodes_immutable BEFORE UPDATE OR DELETE ON aureus.anchor_nodes
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER anchor_nodes_no_truncate BEFORE TRUNCATE ON aureus.anchor_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

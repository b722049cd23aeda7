-- why: one small tree over the heads of all tenants, so that one signature speaks for all of them
-- breaking: no
--
-- Nothing here names a tenant: a leaf holds the key that stands for it, the size of its tree and its root.

CREATE TABLE aureus.anchor_heads (
    log_no INTEGER NOT NULL PRIMARY KEY CHECK (log_no = 1),
    log_key TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    peaks BLOB NOT NULL CHECK (length(peaks) % 32 = 0),
    anchored_at INTEGER
) STRICT;

INSERT INTO aureus.anchor_heads (log_no, log_key, size, root, peaks)
VALUES (1, lower(hex(randomblob(16))), 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', x'');

CREATE TABLE aureus.anchors (
    position INTEGER NOT NULL PRIMARY KEY CHECK (position >= 0),
    tenant_key TEXT NOT NULL,
    incarnation INTEGER NOT NULL CHECK (incarnation > 0),
    size INTEGER NOT NULL CHECK (size > 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    anchored_at INTEGER NOT NULL
) STRICT;

CREATE INDEX anchors_tenant ON aureus.anchors (tenant_key, position);

CREATE TABLE aureus.anchor_nodes (
    level INTEGER NOT NULL CHECK (level > 0),
    node_no INTEGER NOT NULL CHECK (node_no >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, node_no)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER anchors_no_update BEFORE UPDATE ON aureus.anchors
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of anchors are immutable');
END;

CREATE TRIGGER anchors_no_delete BEFORE DELETE ON aureus.anchors
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of anchors are immutable');
END;

CREATE TRIGGER anchor_nodes_no_update BEFORE UPDATE ON aureus.anchor_nodes
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of anchor_nodes are immutable');
END;

CREATE TRIGGER anchor_nodes_no_delete BEFORE DELETE ON aureus.anchor_nodes
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of anchor_nodes are immutable');
END;

-- why: an index of words, for finding text alike on both engines
-- breaking: no
--
-- A space is what is searched together, such as the memories of a tenant; a target is what is found in it. Writers put
-- the newest state of a target into text_index_pending and touch nothing else. A batch moves what is pending into
-- documents with dense numbers, and writes one immutable segment of postings for them; segments are merged into larger
-- ones. A number that has no document any more is dead: its postings are left until a merge.

CREATE TABLE aureus.text_indexes (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    space TEXT NOT NULL,
    next_document_no INTEGER NOT NULL,
    next_segment_no INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, space)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.text_index_pending (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    space TEXT NOT NULL,
    target_id TEXT NOT NULL,
    length INTEGER NOT NULL CHECK (length >= 0),
    terms TEXT,
    PRIMARY KEY (tenant_id, space, target_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.text_index_documents (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    space TEXT NOT NULL,
    document_no INTEGER NOT NULL,
    target_id TEXT NOT NULL,
    length INTEGER NOT NULL CHECK (length >= 0),
    terms TEXT NOT NULL,
    PRIMARY KEY (tenant_id, document_no, space),
    UNIQUE (tenant_id, target_id, space)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.text_index_segments (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    space TEXT NOT NULL,
    segment_no INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('building', 'live', 'retired')),
    first_no INTEGER NOT NULL,
    span INTEGER NOT NULL CHECK (span BETWEEN 1 AND 65536),
    document_count INTEGER NOT NULL CHECK (document_count BETWEEN 0 AND span),
    dead_count INTEGER NOT NULL,
    length_total INTEGER NOT NULL,
    dead_length_total INTEGER NOT NULL,
    sources TEXT NOT NULL,
    built_to TEXT NOT NULL,
    PRIMARY KEY (tenant_id, space, segment_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE aureus.text_index_postings (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    space TEXT NOT NULL,
    segment_no INTEGER NOT NULL,
    term TEXT NOT NULL,
    document_count INTEGER NOT NULL CHECK (document_count > 0),
    peaks BLOB NOT NULL,
    postings BLOB NOT NULL CHECK (octet_length(postings) = 4 * document_count),
    PRIMARY KEY (tenant_id, space, segment_no, term)
) STRICT, WITHOUT ROWID;

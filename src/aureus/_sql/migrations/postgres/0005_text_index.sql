-- why: an index of words, for finding text alike on both engines
-- breaking: no
--
-- A space is what is searched together, such as the memories of a tenant; a target is what is found in it. Writers put
-- the newest state of a target into text_index_pending and touch nothing else. A batch moves what is pending into
-- documents with dense numbers, and writes one immutable segment of postings for them; segments are merged into larger
-- ones. A number that has no document any more is dead: its postings are left until a merge.
--
-- Lock order: the row of text_indexes before all else, by batches alone; writers take only rows of text_index_pending.

CREATE TABLE aureus.text_indexes (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    space text COLLATE "C" NOT NULL,
    next_document_no bigint NOT NULL,
    next_segment_no bigint NOT NULL,
    PRIMARY KEY (tenant_id, space)
) WITH (fillfactor = 50);

CREATE TABLE aureus.text_index_pending (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    space text COLLATE "C" NOT NULL,
    target_id text COLLATE "C" NOT NULL,
    length integer NOT NULL CHECK (length >= 0),
    terms text COLLATE "C",
    PRIMARY KEY (tenant_id, space, target_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

-- The number and the target come before the space: with a common beginning of two columns, the planner could not tell
-- the two indexes apart before the first ANALYZE, and would read a whole space by the wrong one.

CREATE TABLE aureus.text_index_documents (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    space text COLLATE "C" NOT NULL,
    document_no bigint NOT NULL,
    target_id text COLLATE "C" NOT NULL,
    length integer NOT NULL CHECK (length >= 0),
    terms text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, document_no, space),
    UNIQUE (tenant_id, target_id, space)
);

CREATE TABLE aureus.text_index_segments (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    space text COLLATE "C" NOT NULL,
    segment_no bigint NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('building', 'live', 'retired')),
    first_no bigint NOT NULL,
    span integer NOT NULL CHECK (span BETWEEN 1 AND 65536),
    document_count integer NOT NULL CHECK (document_count BETWEEN 0 AND span),
    dead_count integer NOT NULL,
    length_total bigint NOT NULL,
    dead_length_total bigint NOT NULL,
    sources text COLLATE "C" NOT NULL,
    built_to text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, space, segment_no)
) WITH (fillfactor = 70);

CREATE TABLE aureus.text_index_postings (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    space text COLLATE "C" NOT NULL,
    segment_no bigint NOT NULL,
    term text COLLATE "C" NOT NULL,
    document_count integer NOT NULL CHECK (document_count > 0),
    peaks bytea NOT NULL,
    postings bytea NOT NULL CHECK (octet_length(postings) = 4 * document_count),
    PRIMARY KEY (tenant_id, space, segment_no, term)
);

-- Postings do not get smaller by compression, and are read in whole or not at all.
ALTER TABLE aureus.text_index_postings ALTER COLUMN postings SET STORAGE EXTERNAL;

ALTER TABLE aureus.text_indexes ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.text_indexes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.text_indexes
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.text_index_pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.text_index_pending FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.text_index_pending
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.text_index_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.text_index_documents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.text_index_documents
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.text_index_segments ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.text_index_segments FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.text_index_segments
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.text_index_postings ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.text_index_postings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.text_index_postings
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

-- why: postings that are found without reading others on the way, and that a process may keep
-- breaking: no
--
-- SQLite keeps a table WITHOUT ROWID as an index: to compare a key it reads the whole row where that is longer than a
-- fourth of a page, postings and all. With a million documents, finding the terms of a question took 2.4 ms that way,
-- and 0.5 ms through an index beside the rows.
--
-- What a live segment holds never changes, so a client may keep in memory what it has read of it. Its number does not
-- say which segment it is: a database that was put back to an earlier state gives the same numbers away again. The
-- identity is drawn by chance and does.

CREATE TABLE aureus.text_index_postings_by_row (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    space TEXT NOT NULL,
    segment_no INTEGER NOT NULL,
    term TEXT NOT NULL,
    document_count INTEGER NOT NULL CHECK (document_count > 0),
    peaks BLOB NOT NULL,
    postings BLOB NOT NULL CHECK (octet_length(postings) = 4 * document_count),
    PRIMARY KEY (tenant_id, space, segment_no, term)
) STRICT;

INSERT INTO aureus.text_index_postings_by_row
SELECT tenant_id, space, segment_no, term, document_count, peaks, postings FROM aureus.text_index_postings
ORDER BY tenant_id, space, segment_no, term;

DROP TABLE aureus.text_index_postings;

ALTER TABLE aureus.text_index_postings_by_row RENAME TO text_index_postings;

-- A column with a default that is drawn anew for each row takes a new table.

CREATE TABLE aureus.text_index_segments_with_identity (
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
    identity TEXT NOT NULL DEFAULT (hex(randomblob(16))),
    PRIMARY KEY (tenant_id, space, segment_no)
) STRICT, WITHOUT ROWID;

INSERT INTO aureus.text_index_segments_with_identity (tenant_id, space, segment_no, status, first_no, span,
    document_count, dead_count, length_total, dead_length_total, sources, built_to)
SELECT tenant_id, space, segment_no, status, first_no, span, document_count, dead_count, length_total,
    dead_length_total, sources, built_to
FROM aureus.text_index_segments;

DROP TABLE aureus.text_index_segments;

ALTER TABLE aureus.text_index_segments_with_identity RENAME TO text_index_segments;

-- The text index on SQLite: lists arrive as JSON arrays, the bytes of many terms as one value that is cut into rows.

-- name: put_documents :many
-- Let these be the newest states of their targets; terms of NULL mean that a target is gone.
INSERT INTO aureus.text_index_pending (tenant_id, space, target_id, length, terms)
SELECT :tenant_id, :space, g.value ->> 0, g.value ->> 1, g.value ->> 2
FROM json_each(:documents) AS g
WHERE true
ON CONFLICT (tenant_id, space, target_id) DO UPDATE SET length = excluded.length, terms = excluded.terms
RETURNING target_id;

-- name: queue_documents :exec
-- As put_documents, but behind another statement and in its flush, if and only if that one brought rows.
INSERT INTO aureus.text_index_pending (tenant_id, space, target_id, length, terms)
SELECT :tenant_id, :space, g.value ->> 0, g.value ->> 1, g.value ->> 2
FROM json_each(:documents) AS g
WHERE true
ON CONFLICT (tenant_id, space, target_id) DO UPDATE SET length = excluded.length, terms = excluded.terms;

-- name: take_pending :many
-- Take some of what is pending: one state, and more until there are enough words.
DELETE FROM aureus.text_index_pending
WHERE tenant_id = :tenant_id AND space = :space AND target_id IN (
    SELECT f.target_id FROM (
        SELECT n.target_id, sum(n.length) OVER (ORDER BY n.target_id) - n.length AS words_before
        FROM (
            SELECT p.target_id, p.length FROM aureus.text_index_pending AS p
            WHERE p.tenant_id = :tenant_id AND p.space = :space
            ORDER BY p.target_id
            LIMIT :limit) AS n) AS f
    WHERE f.words_before < :words_max)
RETURNING target_id, length, terms;

-- name: drop_documents :many
-- Delete the documents of targets whose state has changed. The index is named: for a list SQLite would go through all
-- documents of the tenant.
DELETE FROM aureus.text_index_documents INDEXED BY sqlite_autoindex_text_index_documents_2
WHERE tenant_id = :tenant_id AND space = :space AND target_id IN (SELECT value FROM json_each(:target_ids))
RETURNING document_no, length;

-- name: count_dead :exec
-- Count documents that died to the segments that hold their postings.
UPDATE aureus.text_index_segments AS s
SET dead_count = s.dead_count + d.died, dead_length_total = s.dead_length_total + d.lengths
FROM (
    SELECT o.segment_no, count(*) AS died, sum(g.value ->> 1) AS lengths
    FROM json_each(:documents) AS g
    JOIN aureus.text_index_segments AS o ON o.tenant_id = :tenant_id AND o.space = :space
        AND g.value ->> 0 >= o.first_no AND g.value ->> 0 < o.first_no + o.span
    GROUP BY o.segment_no) AS d
WHERE s.tenant_id = :tenant_id AND s.space = :space AND s.segment_no = d.segment_no;

-- name: add_segment :one
-- Number documents and write the segment of their postings.
UPDATE aureus.text_indexes
SET next_document_no = :first_no + :span, next_segment_no = :segment_no + 1
WHERE tenant_id = :tenant_id AND space = :space AND next_document_no = :first_no AND next_segment_no = :segment_no
RETURNING next_document_no;
INSERT INTO aureus.text_index_segments (tenant_id, space, segment_no, status, first_no, span, document_count,
    dead_count, length_total, dead_length_total, sources, built_to)
VALUES (:tenant_id, :space, :segment_no, 'live', :first_no, :span, :span, 0, :length_total, 0, '[]', '');
INSERT INTO aureus.text_index_documents (tenant_id, space, document_no, target_id, length, terms)
SELECT :tenant_id, :space, :first_no + g.key, g.value ->> 0, g.value ->> 1, g.value ->> 2
FROM json_each(:documents) AS g;
INSERT INTO aureus.text_index_postings (tenant_id, space, segment_no, term, document_count, peaks, postings)
SELECT :tenant_id, :space, :segment_no, g.value ->> 0, g.value ->> 1, substr(:peaks, 5 * g.key + 1, 5),
    substr(:postings, 4 * (g.value ->> 2) + 1, 4 * (g.value ->> 1))
FROM json_each(:rows) AS g;

-- name: get_merge_bound :one
-- The term up to which a step of a merge goes: one term, and more until a source has given a number of rows, or all of
-- them enough postings; and whether that is the end. NULL when there is no term.
WITH ahead AS (
    SELECT min(n.term) AS term FROM (
        SELECT (
            SELECT o.term FROM aureus.text_index_postings AS o
            WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.segment_no = m.value AND o.term > :built_to
            ORDER BY o.term
            LIMIT 1 OFFSET :row_count) AS term
        FROM json_each(:segment_nos) AS m) AS n
)
SELECT max(f.term) FILTER (WHERE f.postings_before < :postings_max),
    (SELECT ahead.term FROM ahead) IS NULL AND max(f.postings_before) < :postings_max
FROM (
    SELECT t.term, sum(t.count) OVER (ORDER BY t.term) - t.count AS postings_before
    FROM (
        SELECT p.term, sum(p.document_count) AS count
        FROM json_each(:segment_nos) AS s
        CROSS JOIN aureus.text_index_postings AS p
        WHERE p.tenant_id = :tenant_id AND p.space = :space AND p.segment_no = s.value AND p.term > :built_to
          AND p.term <= coalesce((SELECT ahead.term FROM ahead), p.term)
        GROUP BY p.term) AS t) AS f;

-- name: list_merge_rows :many
-- The rows of the sources of a merge between two terms.
SELECT p.term, p.segment_no, p.postings
FROM json_each(:segment_nos) AS s
CROSS JOIN aureus.text_index_postings AS p
WHERE p.tenant_id = :tenant_id AND p.space = :space AND p.segment_no = s.value AND p.term > :built_to
  AND p.term <= :bound;

-- name: list_living_numbers :one
-- Which numbers of a range have a document, as one text.
SELECT group_concat(document_no) FROM aureus.text_index_documents
WHERE tenant_id = :tenant_id AND space = :space AND document_no BETWEEN :first_no AND :last_no;

-- name: add_merged_rows :one
-- Write rows of a segment that is being built.
UPDATE aureus.text_index_segments SET built_to = :bound
WHERE tenant_id = :tenant_id AND space = :space AND segment_no = :segment_no AND built_to = :built_to
RETURNING segment_no;
INSERT INTO aureus.text_index_postings (tenant_id, space, segment_no, term, document_count, peaks, postings)
SELECT :tenant_id, :space, :segment_no, g.value ->> 0, g.value ->> 1, substr(:peaks, 5 * g.key + 1, 5),
    substr(:postings, 4 * (g.value ->> 2) + 1, 4 * (g.value ->> 1))
FROM json_each(:rows) AS g;

-- name: finish_merge :many
-- Let a merged segment take the place of its sources: from this commit on it is read instead of them. What died while
-- it was being made stays counted as dead, because the rows that were written before hold it.
UPDATE aureus.text_index_segments AS s SET
    status = CASE WHEN s.segment_no = :segment_no THEN 'live' ELSE 'retired' END,
    document_count = CASE WHEN s.segment_no = :segment_no THEN :document_count ELSE s.document_count END,
    length_total = CASE WHEN s.segment_no = :segment_no THEN :length_total ELSE s.length_total END,
    built_to = ''
WHERE s.tenant_id = :tenant_id AND s.space = :space
  AND (s.segment_no = :segment_no OR s.segment_no IN (SELECT value FROM json_each(:segment_nos)))
RETURNING segment_no;

-- name: find_postings :many
-- Every living segment with the postings of each of the terms that it has, by the primary key, long ones only by their
-- size and peaks; a segment with none of them has one row.
SELECT s.segment_no, s.identity, s.first_no, s.span, s.document_count, s.length_total, p.term, p.document_count,
    p.peaks, CASE WHEN p.document_count <= :inline_max THEN p.postings END
FROM aureus.text_index_segments AS s
LEFT JOIN json_each(:terms) AS t ON true
LEFT JOIN aureus.text_index_postings AS p ON p.tenant_id = :tenant_id AND p.space = :space
    AND p.segment_no = s.segment_no AND p.term = t.value
WHERE s.tenant_id = :tenant_id AND s.space = :space AND s.status = 'live'
  AND (p.term IS NOT NULL OR coalesce(t.key, 0) = 0)
ORDER BY s.first_no;

-- name: get_postings :many
-- Long postings, by the primary key.
SELECT p.segment_no, p.term, p.postings
FROM json_each(:wanted) AS w
CROSS JOIN aureus.text_index_postings AS p
WHERE p.tenant_id = :tenant_id AND p.space = :space AND p.segment_no = w.value ->> 0 AND p.term = w.value ->> 1;

-- name: list_documents :many
-- Documents by their numbers; dead ones are left out.
SELECT d.document_no, d.target_id, d.length, CASE WHEN :with_terms THEN d.terms END
FROM json_each(:document_nos) AS n
CROSS JOIN aureus.text_index_documents AS d
WHERE d.tenant_id = :tenant_id AND d.space = :space AND d.document_no = n.value;

-- name: prune_postings :many
-- Delete some postings of a retired segment: those of one term, and more until they are enough.
DELETE FROM aureus.text_index_postings
WHERE tenant_id = :tenant_id AND space = :space AND segment_no = :segment_no AND term <= (
    SELECT max(f.term) FROM (
        SELECT n.term, sum(n.document_count) OVER (ORDER BY n.term) - n.document_count AS postings_before
        FROM (
            SELECT p.term, p.document_count FROM aureus.text_index_postings AS p
            WHERE p.tenant_id = :tenant_id AND p.space = :space AND p.segment_no = :segment_no
            ORDER BY p.term
            LIMIT :limit) AS n) AS f
    WHERE f.postings_before < :postings_max)
RETURNING document_count;

-- name: list_numbers :one
-- The numbers of targets that are in the index, as one text.
SELECT group_concat(d.document_no)
FROM json_each(:target_ids) AS t
CROSS JOIN aureus.text_index_documents AS d
WHERE d.tenant_id = :tenant_id AND d.space = :space AND d.target_id = t.value;

-- name: drop_pending :many
-- Take the newest states of targets away before they come into the index.
DELETE FROM aureus.text_index_pending
WHERE tenant_id = :tenant_id AND space = :space AND target_id IN (SELECT value FROM json_each(:target_ids))
RETURNING target_id;

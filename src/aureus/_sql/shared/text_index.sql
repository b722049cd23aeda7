-- The text index: documents by the words in them. Writers touch text_index_pending alone; everything else is written by
-- upkeep, one process at a time, under the row of text_indexes. Reads take segments, pending documents, postings and
-- documents from one snapshot.

-- name: open_text_index :one
-- Begin a step of upkeep: make the index if it is not there, and keep others from its upkeep until the end.
INSERT INTO aureus.text_indexes AS i (tenant_id, space, next_document_no, next_segment_no)
VALUES (:tenant_id, :space, 0, 0)
ON CONFLICT (tenant_id, space) DO UPDATE SET next_segment_no = i.next_segment_no
RETURNING next_document_no, next_segment_no;

-- name: list_segments :many
-- The segments of an index in the order of their documents, retired ones too.
SELECT segment_no, status, first_no, span, document_count, dead_count, length_total, dead_length_total, sources,
    built_to
FROM aureus.text_index_segments
WHERE tenant_id = :tenant_id AND space = :space
ORDER BY first_no, segment_no;

-- name: list_pending :many
-- Targets whose newest state is not in the index yet, and the number that an earlier state of each has in it.
SELECT p.target_id, p.length, p.terms, d.document_no
FROM aureus.text_index_pending AS p
LEFT JOIN aureus.text_index_documents AS d
    ON d.tenant_id = p.tenant_id AND d.space = p.space AND d.target_id = p.target_id
WHERE p.tenant_id = :tenant_id AND p.space = :space
ORDER BY p.target_id
LIMIT :limit;

-- name: count_pending :many
-- One row for each of the first pending states; in order, so that pages which were emptied are not read through.
SELECT true
FROM aureus.text_index_pending
WHERE tenant_id = :tenant_id AND space = :space
ORDER BY target_id
LIMIT :limit;

-- name: list_living_documents :many
-- Documents in a range of numbers, to be numbered anew: one, and more until they have enough words.
SELECT f.target_id, f.length, f.terms
FROM (
    SELECT n.target_id, n.length, n.terms, n.document_no,
        sum(n.length) OVER (ORDER BY n.document_no) - n.length AS words_before
    FROM (
        SELECT d.target_id, d.length, d.terms, d.document_no
        FROM aureus.text_index_documents AS d
        WHERE d.tenant_id = :tenant_id AND d.space = :space AND d.document_no BETWEEN :first_no AND :last_no
        ORDER BY d.document_no
        LIMIT :limit) AS n) AS f
WHERE f.words_before < :words_max
ORDER BY f.document_no;

-- name: start_merge :one
-- Note that segments are being merged into a new one, which nobody reads yet.
INSERT INTO aureus.text_index_segments (tenant_id, space, segment_no, status, first_no, span, document_count,
    dead_count, length_total, dead_length_total, sources, built_to)
VALUES (:tenant_id, :space, :segment_no, 'building', :first_no, :span, 0, 0, 0, 0, :sources, '')
RETURNING segment_no;

-- name: number_segments :one
-- Note how many numbers of segments are given away.
UPDATE aureus.text_indexes SET next_segment_no = :next_segment_no
WHERE tenant_id = :tenant_id AND space = :space
RETURNING next_segment_no;

-- name: forget_segment :one
-- Forget a segment once its postings are gone.
DELETE FROM aureus.text_index_segments
WHERE tenant_id = :tenant_id AND space = :space AND segment_no = :segment_no AND status = 'retired'
  AND NOT EXISTS (
      SELECT 1 FROM aureus.text_index_postings AS p
      WHERE p.tenant_id = :tenant_id AND p.space = :space AND p.segment_no = :segment_no)
RETURNING segment_no;

-- name: retire_segment :one
-- Take a segment without living documents out of use.
UPDATE aureus.text_index_segments SET status = 'retired'
WHERE tenant_id = :tenant_id AND space = :space AND segment_no = :segment_no
RETURNING segment_no;

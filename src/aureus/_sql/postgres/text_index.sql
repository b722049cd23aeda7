-- The text index on PostgreSQL: lists arrive as JSON or arrays, the bytes of many terms as one value that is cut into
-- rows. What is read by key is read by a LATERAL subquery, which leaves the planner no other way than the index.

-- name: put_documents :many
-- Let these be the newest states of their targets; terms of NULL mean that a target is gone.
INSERT INTO aureus.text_index_pending (tenant_id, space, target_id, length, terms)
SELECT :tenant_id, :space, g.value ->> 0, CAST(g.value ->> 1 AS integer), g.value ->> 2
FROM json_array_elements(CAST(:documents AS json)) AS g
ORDER BY g.value ->> 0
ON CONFLICT (tenant_id, space, target_id) DO UPDATE SET length = excluded.length, terms = excluded.terms
RETURNING target_id;

-- name: queue_documents :exec
-- As put_documents, but behind another statement and in its flush, if and only if that one brought rows.
INSERT INTO aureus.text_index_pending (tenant_id, space, target_id, length, terms)
SELECT :tenant_id, :space, g.value ->> 0, CAST(g.value ->> 1 AS integer), g.value ->> 2
FROM json_array_elements(CAST(:documents AS json)) AS g
WHERE current_setting('aureus.mark', true) = :mark
ORDER BY g.value ->> 0
ON CONFLICT (tenant_id, space, target_id) DO UPDATE SET length = excluded.length, terms = excluded.terms;

-- name: take_pending :many
-- Take some of what is pending: one state, and more until there are enough words. What a writer has just locked is left
-- to a later batch.
DELETE FROM aureus.text_index_pending
WHERE tenant_id = :tenant_id AND space = :space AND target_id = ANY (ARRAY(
    SELECT f.target_id FROM (
        SELECT n.target_id, sum(n.length) OVER (ORDER BY n.target_id) - n.length AS words_before
        FROM (
            SELECT p.target_id, p.length FROM aureus.text_index_pending AS p
            WHERE p.tenant_id = :tenant_id AND p.space = :space
            ORDER BY p.target_id
            LIMIT :limit
            FOR UPDATE SKIP LOCKED) AS n) AS f
    WHERE f.words_before < :words_max))
RETURNING target_id, length, terms;

-- name: list_pending :many
-- Targets whose newest state is not in the index yet, and the number that an earlier state of each has in it.
SELECT p.target_id, p.length, p.terms, (
    SELECT d.document_no FROM aureus.text_index_documents AS d
    WHERE d.tenant_id = :tenant_id AND d.target_id = p.target_id AND d.space = :space
    LIMIT 1)
FROM aureus.text_index_pending AS p
WHERE p.tenant_id = :tenant_id AND p.space = :space
ORDER BY p.target_id
LIMIT :limit;

-- name: drop_documents :many
-- Delete the documents of targets whose state has changed. The space is compared as no index can: by tenant and space,
-- the primary key would be read whole.
DELETE FROM aureus.text_index_documents
WHERE tenant_id = :tenant_id AND target_id = ANY (CAST(:target_ids AS text[])) AND space IS NOT DISTINCT FROM :space
RETURNING document_no, length;

-- name: count_dead :exec
-- Count documents that died to the segments that hold their postings.
UPDATE aureus.text_index_segments AS s
SET dead_count = s.dead_count + d.died, dead_length_total = s.dead_length_total + d.lengths
FROM (
    SELECT o.segment_no, count(*) AS died, sum(CAST(g.value ->> 1 AS bigint)) AS lengths
    FROM json_array_elements(CAST(:documents AS json)) AS g
    JOIN aureus.text_index_segments AS o ON o.tenant_id = :tenant_id AND o.space = :space
        AND CAST(g.value ->> 0 AS bigint) >= o.first_no AND CAST(g.value ->> 0 AS bigint) < o.first_no + o.span
    GROUP BY o.segment_no) AS d
WHERE s.tenant_id = :tenant_id AND s.space = :space AND s.segment_no = d.segment_no;

-- name: add_segment :one
-- Number documents and write the segment of their postings.
WITH numbered AS (
    UPDATE aureus.text_indexes
    SET next_document_no = CAST(:first_no AS bigint) + CAST(:span AS integer),
        next_segment_no = CAST(:segment_no AS bigint) + 1
    WHERE tenant_id = :tenant_id AND space = :space AND next_document_no = CAST(:first_no AS bigint)
      AND next_segment_no = CAST(:segment_no AS bigint)
    RETURNING next_document_no
), segment AS (
    INSERT INTO aureus.text_index_segments (tenant_id, space, segment_no, status, first_no, span, document_count,
        dead_count, length_total, dead_length_total, sources, built_to)
    SELECT :tenant_id, :space, CAST(:segment_no AS bigint), 'live', CAST(:first_no AS bigint),
        CAST(:span AS integer), CAST(:span AS integer), 0, CAST(:length_total AS bigint), 0, '[]', ''
    FROM numbered
), documents AS (
    INSERT INTO aureus.text_index_documents (tenant_id, space, document_no, target_id, length, terms)
    SELECT :tenant_id, :space, CAST(:first_no AS bigint) + g.ordinal - 1, g.value ->> 0,
        CAST(g.value ->> 1 AS integer), g.value ->> 2
    FROM numbered, json_array_elements(CAST(:documents AS json)) WITH ORDINALITY AS g (value, ordinal)
), postings AS (
    INSERT INTO aureus.text_index_postings (tenant_id, space, segment_no, term, document_count, peaks, postings)
    SELECT :tenant_id, :space, CAST(:segment_no AS bigint), g.value ->> 0, CAST(g.value ->> 1 AS integer),
        substr(CAST(:peaks AS bytea), 5 * CAST(g.ordinal AS integer) - 4, 5),
        substr(CAST(:postings AS bytea), 4 * CAST(g.value ->> 2 AS integer) + 1, 4 * CAST(g.value ->> 1 AS integer))
    FROM numbered, json_array_elements(CAST(:rows AS json)) WITH ORDINALITY AS g (value, ordinal)
)
SELECT next_document_no FROM numbered;

-- name: get_merge_bound :one
-- The term up to which a step of a merge goes: one term, and more until a source has given a number of rows, or all of
-- them enough postings; and whether that is the end. NULL when there is no term.
WITH ahead AS (
    SELECT min(n.term) AS term FROM (
        SELECT (
            SELECT o.term FROM aureus.text_index_postings AS o
            WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.segment_no = m.segment_no AND o.term > :built_to
            ORDER BY o.term
            LIMIT 1 OFFSET :row_count) AS term
        FROM unnest(CAST(:segment_nos AS bigint[])) AS m (segment_no)) AS n
)
SELECT max(f.term) FILTER (WHERE f.postings_before < :postings_max),
    (SELECT ahead.term FROM ahead) IS NULL AND max(f.postings_before) < :postings_max
FROM (
    SELECT t.term, sum(t.count) OVER (ORDER BY t.term) - t.count AS postings_before
    FROM (
        SELECT p.term, sum(p.document_count) AS count
        FROM unnest(CAST(:segment_nos AS bigint[])) AS s (segment_no)
        CROSS JOIN LATERAL (
            SELECT o.term, o.document_count FROM aureus.text_index_postings AS o
            WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.segment_no = s.segment_no
              AND o.term > :built_to
            ORDER BY o.term
            LIMIT CAST(:row_count AS bigint) + 1) AS p
        WHERE p.term <= coalesce((SELECT ahead.term FROM ahead), p.term)
        GROUP BY p.term) AS t) AS f;

-- name: list_merge_rows :many
-- The rows of the sources of a merge between two terms.
SELECT p.term, p.segment_no, p.postings
FROM unnest(CAST(:segment_nos AS bigint[])) AS s (segment_no)
CROSS JOIN LATERAL (
    SELECT o.term, o.segment_no, o.postings FROM aureus.text_index_postings AS o
    WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.segment_no = s.segment_no AND o.term > :built_to
      AND o.term <= :bound
    ORDER BY o.term
    OFFSET 0) AS p;

-- name: list_living_numbers :one
-- Which numbers of a range have a document, as one text.
SELECT string_agg(CAST(document_no AS text), ',') FROM aureus.text_index_documents
WHERE tenant_id = :tenant_id AND space = :space AND document_no BETWEEN :first_no AND :last_no;

-- name: add_merged_rows :one
-- Write rows of a segment that is being built.
WITH segment AS (
    UPDATE aureus.text_index_segments SET built_to = :bound
    WHERE tenant_id = :tenant_id AND space = :space AND segment_no = CAST(:segment_no AS bigint)
      AND built_to = :built_to
    RETURNING segment_no
), postings AS (
    INSERT INTO aureus.text_index_postings (tenant_id, space, segment_no, term, document_count, peaks, postings)
    SELECT :tenant_id, :space, segment.segment_no, g.value ->> 0, CAST(g.value ->> 1 AS integer),
        substr(CAST(:peaks AS bytea), 5 * CAST(g.ordinal AS integer) - 4, 5),
        substr(CAST(:postings AS bytea), 4 * CAST(g.value ->> 2 AS integer) + 1, 4 * CAST(g.value ->> 1 AS integer))
    FROM segment, json_array_elements(CAST(:rows AS json)) WITH ORDINALITY AS g (value, ordinal)
)
SELECT segment_no FROM segment;

-- name: finish_merge :many
-- Let a merged segment take the place of its sources: from this commit on it is read instead of them. What died while
-- it was being made stays counted as dead, because the rows that were written before hold it.
UPDATE aureus.text_index_segments AS s SET
    status = CASE WHEN s.segment_no = CAST(:segment_no AS bigint) THEN 'live' ELSE 'retired' END,
    document_count = CASE WHEN s.segment_no = CAST(:segment_no AS bigint) THEN CAST(:document_count AS integer)
        ELSE s.document_count END,
    length_total = CASE WHEN s.segment_no = CAST(:segment_no AS bigint) THEN CAST(:length_total AS bigint)
        ELSE s.length_total END,
    built_to = ''
WHERE s.tenant_id = :tenant_id AND s.space = :space
  AND (s.segment_no = CAST(:segment_no AS bigint) OR s.segment_no = ANY (CAST(:segment_nos AS bigint[])))
RETURNING segment_no;

-- name: find_postings :many
-- Every living segment with the postings of each of the terms that it has, by the primary key, long ones only by their
-- size and peaks; a segment with none of them has one row. The sub-select hides how many terms there are: the plan is
-- the same for any number, and PostgreSQL would make it anew each time.
SELECT s.segment_no, s.identity, s.first_no, s.span, s.document_count, s.length_total, p.term, p.document_count,
    p.peaks, CASE WHEN p.document_count <= CAST(:inline_max AS integer) THEN p.postings END
FROM aureus.text_index_segments AS s
LEFT JOIN unnest((SELECT CAST(:terms AS text[]))) WITH ORDINALITY AS t (term, ordinal) ON true
LEFT JOIN LATERAL (
    SELECT o.term, o.document_count, o.peaks, o.postings
    FROM aureus.text_index_postings AS o
    WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.segment_no = s.segment_no AND o.term = t.term
    LIMIT 1) AS p ON true
WHERE s.tenant_id = :tenant_id AND s.space = :space AND s.status = 'live'
  AND (p.term IS NOT NULL OR coalesce(t.ordinal, 1) = 1)
ORDER BY s.first_no;

-- name: get_postings :many
-- Long postings, by the primary key.
SELECT p.segment_no, p.term, p.postings
FROM json_array_elements(CAST(:wanted AS json)) AS w
CROSS JOIN LATERAL (
    SELECT o.segment_no, o.term, o.postings
    FROM aureus.text_index_postings AS o
    WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.segment_no = CAST(w.value ->> 0 AS bigint)
      AND o.term = w.value ->> 1
    LIMIT 1) AS p;

-- name: list_documents :many
-- Documents by their numbers; dead ones are left out.
SELECT d.document_no, d.target_id, d.length, CASE WHEN CAST(:with_terms AS boolean) THEN d.terms END
FROM unnest(CAST(:document_nos AS bigint[])) AS n (document_no)
CROSS JOIN LATERAL (
    SELECT o.document_no, o.target_id, o.length, o.terms
    FROM aureus.text_index_documents AS o
    WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.document_no = n.document_no
    LIMIT 1) AS d;

-- name: prune_postings :many
-- Delete some postings of a retired segment: those of one term, and more until they are enough.
DELETE FROM aureus.text_index_postings
WHERE tenant_id = :tenant_id AND space = :space AND segment_no = :segment_no AND term = ANY (ARRAY(
    SELECT f.term FROM (
        SELECT n.term, sum(n.document_count) OVER (ORDER BY n.term) - n.document_count AS postings_before
        FROM (
            SELECT p.term, p.document_count FROM aureus.text_index_postings AS p
            WHERE p.tenant_id = :tenant_id AND p.space = :space AND p.segment_no = :segment_no
            ORDER BY p.term
            LIMIT :limit) AS n) AS f
    WHERE f.postings_before < :postings_max))
RETURNING document_count;

-- name: list_numbers :one
-- The numbers of targets that are in the index, as one text.
SELECT string_agg(CAST(d.document_no AS text), ',')
FROM unnest(CAST(:target_ids AS text[])) AS t (target_id)
CROSS JOIN LATERAL (
    SELECT o.document_no
    FROM aureus.text_index_documents AS o
    WHERE o.tenant_id = :tenant_id AND o.space = :space AND o.target_id = t.target_id
    LIMIT 1) AS d;

-- name: drop_pending :many
-- Take the newest states of targets away before they come into the index.
DELETE FROM aureus.text_index_pending
WHERE tenant_id = :tenant_id AND space = :space AND target_id = ANY (CAST(:target_ids AS text[]))
RETURNING target_id;

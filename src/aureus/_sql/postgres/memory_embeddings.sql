-- Vectors of memories on PostgreSQL. Many vectors arrive as one value of bytes, in the order of the ids.

-- name: keep_embeddings :many
-- Store vectors of memories in the commit that wrote these; behind the statement that did, if it did.
INSERT INTO aureus.memory_embeddings (tenant_id, model, memory_id, version, text_hash, dimensions, created_at, vector,
    signs)
SELECT :tenant_id, :model, m.memory_id, m.version,
    substring(CAST(:text_hashes AS bytea) FROM CAST(1 + 16 * (g.place - 1) AS integer) FOR 16),
    CAST(:dimensions AS integer), CAST(:now AS timestamptz),
    substring(CAST(:vectors AS bytea) FROM CAST(1 + 4 * CAST(:dimensions AS integer) * (g.place - 1) AS integer)
        FOR 4 * CAST(:dimensions AS integer)),
    substring(CAST(:signs AS bytea)
        FROM CAST(1 + (CAST(:dimensions AS integer) + 7) / 8 * (g.place - 1) AS integer)
        FOR (CAST(:dimensions AS integer) + 7) / 8)
FROM unnest(CAST(:memory_ids AS text[])) WITH ORDINALITY AS g (memory_id, place)
CROSS JOIN LATERAL (
    SELECT o.memory_id, o.version FROM aureus.memories AS o
    WHERE o.tenant_id = :tenant_id AND o.memory_id = g.memory_id
    LIMIT 1) AS m
WHERE current_setting('aureus.mark', true) = :mark
ORDER BY m.memory_id
ON CONFLICT (tenant_id, model, memory_id) DO UPDATE SET
    version = excluded.version, text_hash = excluded.text_hash, dimensions = excluded.dimensions,
    created_at = excluded.created_at, vector = excluded.vector, signs = excluded.signs
RETURNING memory_id;

-- name: save_embeddings :many
-- key: model
-- Store vectors of memories that still are what they were made for; a writer of one of them is waited for, and its
-- memory is then left out.
WITH unchanged AS MATERIALIZED (
    SELECT m.memory_id, m.version, g.place
    FROM unnest(CAST(:memory_ids AS text[]), CAST(:versions AS bigint[]))
        WITH ORDINALITY AS g (memory_id, version, place)
    JOIN aureus.memories AS m ON m.tenant_id = :tenant_id AND m.memory_id = ANY (CAST(:memory_ids AS text[]))
        AND m.memory_id = g.memory_id AND m.version = g.version
    ORDER BY m.memory_id
    FOR SHARE OF m
)
INSERT INTO aureus.memory_embeddings (tenant_id, model, memory_id, version, text_hash, dimensions, created_at, vector,
    signs)
SELECT :tenant_id, :model, u.memory_id, u.version,
    substring(CAST(:text_hashes AS bytea) FROM CAST(1 + 16 * (u.place - 1) AS integer) FOR 16),
    CAST(:dimensions AS integer), CAST(:now AS timestamptz),
    substring(CAST(:vectors AS bytea) FROM CAST(1 + 4 * CAST(:dimensions AS integer) * (u.place - 1) AS integer)
        FOR 4 * CAST(:dimensions AS integer)),
    substring(CAST(:signs AS bytea)
        FROM CAST(1 + (CAST(:dimensions AS integer) + 7) / 8 * (u.place - 1) AS integer)
        FOR (CAST(:dimensions AS integer) + 7) / 8)
FROM unchanged AS u
ORDER BY u.memory_id
ON CONFLICT (tenant_id, model, memory_id) DO UPDATE SET
    version = excluded.version, text_hash = excluded.text_hash, dimensions = excluded.dimensions,
    created_at = excluded.created_at, vector = excluded.vector, signs = excluded.signs
RETURNING memory_id;

-- name: confirm_embeddings :many
-- key: model
-- Note that vectors still belong to the text of their memories, which changed otherwise.
UPDATE aureus.memory_embeddings AS e SET version = g.version
FROM unnest(CAST(:memory_ids AS text[]), CAST(:versions AS bigint[])) WITH ORDINALITY AS g (memory_id, version, place)
WHERE e.tenant_id = :tenant_id AND e.model = :model AND e.memory_id = ANY (CAST(:memory_ids AS text[]))
  AND e.memory_id = g.memory_id
  AND e.text_hash = substring(CAST(:text_hashes AS bytea) FROM CAST(1 + 16 * (g.place - 1) AS integer) FOR 16)
RETURNING e.memory_id;

-- name: delete_embeddings :many
-- key: model
-- Remove some vectors of a model.
DELETE FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND model = :model AND memory_id = ANY (ARRAY(
    SELECT e.memory_id FROM aureus.memory_embeddings AS e
    WHERE e.tenant_id = :tenant_id AND e.model = :model ORDER BY e.memory_id LIMIT :limit))
RETURNING memory_id;

-- name: scan_embeddings :many
-- Vectors of a model behind an id, in order of id: one chunk of a search that reads all of them. A range in the order
-- of the primary key, which leaves no other way.
SELECT memory_id, text_hash, vector
FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND (model, memory_id) > (:model, :after_id) AND model <= :model
  AND dimensions = CAST(:dimensions AS integer)
ORDER BY model, memory_id
LIMIT :limit;

-- name: get_embeddings :many
-- The vectors of some memories, up to thousands, whose ids come as JSON: an array of so many costs the client more.
SELECT memory_id, text_hash, vector
FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND model = :model
  AND memory_id = ANY (ARRAY(SELECT g.value FROM json_array_elements_text(CAST(:memory_ids AS json)) AS g (value)))
  AND dimensions = CAST(:dimensions AS integer)
ORDER BY memory_id;

-- name: scan_embedding_signs :one
-- The signs of vectors of a model behind an id, in order of id, as one value, with the ids, a zero byte between two,
-- and those that have none; by memory_embeddings_signs alone, which the bound of dimensions names (migration 0030).
SELECT string_agg(convert_to(e.memory_id, 'UTF8'), decode('00', 'hex')),
    string_agg(coalesce(e.signs, decode(repeat('00', (CAST(:dimensions AS integer) + 7) / 8), 'hex')), ''),
    CAST(json_agg(e.memory_id) FILTER (WHERE e.signs IS NULL) AS text)
FROM (
    SELECT memory_id, signs FROM aureus.memory_embeddings
    WHERE tenant_id = :tenant_id AND dimensions > 0
      AND (model, dimensions, memory_id) > (:model, CAST(:dimensions AS integer), :after_id)
      AND (model, dimensions) <= (:model, CAST(:dimensions AS integer))
    ORDER BY model, dimensions, memory_id
    LIMIT :limit) AS e;

-- name: nearest_embeddings :many
-- The nearest vectors, best first, by the index where it was made (the optional step memory_vectors); else no row. Each
-- is looked up by itself: of a function the planner expects a thousand rows, and would read all vectors to join them.
SELECT n.memory_id, e.text_hash, n.score, n.is_exact
FROM aureus.nearest_embeddings(:tenant_id, :model, CAST(:vector AS bytea), CAST(:limit AS integer)) AS n
CROSS JOIN LATERAL (
    SELECT f.text_hash FROM aureus.memory_embeddings AS f
    WHERE f.tenant_id = :tenant_id AND f.model = :model AND f.memory_id = n.memory_id
    LIMIT 1) AS e;

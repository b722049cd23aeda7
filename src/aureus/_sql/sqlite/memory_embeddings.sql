-- Vectors of memories on SQLite. Many vectors arrive as one blob, in the order of the ids. CROSS JOIN keeps the list
-- outside and the table inside: left to itself, the planner goes through the list once for each row of the table.

-- name: keep_embeddings :many
-- Store vectors of memories in the commit that wrote these; behind the statement that did.
INSERT INTO aureus.memory_embeddings (tenant_id, model, memory_id, version, text_hash, dimensions, created_at, vector,
    signs)
SELECT :tenant_id, :model, m.memory_id, m.version, substr(:text_hashes, 1 + 16 * g.key, 16), :dimensions, :now,
    substr(:vectors, 1 + 4 * :dimensions * g.key, 4 * :dimensions),
    substr(:signs, 1 + (:dimensions + 7) / 8 * g.key, (:dimensions + 7) / 8)
FROM json_each(:memory_ids) AS g
CROSS JOIN aureus.memories AS m ON m.tenant_id = :tenant_id AND m.memory_id = g.value
WHERE true
ON CONFLICT (tenant_id, model, memory_id) DO UPDATE SET
    version = excluded.version, text_hash = excluded.text_hash, dimensions = excluded.dimensions,
    created_at = excluded.created_at, vector = excluded.vector, signs = excluded.signs
RETURNING memory_id;

-- name: save_embeddings :many
-- key: model
-- Store vectors of memories that still are what they were made for.
INSERT INTO aureus.memory_embeddings (tenant_id, model, memory_id, version, text_hash, dimensions, created_at, vector,
    signs)
SELECT :tenant_id, :model, m.memory_id, m.version, substr(:text_hashes, 1 + 16 * g.key, 16), :dimensions, :now,
    substr(:vectors, 1 + 4 * :dimensions * g.key, 4 * :dimensions),
    substr(:signs, 1 + (:dimensions + 7) / 8 * g.key, (:dimensions + 7) / 8)
FROM json_each(:memory_ids) AS g
CROSS JOIN aureus.memories AS m
    ON m.tenant_id = :tenant_id AND m.memory_id = g.value AND m.version = :versions ->> g.key
WHERE true
ON CONFLICT (tenant_id, model, memory_id) DO UPDATE SET
    version = excluded.version, text_hash = excluded.text_hash, dimensions = excluded.dimensions,
    created_at = excluded.created_at, vector = excluded.vector, signs = excluded.signs
RETURNING memory_id;

-- name: confirm_embeddings :many
-- key: model
-- Note that vectors still belong to the text of their memories, which changed otherwise.
UPDATE aureus.memory_embeddings SET version = (
    SELECT :versions ->> g.key FROM json_each(:memory_ids) AS g WHERE g.value = memory_id)
WHERE tenant_id = :tenant_id AND model = :model
  AND memory_id IN (SELECT g.value FROM json_each(:memory_ids) AS g)
  AND text_hash = (SELECT substr(:text_hashes, 1 + 16 * g.key, 16) FROM json_each(:memory_ids) AS g
      WHERE g.value = memory_id)
RETURNING memory_id;

-- name: get_embeddings :many
-- The vectors of some memories.
SELECT memory_id, text_hash, vector
FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND model = :model AND memory_id IN (SELECT g.value FROM json_each(:memory_ids) AS g)
  AND dimensions = :dimensions
ORDER BY memory_id;

-- name: scan_embedding_signs :one
-- The signs of vectors of a model behind an id, in order of id, as one value, with the ids, a zero byte between two,
-- and those that have none; by the index alone.
SELECT CAST(group_concat(e.memory_id, char(0)) AS BLOB),
    CAST(group_concat(coalesce(e.signs, zeroblob((:dimensions + 7) / 8)), '') AS BLOB),
    json_group_array(e.memory_id) FILTER (WHERE e.signs IS NULL)
FROM (
    SELECT memory_id, signs FROM aureus.memory_embeddings INDEXED BY memory_embeddings_signs
    WHERE tenant_id = :tenant_id AND model = :model AND dimensions = :dimensions AND memory_id > :after_id
    ORDER BY memory_id
    LIMIT :limit) AS e;

-- name: nearest_embeddings :many
-- The nearest vectors by an index: there is none here, so the answer is no row, and all are read.
SELECT memory_id, text_hash, 0.0 AS score, 1 AS is_exact
FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND model = :model AND memory_id = '' AND vector = :vector
LIMIT min(0, :limit);

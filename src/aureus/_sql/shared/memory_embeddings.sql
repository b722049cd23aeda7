-- Vectors of memories: one for each memory and model. Written with the memory (keep_embeddings) or in batches
-- afterwards (save_embeddings); removed with the memory. Vectors of forgotten memories stay, for a restore: whoever
-- searches looks at the memories themselves before anything is shown.

-- name: list_unembedded :many
-- Live memories behind an id that have no vector of a model, or one that was made for another version, in order of id:
-- along the primary key, whatever indexes of live memories there are. Reads on until the page is full.
SELECT m.memory_id, m.version, m.text, e.text_hash
FROM aureus.memories AS m
LEFT JOIN aureus.memory_embeddings AS e
    ON e.tenant_id = m.tenant_id AND e.model = :model AND e.memory_id = m.memory_id
WHERE m.tenant_id = :tenant_id AND m.memory_id > :after_id
  AND CASE WHEN m.deleted_at IS NULL AND m.superseded_by = '' AND (m.expires_at IS NULL OR m.expires_at > :now)
    THEN 1 END IS NOT NULL
  AND CASE WHEN e.memory_id IS NULL OR e.version <> m.version THEN 1 END IS NOT NULL
ORDER BY m.memory_id
LIMIT (SELECT CAST(:limit AS bigint));

-- name: scan_embeddings :many
-- Vectors of a model behind an id, in order of id: one chunk of a search that reads all of them.
SELECT memory_id, text_hash, vector
FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND model = :model AND dimensions = :dimensions AND memory_id > :after_id
ORDER BY memory_id
LIMIT :limit;

-- name: list_embedding_models :many
-- The models that there are vectors of, each with their number; reads one index whole.
SELECT model, min(dimensions) AS dimensions, count(*) AS vector_count
FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id
GROUP BY model
ORDER BY model;

-- name: delete_embeddings :many
-- key: model
-- Remove some vectors of a model.
DELETE FROM aureus.memory_embeddings
WHERE tenant_id = :tenant_id AND model = :model AND memory_id IN (
    SELECT e.memory_id FROM aureus.memory_embeddings AS e
    WHERE e.tenant_id = :tenant_id AND e.model = :model ORDER BY e.memory_id LIMIT :limit)
RETURNING memory_id;

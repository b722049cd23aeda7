-- why: vectors of memories, for finding them by meaning
-- breaking: no
--
-- One vector for each memory and model, made outside and stored beside the memory. It belongs to the text whose hash it
-- carries: a reader compares them, so that no writer of memories needs to know of vectors.

CREATE TABLE aureus.memory_embeddings (
    tenant_id TEXT NOT NULL CHECK (tenant_id <> ''),
    model TEXT NOT NULL CHECK (model <> ''),
    memory_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    text_hash BLOB NOT NULL CHECK (length(text_hash) = 16),
    dimensions INTEGER NOT NULL CHECK (dimensions > 0),
    created_at INTEGER NOT NULL,
    vector BLOB NOT NULL CHECK (length(vector) = 4 * dimensions),
    PRIMARY KEY (tenant_id, model, memory_id),
    FOREIGN KEY (tenant_id, memory_id) REFERENCES aureus.memories (tenant_id, memory_id) ON DELETE CASCADE
) STRICT;

CREATE INDEX memory_embeddings_memory ON aureus.memory_embeddings (tenant_id, memory_id);

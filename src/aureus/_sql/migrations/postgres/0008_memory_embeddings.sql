-- why: vectors of memories, for finding them by meaning
-- breaking: no
--
-- One vector for each memory and model, made outside and stored beside the memory. It belongs to the text whose hash it
-- carries: a reader compares them, so that no writer of memories needs to know of vectors.
--
-- The bytes are read as they are; up to 2,000 dimensions fit into the row, so that reading many is one pass. Where the
-- extension vector is there, the step memory_vectors copies them into an index and replaces the function below.
-- Lock order: memories before their vectors, those in the order of memory_id.

CREATE TABLE aureus.memory_embeddings (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    model text COLLATE "C" NOT NULL CHECK (model <> ''),
    memory_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    text_hash bytea NOT NULL CHECK (length(text_hash) = 16),
    dimensions integer NOT NULL CHECK (dimensions > 0),
    created_at timestamptz NOT NULL,
    vector bytea NOT NULL CHECK (length(vector) = 4 * dimensions),
    PRIMARY KEY (tenant_id, model, memory_id),
    FOREIGN KEY (tenant_id, memory_id) REFERENCES aureus.memories (tenant_id, memory_id) ON DELETE CASCADE
) WITH (toast_tuple_target = 8160);
ALTER TABLE aureus.memory_embeddings ALTER COLUMN vector SET STORAGE EXTERNAL;

CREATE INDEX memory_embeddings_memory ON aureus.memory_embeddings (tenant_id, memory_id);

CREATE FUNCTION aureus.nearest_embeddings(the_tenant text, the_model text, content bytea, wanted integer)
RETURNS TABLE (memory_id text, score double precision, is_exact boolean)
LANGUAGE sql STABLE AS 'SELECT NULL::text, NULL::double precision, true WHERE false';

ALTER TABLE aureus.memory_embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.memory_embeddings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.memory_embeddings
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

-- An index of the vectors of memories, where the extension vector (pgvector) is installed. It is no migration: without
-- it a search reads all of a model's vectors, and finds the same. `extension` stands for the schema that holds the
-- extension, `aureus` for ours; both are put in place before this is carried out.
--
-- The side table follows memory_embeddings by a trigger and a foreign key, so that whoever writes a vector needs to
-- know nothing of it. HNSW indexes need one number of dimensions each; one without rows costs nothing, so those of the
-- sizes in use are made at once, because the application's role may make none later.

CREATE FUNCTION aureus.real_numbers(content bytea) RETURNS real[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- Little-endian 32-bit floats, taken apart by IEEE 754: no function of PostgreSQL reads them from bytes.
    SELECT array_agg(
        (CASE WHEN bits.exponent = 0 THEN bits.fraction * 2.0::double precision ^ (-149)
              ELSE (8388608 + bits.fraction) * 2.0::double precision ^ (bits.exponent - 150) END * bits.sign)::real
        ORDER BY bits.place)
    FROM (
        SELECT place,
            1 - 2 * (get_byte(content, place * 4 + 3) >> 7) AS sign,
            ((get_byte(content, place * 4 + 3) & 127) << 1) | (get_byte(content, place * 4 + 2) >> 7) AS exponent,
            ((get_byte(content, place * 4 + 2) & 127) << 16) | (get_byte(content, place * 4 + 1) << 8)
                | get_byte(content, place * 4) AS fraction
        FROM generate_series(0, length(content) / 4 - 1) AS place
    ) AS bits
$$;

CREATE TABLE aureus.memory_vectors (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    model text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    dimensions integer NOT NULL,
    embedding extension.vector NOT NULL,
    PRIMARY KEY (tenant_id, model, memory_id),
    FOREIGN KEY (tenant_id, model, memory_id)
        REFERENCES aureus.memory_embeddings (tenant_id, model, memory_id) ON DELETE CASCADE
) WITH (toast_tuple_target = 8160);

-- What was embedded before. The owner is held by the policy too, so it is lifted for this one statement; nobody else
-- can look meanwhile, because the change of the table has locked it.

ALTER TABLE aureus.memory_embeddings NO FORCE ROW LEVEL SECURITY;
INSERT INTO aureus.memory_vectors (tenant_id, model, memory_id, dimensions, embedding)
SELECT e.tenant_id, e.model, e.memory_id, e.dimensions, aureus.real_numbers(e.vector)::extension.vector
FROM aureus.memory_embeddings AS e;
ALTER TABLE aureus.memory_embeddings FORCE ROW LEVEL SECURITY;

CREATE INDEX memory_vectors_256 ON aureus.memory_vectors
    USING hnsw ((embedding::extension.vector(256)) extension.vector_ip_ops) WHERE dimensions = 256;
CREATE INDEX memory_vectors_384 ON aureus.memory_vectors
    USING hnsw ((embedding::extension.vector(384)) extension.vector_ip_ops) WHERE dimensions = 384;
CREATE INDEX memory_vectors_512 ON aureus.memory_vectors
    USING hnsw ((embedding::extension.vector(512)) extension.vector_ip_ops) WHERE dimensions = 512;
CREATE INDEX memory_vectors_768 ON aureus.memory_vectors
    USING hnsw ((embedding::extension.vector(768)) extension.vector_ip_ops) WHERE dimensions = 768;
CREATE INDEX memory_vectors_1024 ON aureus.memory_vectors
    USING hnsw ((embedding::extension.vector(1024)) extension.vector_ip_ops) WHERE dimensions = 1024;
CREATE INDEX memory_vectors_1536 ON aureus.memory_vectors
    USING hnsw ((embedding::extension.vector(1536)) extension.vector_ip_ops) WHERE dimensions = 1536;

ALTER TABLE aureus.memory_vectors ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.memory_vectors FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.memory_vectors
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

CREATE FUNCTION aureus.copy_vector() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO aureus.memory_vectors (tenant_id, model, memory_id, dimensions, embedding)
    VALUES (NEW.tenant_id, NEW.model, NEW.memory_id, NEW.dimensions,
        aureus.real_numbers(NEW.vector)::extension.vector)
    ON CONFLICT (tenant_id, model, memory_id)
    DO UPDATE SET dimensions = excluded.dimensions, embedding = excluded.embedding;
    RETURN NULL;
END $$;

CREATE TRIGGER memory_embeddings_copied AFTER INSERT OR UPDATE OF vector ON aureus.memory_embeddings
    FOR EACH ROW EXECUTE FUNCTION aureus.copy_vector();

-- The nearest vectors, best first, as many as asked for when there are as many. Up to 10,000 vectors of a tenant and
-- model are compared one by one; beyond that the index is followed, on and on through the rows of other tenants until
-- there are enough. Where it gives up before (40,000 rows), all are compared after all. Runs with the rights of the
-- caller, under its policy; the settings are those of this call alone.

CREATE OR REPLACE FUNCTION aureus.nearest_embeddings(the_tenant text, the_model text, content bytea, wanted integer)
RETURNS TABLE (memory_id text, score double precision, is_exact boolean)
LANGUAGE plpgsql STABLE
SET hnsw.iterative_scan = 'strict_order'
SET hnsw.max_scan_tuples = '40000'
SET hnsw.ef_search = '40'
SET enable_sort = 'on'
SET jit = 'off'
AS $function$
#variable_conflict use_column
DECLARE
    size integer := length(content) / 4;
    question extension.vector := aureus.real_numbers(content)::extension.vector;
    ids text[];
    distances double precision[];
BEGIN
    IF size IN (256, 384, 512, 768, 1024, 1536) AND EXISTS (
        SELECT FROM aureus.memory_vectors AS v
        WHERE v.tenant_id = the_tenant AND v.model = the_model
        ORDER BY v.memory_id OFFSET 10000 LIMIT 1
    ) THEN
        PERFORM pg_catalog.set_config('hnsw.ef_search', least(1000, greatest(100, 2 * wanted))::text, true),
            pg_catalog.set_config('enable_sort', 'off', true);
        EXECUTE format(
            'SELECT array_agg(n.memory_id), array_agg(n.distance) FROM (
                 SELECT v.memory_id, (v.embedding::extension.vector(%1$s)) OPERATOR(extension.<#>) $3 AS distance
                 FROM aureus.memory_vectors AS v
                 WHERE v.tenant_id = $1 AND v.model = $2 AND v.dimensions = %1$s
                 ORDER BY (v.embedding::extension.vector(%1$s)) OPERATOR(extension.<#>) $3
                 LIMIT $4) AS n', size)
            INTO ids, distances USING the_tenant, the_model, question, wanted;
        IF cardinality(ids) >= wanted THEN
            RETURN QUERY SELECT n.id, -n.distance, false FROM unnest(ids, distances) AS n (id, distance);
            RETURN;
        END IF;
        PERFORM pg_catalog.set_config('enable_sort', 'on', true);
    END IF;
    RETURN QUERY
        SELECT v.memory_id, -(v.embedding OPERATOR(extension.<#>) question), true
        FROM aureus.memory_vectors AS v
        WHERE v.tenant_id = the_tenant AND v.model = the_model AND v.dimensions = size
        ORDER BY v.embedding OPERATOR(extension.<#>) question, v.memory_id
        LIMIT wanted;
END $function$;

-- why: the nearest of many vectors, without reading all of them
-- breaking: no
--
-- One bit for each number of a vector, set where it is above zero. An index holds them, so that going through all
-- vectors of a model reads a thirtieth of what they are. They are part of the row: whatever removes or replaces it
-- does so with them. Rows that were written before have none, and are always looked at.
ALTER TABLE aureus.memory_embeddings ADD COLUMN signs bytea;

CREATE INDEX memory_embeddings_signs ON aureus.memory_embeddings (tenant_id, model, dimensions, memory_id)
    INCLUDE (signs);

-- why: changing a memory without a new entry in every index of memories
-- breaking: no
--
-- The version stood in an index of all memories with a key; so every change of any memory had to go into all indexes
-- anew. The highest version of a key that holds nothing is looked up among its memories instead.

DROP INDEX aureus.memories_key_versions;
CREATE INDEX memories_key_versions ON aureus.memories (tenant_id, agent_id, user_id, namespace, memory_key)
    WHERE memory_key <> '';

-- Memories on PostgreSQL. A write is one statement whose first step is the guarded insert or the copy of the version
-- that it replaces; everything else selects from it.

-- part: given
-- What a write is told, as rows.
SELECT * FROM json_to_recordset(CAST(:memories AS json)) AS g (
    memory_id text, version bigint, namespace text, memory_key text, agent_id text, user_id text, session_id text,
    type text, confidence double precision, subject text, text_language text, run_id text, task_id text, step_id text,
    source_event_id text, provenance_at bigint, is_shared boolean, tier text, occurred_at bigint,
    valid_from_at bigint, valid_to_at bigint, expires_at bigint, deleted_at bigint, superseded_by text,
    operation_id text, created_at bigint, updated_at bigint, tags text, metadata text, sources text, text text,
    content text)

-- part: given_ids
-- The ids of what is given, as one value: a join by them alone is made by reading all memories of the tenant, where the
-- planner takes these for few.
ANY (ARRAY(SELECT i.memory_id FROM given AS i))

-- part: is_tag_of_archived
-- A tag of a version that is replaced. Both lists are asked for first, or the planner reads whatever has the tag, or
-- has a look for every tag that there is.
d.tenant_id = :tenant_id
      AND d.tag = ANY (ARRAY(
        SELECT t.tag FROM archived AS i CROSS JOIN json_array_elements_text(i.tags) AS t (tag)))
      AND d.memory_id = ANY (ARRAY(SELECT i.memory_id FROM archived AS i))
      AND d.tag = t.tag AND d.memory_id = a.memory_id

-- part: insert_given
-- New rows of what is given; none for an id that is there.
INSERT INTO aureus.memories (tenant_id, <<columns>>)
SELECT :tenant_id, nextval('aureus.memory_no'), g.memory_id, g.version, g.namespace, g.memory_key, g.agent_id,
    g.user_id, g.session_id, g.type, g.confidence, g.subject, g.text_language, g.run_id, g.task_id, g.step_id,
    g.source_event_id, aureus.from_micros(g.provenance_at), g.is_shared, g.tier,
    aureus.from_micros(g.occurred_at),
    aureus.from_micros(g.valid_from_at),
    aureus.from_micros(g.valid_to_at),
    aureus.from_micros(g.expires_at),
    aureus.from_micros(g.deleted_at), g.superseded_by, g.operation_id,
    aureus.from_micros(g.created_at),
    aureus.from_micros(g.updated_at),
    CAST(g.tags AS json), CAST(g.metadata AS json), CAST(g.sources AS json), g.text, CAST(g.content AS json)
FROM given AS g

-- part: criteria
-- What a filter asks for. Lists are arrays; what contains what is the business of jsonb.
<<plain_criteria>>
  AND (CAST(:types AS text[]) IS NULL OR m.type = ANY (CAST(:types AS text[])))
  AND (CAST(:tags AS text[]) IS NULL OR CAST(m.tags AS jsonb) ?& CAST(:tags AS text[]))
  AND (CAST(:tags_any AS text[]) IS NULL OR CAST(m.tags AS jsonb) ?| CAST(:tags_any AS text[]))
  AND (CAST(:containing AS text) IS NULL OR CAST(m.content AS jsonb) @> CAST(CAST(:containing AS text) AS jsonb))
  AND (CAST(:valid_at AS timestamptz) IS NULL
      OR (m.valid_from_at IS NULL OR m.valid_from_at <= :valid_at)
        AND (m.valid_to_at IS NULL OR m.valid_to_at > :valid_at))

-- part: by_newest
-- The planner knows which index serves.

-- part: by_agent
-- The planner knows which index serves.

-- part: by_user
-- The planner knows which index serves.

-- part: by_shared
-- The planner knows which index serves.

-- part: by_superseded
-- The planner knows which index serves.

-- part: by_superseded_agent
-- The planner knows which index serves.

-- part: by_version
-- The planner knows which index serves.

-- part: by_version_agent
-- The planner knows which index serves.

-- part: chosen_memories
-- Each by its key, in a subquery that leaves the planner no other way: without statistics a walk through all memories
-- of the tenant looks as quick.
unnest(CAST(:memory_ids AS text[])) AS g (chosen_id)
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.memories AS o
    WHERE o.tenant_id = :tenant_id AND o.memory_id = g.chosen_id
    LIMIT 1) AS m

-- part: chosen
-- Memories with these ids.
m.memory_id = ANY (CAST(:memory_ids AS text[]))

-- part: add
-- New memories with their tags; an earlier write of the same operation is found again.
WITH given AS MATERIALIZED (
    <<given>>
), written AS (
    <<insert_given>>
    ON CONFLICT (tenant_id, memory_id) DO NOTHING
    RETURNING <<columns>>
), tagged AS (
    INSERT INTO aureus.memory_tags (tenant_id, tag, memory_id)
    SELECT :tenant_id, t.tag, w.memory_id
    FROM written AS w CROSS JOIN json_array_elements_text(w.tags) AS t (tag)
)
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written
UNION ALL
SELECT <<columns_of_m>>, NULL
FROM given AS g
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.memories AS o
    WHERE o.tenant_id = :tenant_id AND o.memory_id = g.memory_id
    LIMIT 1) AS m
WHERE NOT EXISTS (SELECT FROM written) AND m.agent_id = g.agent_id AND m.user_id = g.user_id
  AND m.memory_key = g.memory_key AND (m.operation_id <> g.operation_id OR (m.text = g.text AND m.type = g.type
      AND coalesce(CAST(m.content AS text), '') = coalesce(g.content, '')))

-- name: add_memory :one
-- locks: agent_id, user_id
-- records
-- Add one memory. No row: the id is taken by a memory that says something else.
<<add>>;

-- name: add_memories :many
-- locks: agent_id, user_id
-- records
-- Add many memories at once. No row: the ids are taken by memories that say something else.
<<add>>
ORDER BY memory_no;

-- name: get_memories :many
-- Memories by their ids, whatever became of them.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = ANY (CAST(:memory_ids AS text[]));

-- name: get_exact_versions :many
-- Certain versions of memories, whatever became of them; one that is not there has no row.
WITH wanted AS MATERIALIZED (
    SELECT g.memory_id, g.version
    FROM json_to_recordset(CAST(:wanted AS json)) AS g (memory_id text, version bigint)
)
SELECT <<columns_of_m>>
FROM wanted AS g
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.memories AS o
    WHERE o.tenant_id = :tenant_id AND o.memory_id = g.memory_id AND o.version = g.version
    LIMIT 1) AS m
UNION ALL
SELECT <<columns_of_m>>
FROM wanted AS g
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.memory_versions AS o
    WHERE o.tenant_id = :tenant_id AND o.memory_id = g.memory_id AND o.version = g.version
    LIMIT 1) AS m;

-- name: list_key_holders :many
-- Memories that hold keys which others are to get back, though they may have expired; served by memories_key.
SELECT <<columns_of_m>>
FROM json_to_recordset(CAST(:keys AS json)) AS g (agent_id text, user_id text, namespace text, memory_key text)
CROSS JOIN LATERAL (
    SELECT o.* FROM aureus.memories AS o
    WHERE o.tenant_id = :tenant_id AND o.agent_id = g.agent_id AND o.user_id = g.user_id
      AND o.namespace = g.namespace AND o.memory_key = g.memory_key AND o.memory_key <> ''
      AND o.deleted_at IS NULL AND o.superseded_by = ''
    LIMIT 1) AS m;

-- part: of_operation
-- The replaced version of a memory that an operation wrote, by memory_versions_operation: a range of one in its order,
-- because by equality the primary key would serve as well before there are statistics, which reads every version.
SELECT o.* FROM aureus.memory_versions AS o
    WHERE o.tenant_id = :tenant_id AND o.operation_id >= ''
      AND (o.operation_id, o.memory_id) BETWEEN (:operation_id, :memory_id) AND (:operation_id, :memory_id)
    ORDER BY o.operation_id, o.memory_id
    LIMIT 1

-- name: get_written_version :one
-- The version that an operation wrote among the hundred that were replaced last; behind lock_memory, so that it sees
-- those of whoever was waited for.
SELECT <<columns_of_m>>
FROM (<<of_operation>>) AS m
WHERE m.version > (
    SELECT c.version FROM aureus.memories AS c
    WHERE c.tenant_id = :tenant_id AND c.memory_id = :memory_id) - 100;

-- name: lock_memory :one
-- One memory with the promise that nobody changes it before this transaction ends.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = :memory_id
FOR UPDATE;

-- part: rewrite
-- The next versions of memories; those before are kept.
WITH given AS MATERIALIZED (
    <<given>>
), archived AS (
    INSERT INTO aureus.memory_versions (tenant_id, <<columns>>, recorded_from_at, recorded_to_at)
    SELECT tenant_id, <<columns>>, updated_at, greatest(updated_at, CAST(:now AS timestamptz))
    FROM aureus.memories
    WHERE tenant_id = :tenant_id AND memory_id = <<given_ids>>
      AND (memory_id, version) IN (SELECT g.memory_id, g.version - 1 FROM given AS g)
    RETURNING memory_id, version, tags
), written AS (
    UPDATE aureus.memories AS m SET
        version = g.version, type = g.type, confidence = g.confidence, subject = g.subject,
        text_language = g.text_language, run_id = g.run_id, task_id = g.task_id, step_id = g.step_id,
        source_event_id = g.source_event_id,
        provenance_at = aureus.from_micros(g.provenance_at), is_shared = g.is_shared,
        tier = g.tier, occurred_at = aureus.from_micros(g.occurred_at),
        valid_from_at = aureus.from_micros(g.valid_from_at),
        valid_to_at = aureus.from_micros(g.valid_to_at),
        expires_at = aureus.from_micros(g.expires_at),
        deleted_at = aureus.from_micros(g.deleted_at),
        superseded_by = g.superseded_by, operation_id = g.operation_id,
        updated_at = aureus.from_micros(g.updated_at),
        tags = CAST(g.tags AS json), metadata = CAST(g.metadata AS json), sources = CAST(g.sources AS json),
        text = g.text, content = CAST(g.content AS json)
    FROM given AS g JOIN archived AS a ON a.memory_id = g.memory_id
    WHERE m.tenant_id = :tenant_id AND m.memory_id = <<given_ids>> AND m.memory_id = g.memory_id
    RETURNING <<columns_of_m>>
)

-- part: marked
-- What was written, for the append that follows.
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written

-- part: replace
-- The next versions of memories with their tags; those before are kept.
<<rewrite>>, wanted AS (
    SELECT t.tag, w.memory_id
    FROM written AS w CROSS JOIN json_array_elements_text(w.tags) AS t (tag)
    WHERE w.deleted_at IS NULL AND w.superseded_by = ''
), untagged AS (
    DELETE FROM aureus.memory_tags AS d
    USING archived AS a CROSS JOIN json_array_elements_text(a.tags) AS t (tag)
    WHERE <<is_tag_of_archived>>
      AND NOT EXISTS (SELECT FROM wanted AS n WHERE n.memory_id = a.memory_id AND n.tag = t.tag)
), tagged AS (
    INSERT INTO aureus.memory_tags (tenant_id, tag, memory_id)
    SELECT :tenant_id, tag, memory_id FROM wanted
    ON CONFLICT DO NOTHING
)
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written

-- name: replace_memory :one
-- records
-- Write the next version of a memory and keep the one before. No row: it is not the version before this one any more.
<<replace>>;

-- name: revise_memory :one
-- records
-- The same for a memory that stays live and keeps its tags: half of the statement is about those.
<<rewrite>>
<<marked>>;

-- name: replace_memories :many
-- records
-- The same for many memories that are locked.
<<replace>>;

-- name: put_memory :one
-- records
-- Put a memory under a key whose lock is held and that holds nothing.
<<add>>;

-- name: supersede_memory :one
-- records
-- Put a memory under a key whose lock is held, and end the memory that the key holds, whose row is locked: both or
-- neither. No row: what the key holds is not of the version before this one any more.
WITH given AS MATERIALIZED (
    <<given>>
), archived AS (
    INSERT INTO aureus.memory_versions (tenant_id, <<columns>>, recorded_from_at, recorded_to_at)
    SELECT tenant_id, <<columns>>, updated_at, CAST(:ended_at AS timestamptz)
    FROM aureus.memories
    WHERE tenant_id = :tenant_id AND memory_id = :ended_id AND version = CAST(:ended_version AS bigint) - 1
    RETURNING memory_id, tags
), ended AS (
    UPDATE aureus.memories AS m SET
        version = :ended_version, superseded_by = g.memory_id, operation_id = g.memory_id,
        valid_to_at = CAST(:ends_at AS timestamptz), updated_at = CAST(:ended_at AS timestamptz)
    FROM archived AS a CROSS JOIN given AS g
    WHERE m.tenant_id = :tenant_id AND m.memory_id = :ended_id AND a.memory_id = :ended_id
    RETURNING m.memory_id
), untagged AS (
    DELETE FROM aureus.memory_tags AS d
    USING archived AS a CROSS JOIN json_array_elements_text(a.tags) AS t (tag)
    WHERE <<is_tag_of_archived>>
), written AS (
    <<insert_given>>
    WHERE EXISTS (SELECT FROM ended)
    RETURNING <<columns>>
), tagged AS (
    INSERT INTO aureus.memory_tags (tenant_id, tag, memory_id)
    SELECT :tenant_id, t.tag, w.memory_id
    FROM written AS w CROSS JOIN json_array_elements_text(w.tags) AS t (tag)
)
SELECT written.*, set_config('aureus.mark', :mark, true) FROM written;

-- name: purge_memories :many
-- records
-- Remove memories with everything that was kept of them.
WITH purged AS (
    DELETE FROM aureus.memories
    WHERE tenant_id = :tenant_id AND memory_id = ANY (CAST(:memory_ids AS text[]))
    RETURNING memory_id, tags
), versions AS (
    DELETE FROM aureus.memory_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.memory_id = ANY (ARRAY(SELECT p.memory_id FROM purged AS p))
), untagged AS (
    DELETE FROM aureus.memory_tags AS d
    USING purged AS p CROSS JOIN json_array_elements_text(p.tags) AS t (tag)
    WHERE d.tenant_id = :tenant_id
      AND d.tag = ANY (ARRAY(
        SELECT i.tag FROM purged AS p CROSS JOIN json_array_elements_text(p.tags) AS i (tag)))
      AND d.memory_id = ANY (ARRAY(SELECT p.memory_id FROM purged AS p))
      AND d.tag = t.tag AND d.memory_id = p.memory_id
), accesses AS (
    DELETE FROM aureus.memory_accesses AS a
    WHERE a.tenant_id = :tenant_id AND a.memory_id = ANY (ARRAY(SELECT p.memory_id FROM purged AS p))
)
SELECT memory_id, set_config('aureus.mark', :mark, true) FROM purged;

-- name: lock_owned_memories :many
-- A batch of live memories of one agent, and of one user where one is given, that nobody else is about to change.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
  AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
  AND m.deleted_at IS NULL AND m.superseded_by = ''
ORDER BY m.occurred_at, m.memory_id
LIMIT :limit
FOR UPDATE OF m;

-- name: lock_expired_memories :many
-- A batch of expired memories that nobody else is about to change, first expired first; served by memories_expiring.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.expires_at IS NOT NULL AND m.expires_at <= :now
  AND m.deleted_at IS NULL AND m.superseded_by = ''
ORDER BY m.expires_at, m.memory_id
LIMIT :limit
FOR UPDATE OF m SKIP LOCKED;

-- name: record_accesses :many
-- Count one use of each of these memories.
INSERT INTO aureus.memory_accesses AS a (tenant_id, memory_id, access_count, accessed_at)
SELECT :tenant_id, m.memory_id, 1, CAST(:now AS timestamptz)
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = ANY (CAST(:memory_ids AS text[]))
ORDER BY m.memory_id
ON CONFLICT (tenant_id, memory_id)
DO UPDATE SET access_count = a.access_count + 1, accessed_at = excluded.accessed_at
RETURNING memory_id;

-- name: move_memories :many
-- records
-- Move memories to another tier, as far as they are still of the version that was decided about. Whether one is live is
-- asked so that no index of live memories can be taken, by which all of a tenant are read.
WITH given AS MATERIALIZED (
    <<given>>
), moved AS (
    UPDATE aureus.memories AS m SET tier = g.tier
    FROM given AS g
    WHERE m.tenant_id = :tenant_id AND m.memory_id = <<given_ids>> AND m.memory_id = g.memory_id
      AND m.version = g.version
      AND CASE WHEN m.deleted_at IS NULL AND m.superseded_by = '' THEN 1 END IS NOT NULL
    RETURNING m.memory_id
)
SELECT memory_id, set_config('aureus.mark', :mark, true) FROM moved;

-- name: lock_memory_key :one
-- Let nobody else put under this key before this transaction ends; a key that holds nothing has no row to lock.
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text) || chr(31) || :place, 7));

-- name: lock_memories :many
-- Memories by their ids, in the order of the ids, that nobody else is about to change.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND <<chosen>>
ORDER BY m.memory_id
FOR UPDATE OF m;

-- name: look_under_key :many
-- What a key holds, and the memory that is about to be put there if it is there already. By ids, because two
-- conditions with OR make the planner combine whatever indexes there are.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id = ANY (ARRAY(
    SELECT CAST(:memory_id AS text)
    UNION ALL
    SELECT k.memory_id FROM aureus.memories AS k
    WHERE k.tenant_id = :tenant_id AND k.agent_id = :agent_id AND k.user_id = :user_id
      AND k.namespace = :namespace AND k.memory_key = :key AND k.memory_key <> '' AND k.deleted_at IS NULL
      AND k.superseded_by = ''))
  AND (m.memory_id = :memory_id
    OR m.agent_id = :agent_id AND m.user_id = :user_id AND m.namespace = :namespace AND m.memory_key = :key
      AND m.memory_key <> '' AND m.deleted_at IS NULL AND m.superseded_by = '')
FOR UPDATE OF m;

-- name: find_tagged :many
-- The ids of live memories with at least one of these tags, up to a limit; once for each tag.
SELECT memory_id
FROM aureus.memory_tags
WHERE tenant_id = :tenant_id AND tag = ANY (CAST(:tags AS text[]))
LIMIT :limit;

-- name: list_neighbours :many
-- The live memories of the same session right before and behind each hit; served by memories_session.
SELECT <<columns_of_m>>, h.value ->> 0, CAST(h.value ->> 4 AS bigint)
FROM json_array_elements(CAST(:hits AS json)) AS h
CROSS JOIN LATERAL (
    (SELECT m.* FROM aureus.memories AS m
    WHERE m.tenant_id = :tenant_id AND m.agent_id = h.value ->> 1 AND m.user_id = h.value ->> 2
      AND m.session_id = h.value ->> 3 AND m.session_id <> '' AND m.memory_no < CAST(h.value ->> 4 AS bigint)
      AND <<live>>
    ORDER BY m.memory_no DESC
    LIMIT :count)
    UNION ALL
    (SELECT m.* FROM aureus.memories AS m
    WHERE m.tenant_id = :tenant_id AND m.agent_id = h.value ->> 1 AND m.user_id = h.value ->> 2
      AND m.session_id = h.value ->> 3 AND m.session_id <> '' AND m.memory_no > CAST(h.value ->> 4 AS bigint)
      AND <<live>>
    ORDER BY m.memory_no
    LIMIT :count)
) AS m;

-- name: lock_subject_memories :many
-- Those of some memories that are of a user or about a person, in the order of their ids, that nobody else is about to
-- change. What removes them comes in a later statement, and so sees the versions of whoever was waited for.
SELECT m.memory_id
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND <<chosen>> AND (m.user_id = :subject OR m.subject = :subject)
ORDER BY m.memory_id
FOR UPDATE OF m;

-- name: erase_memories :many
-- Remove memories that are locked, with everything that was kept of them; the rows are the ids, each with the versions,
-- tags, counts of uses and vectors that went with all of them.
WITH erased AS (
    DELETE FROM aureus.memories
    WHERE tenant_id = :tenant_id AND memory_id = ANY (CAST(:memory_ids AS text[]))
    RETURNING memory_id, tags
), versions AS (
    DELETE FROM aureus.memory_versions AS v
    WHERE v.tenant_id = :tenant_id AND v.memory_id = ANY (ARRAY(SELECT e.memory_id FROM erased AS e))
    RETURNING 1
), untagged AS (
    DELETE FROM aureus.memory_tags AS d
    USING erased AS e CROSS JOIN json_array_elements_text(e.tags) AS t (tag)
    WHERE d.tenant_id = :tenant_id
      AND d.tag = ANY (ARRAY(
        SELECT i.tag FROM erased AS e CROSS JOIN json_array_elements_text(e.tags) AS i (tag)))
      AND d.memory_id = ANY (ARRAY(SELECT e.memory_id FROM erased AS e))
      AND d.tag = t.tag AND d.memory_id = e.memory_id
    RETURNING 1
), accesses AS (
    DELETE FROM aureus.memory_accesses AS a
    WHERE a.tenant_id = :tenant_id AND a.memory_id = ANY (ARRAY(SELECT e.memory_id FROM erased AS e))
    RETURNING 1
)
SELECT e.memory_id, (SELECT count(*) FROM versions), (SELECT count(*) FROM untagged), (SELECT count(*) FROM accesses),
    (SELECT CAST(coalesce(sum(v.count), 0) AS bigint) FROM erased AS g CROSS JOIN LATERAL (
        SELECT count(*) AS count FROM aureus.memory_embeddings AS o
        WHERE o.tenant_id = :tenant_id AND o.memory_id = g.memory_id) AS v)
FROM erased AS e;

-- name: erase_memory_versions :many
-- Remove replaced versions, given as pairs of id and version.
DELETE FROM aureus.memory_versions AS v
USING json_array_elements(CAST(:versions AS json)) AS g
WHERE v.tenant_id = :tenant_id
  AND v.memory_id = ANY (ARRAY(SELECT i.value ->> 0 FROM json_array_elements(CAST(:versions AS json)) AS i))
  AND v.memory_id = g.value ->> 0 AND v.version = CAST(g.value ->> 1 AS bigint)
RETURNING v.version;

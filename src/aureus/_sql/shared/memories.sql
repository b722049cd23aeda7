-- Memories: what agents keep. A row stands for the current version of a memory; whoever replaces it first copies it to
-- memory_versions. New memories arrive as one JSON array (aureus.stores.memories) and are gathered; a change reads its
-- memory, locked where the engine has locks for it, and then writes it, because its event names version and content.
-- Tags lie in memory_tags as long as the memory is live. Live is: deleted_at IS NULL AND superseded_by = ''; indexes
-- hold only live rows, so every list repeats these words.

-- part: columns
-- One memory, as aureus.stores.memories.rows reads it.
memory_no, memory_id, version, namespace, memory_key, agent_id, user_id, session_id, type, confidence, subject,
    text_language, run_id, task_id, step_id, source_event_id, provenance_at, is_shared, tier, occurred_at,
    valid_from_at, valid_to_at, expires_at, deleted_at, superseded_by, operation_id, created_at, updated_at, tags,
    metadata, sources, text, content

-- part: columns_of_m
-- The same where another table is beside memories.
m.memory_no, m.memory_id, m.version, m.namespace, m.memory_key, m.agent_id, m.user_id, m.session_id, m.type,
    m.confidence, m.subject, m.text_language, m.run_id, m.task_id, m.step_id, m.source_event_id, m.provenance_at,
    m.is_shared, m.tier, m.occurred_at, m.valid_from_at, m.valid_to_at, m.expires_at, m.deleted_at, m.superseded_by,
    m.operation_id, m.created_at, m.updated_at, m.tags, m.metadata, m.sources, m.text, m.content

-- part: listed
-- What every row fulfils and only lists say: on PostgreSQL memories_newest and memories_superseded have it as
-- a condition (migration 0030).
m.namespace >= ''

-- part: live
-- What a read shows. The first two conditions are those of the indexes.
m.deleted_at IS NULL AND m.superseded_by = '' AND (m.expires_at IS NULL OR m.expires_at > :now)

-- part: who
-- Whose memories: those of agent and user, where they are given, and on request what is shared, of the user or of none.
((CAST(:agent_id AS text) IS NULL OR m.agent_id = :agent_id)
        AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
      OR :include_shared AND m.is_shared AND (CAST(:user_id AS text) IS NULL OR m.user_id IN ('', :user_id)))

-- part: plain_criteria
-- What else a filter asks for, as far as both engines say it alike; a NULL lets everything through.
(CAST(:session_id AS text) IS NULL OR m.session_id = :session_id)
  AND (CAST(:namespace AS text) IS NULL OR m.namespace = :namespace)
  AND (CAST(:subject AS text) IS NULL OR m.subject = :subject)
  AND (CAST(:run_id AS text) IS NULL OR m.run_id = :run_id)
  AND (CAST(:task_id AS text) IS NULL OR m.task_id = :task_id)
  AND (CAST(:step_id AS text) IS NULL OR m.step_id = :step_id)
  AND (CAST(:source_event_id AS text) IS NULL OR m.source_event_id = :source_event_id)
  AND (CAST(:tier AS text) IS NULL OR m.tier = :tier)
  AND m.confidence >= :min_confidence
  AND m.occurred_at >= :occurred_from AND m.occurred_at < :occurred_to
  AND m.created_at >= :created_from AND m.created_at < :created_to

-- part: states
-- Every version that there is or was, with the interval in which it was the recorded truth.
SELECT <<columns>>, updated_at AS recorded_from_at, CAST(NULL AS timestamptz) AS recorded_to_at
    FROM aureus.memories WHERE tenant_id = :tenant_id
    UNION ALL
    SELECT <<columns>>, recorded_from_at, recorded_to_at
    FROM aureus.memory_versions WHERE tenant_id = :tenant_id

-- part: stands
-- What stands, if it was recorded by a moment and had not expired then.
m.updated_at <= :recorded_at AND (m.expires_at IS NULL OR m.expires_at > :recorded_at)

-- part: stood
-- A version that was replaced since, if it was recorded at a moment and live then; superseded ones only where validity
-- is asked for. What the first condition says is true of every version, and names their indexes (migration 0030).
m.agent_id >= '' AND m.recorded_from_at <= :recorded_at AND m.recorded_to_at > :recorded_at AND m.deleted_at IS NULL
  AND (m.superseded_by = '' OR :with_superseded) AND (m.expires_at IS NULL OR m.expires_at > :recorded_at)

-- part: newest_first
-- One page in the order of what happened, last first, behind a place.
(m.occurred_at, m.memory_id) < (:after_at, :after_id)
ORDER BY m.occurred_at DESC, m.memory_id DESC
LIMIT :limit

-- part: oldest_first
-- One page in the order of what happened, behind a place.
(m.occurred_at, m.memory_id) > (:after_at, :after_id)
ORDER BY m.occurred_at, m.memory_id
LIMIT :limit

-- name: get_memory :one
-- One memory by its id, whatever became of it.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND memory_id = :memory_id;

-- name: get_keyed_memory :one
-- The live memory of a key; served by memories_key.
SELECT <<columns>>
FROM aureus.memories
WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND user_id = :user_id AND namespace = :namespace
  AND memory_key = :key AND memory_key <> '' AND deleted_at IS NULL AND superseded_by = '';

-- name: list_namespaces :many
-- The namespaces in which keys of an agent and user hold live memories, by name. Each step looks up the next name in
-- memories_key, however many memories are between.
WITH RECURSIVE found (namespace, number) AS (
    SELECT (
        SELECT m.namespace FROM aureus.memories AS m
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id AND m.user_id = :user_id
          AND m.namespace >= :first_namespace AND m.namespace < :end_namespace
          AND m.memory_key <> '' AND m.deleted_at IS NULL AND m.superseded_by = ''
          AND (m.expires_at IS NULL OR m.expires_at > :now)
        ORDER BY m.namespace LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT m.namespace FROM aureus.memories AS m
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id AND m.user_id = :user_id
          AND m.namespace > f.namespace AND m.namespace < :end_namespace
          AND m.memory_key <> '' AND m.deleted_at IS NULL AND m.superseded_by = ''
          AND (m.expires_at IS NULL OR m.expires_at > :now)
        ORDER BY m.namespace LIMIT 1), f.number + 1
    FROM found AS f
    WHERE f.namespace IS NOT NULL AND f.number < :limit
)
SELECT f.namespace
FROM found AS f
WHERE f.namespace IS NOT NULL
ORDER BY f.namespace;

-- name: get_written_version :one
-- The version that an operation wrote among the hundred that were replaced last; behind lock_memory, so that it sees
-- those of whoever was waited for.
SELECT <<columns>>
FROM aureus.memory_versions
WHERE tenant_id = :tenant_id AND memory_id = :memory_id AND operation_id = :operation_id
  AND version > (
    SELECT m.version FROM aureus.memories AS m
    WHERE m.tenant_id = :tenant_id AND m.memory_id = :memory_id) - 100
ORDER BY version DESC
LIMIT 1;

-- name: get_state :one
-- The version of a memory that was recorded at a moment.
SELECT <<columns_of_m>>
FROM (<<states>>) AS m
WHERE m.memory_id = :memory_id AND m.recorded_from_at <= :recorded_at
  AND (m.recorded_to_at IS NULL OR m.recorded_to_at > :recorded_at);

-- name: list_versions :many
-- The versions of a memory below a version, newest first; a page of them, however many there are.
SELECT <<columns_of_m>>, m.recorded_from_at, m.recorded_to_at
FROM (
    SELECT <<columns>>, updated_at AS recorded_from_at, CAST(NULL AS timestamptz) AS recorded_to_at
    FROM aureus.memories
    WHERE tenant_id = :tenant_id AND memory_id = :memory_id AND version < :before_version
    UNION ALL
    SELECT * FROM (
        SELECT <<columns>>, recorded_from_at, recorded_to_at
        FROM aureus.memory_versions
        WHERE tenant_id = :tenant_id AND memory_id = :memory_id AND version < :before_version
        ORDER BY version DESC
        LIMIT :limit) AS replaced
) AS m
ORDER BY m.version DESC
LIMIT :limit;

-- name: list_newest_memories :many
-- A page of memories of the tenant; served by memories_newest.
SELECT <<columns_of_m>>
FROM aureus.memories AS m <<by_newest>>
WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
  AND <<live>>
  AND <<criteria>>
  AND <<newest_first>>;

-- name: list_oldest_memories :many
-- A page of memories of the tenant; served by memories_newest.
SELECT <<columns_of_m>>
FROM aureus.memories AS m <<by_newest>>
WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
  AND <<live>>
  AND <<criteria>>
  AND <<oldest_first>>;

-- name: count_memories :one
-- How many memories of the tenant; served by memories_newest there are.
SELECT count(*)
FROM aureus.memories AS m <<by_newest>>
WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
  AND <<live>>
  AND <<criteria>>;

-- name: list_newest_agent_memories :many
-- A page of memories of one agent; served by memories_agent.
SELECT <<columns_of_m>>
FROM aureus.memories AS m <<by_agent>>
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
  AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
  AND <<live>>
  AND <<criteria>>
  AND <<newest_first>>;

-- name: list_oldest_agent_memories :many
-- A page of memories of one agent; served by memories_agent.
SELECT <<columns_of_m>>
FROM aureus.memories AS m <<by_agent>>
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
  AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
  AND <<live>>
  AND <<criteria>>
  AND <<oldest_first>>;

-- name: count_agent_memories :one
-- How many memories of one agent; served by memories_agent there are.
SELECT count(*)
FROM aureus.memories AS m <<by_agent>>
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
  AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
  AND <<live>>
  AND <<criteria>>;

-- name: list_newest_user_memories :many
-- A page of memories of one agent and one user; served by memories_user.
SELECT <<columns_of_m>>
FROM aureus.memories AS m <<by_user>>
WHERE m.tenant_id = :tenant_id AND m.user_id = :user_id AND m.user_id <> '' AND m.agent_id = :agent_id
  AND <<live>>
  AND <<criteria>>
  AND <<newest_first>>;

-- name: list_oldest_user_memories :many
-- A page of memories of one agent and one user; served by memories_user.
SELECT <<columns_of_m>>
FROM aureus.memories AS m <<by_user>>
WHERE m.tenant_id = :tenant_id AND m.user_id = :user_id AND m.user_id <> '' AND m.agent_id = :agent_id
  AND <<live>>
  AND <<criteria>>
  AND <<oldest_first>>;

-- name: count_user_memories :one
-- How many memories of one agent and one user; served by memories_user there are.
SELECT count(*)
FROM aureus.memories AS m <<by_user>>
WHERE m.tenant_id = :tenant_id AND m.user_id = :user_id AND m.user_id <> '' AND m.agent_id = :agent_id
  AND <<live>>
  AND <<criteria>>;

-- name: list_newest_chosen_memories :many
-- A page of memories among those with these ids.
SELECT <<columns_of_m>>
FROM <<chosen_memories>>
WHERE m.tenant_id = :tenant_id AND <<chosen>> AND <<who>>
  AND <<live>>
  AND <<criteria>>
  AND <<newest_first>>;

-- name: list_found_memories :many
-- Those of some memories that a search may show, in no order.
SELECT <<columns_of_m>>
FROM <<chosen_memories>>
WHERE m.tenant_id = :tenant_id AND <<chosen>> AND <<who>>
  AND <<live>>
  AND <<criteria>>;

-- name: list_oldest_chosen_memories :many
-- A page of memories among those with these ids.
SELECT <<columns_of_m>>
FROM <<chosen_memories>>
WHERE m.tenant_id = :tenant_id AND <<chosen>> AND <<who>>
  AND <<live>>
  AND <<criteria>>
  AND <<oldest_first>>;

-- name: count_chosen_memories :one
-- How many memories among those with these ids there are.
SELECT count(*)
FROM <<chosen_memories>>
WHERE m.tenant_id = :tenant_id AND <<chosen>> AND <<who>>
  AND <<live>>
  AND <<criteria>>;

-- name: list_newest_shared_memories :many
-- A page of memories of one agent and of what else is shared; each arm is served by an index of its own.
SELECT <<columns_of_m>>
FROM (
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
          AND <<live>> AND <<criteria>> AND <<newest_first>>) AS own
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_shared>>
        WHERE m.tenant_id = :tenant_id AND m.is_shared
          AND NOT (m.agent_id = :agent_id AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id))
          AND (CAST(:user_id AS text) IS NULL OR m.user_id IN ('', :user_id))
          AND <<live>> AND <<criteria>> AND <<newest_first>>) AS shared
) AS m
ORDER BY m.occurred_at DESC, m.memory_id DESC
LIMIT :limit;

-- name: list_oldest_shared_memories :many
-- A page of memories of one agent and of what else is shared; each arm is served by an index of its own.
SELECT <<columns_of_m>>
FROM (
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
          AND <<live>> AND <<criteria>> AND <<oldest_first>>) AS own
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_shared>>
        WHERE m.tenant_id = :tenant_id AND m.is_shared
          AND NOT (m.agent_id = :agent_id AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id))
          AND (CAST(:user_id AS text) IS NULL OR m.user_id IN ('', :user_id))
          AND <<live>> AND <<criteria>> AND <<oldest_first>>) AS shared
) AS m
ORDER BY m.occurred_at, m.memory_id
LIMIT :limit;

-- name: list_newest_states :many
-- A page of memories of the tenant as they were recorded at a moment; each arm is served by an index of its own.
SELECT <<columns_of_m>>
FROM (
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_newest>>
        WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
          AND m.deleted_at IS NULL AND m.superseded_by = '' AND <<stands>>
          AND <<criteria>> AND <<newest_first>>) AS standing
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_superseded>>
        WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
          AND m.superseded_by <> '' AND m.deleted_at IS NULL AND :with_superseded AND <<stands>>
          AND <<criteria>> AND <<newest_first>>) AS superseded
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memory_versions AS m <<by_version>>
        WHERE m.tenant_id = :tenant_id AND <<who>> AND <<stood>>
          AND <<criteria>> AND <<newest_first>>) AS replaced
) AS m
ORDER BY m.occurred_at DESC, m.memory_id DESC
LIMIT :limit;

-- name: list_oldest_states :many
-- A page of memories of the tenant as they were recorded at a moment; each arm is served by an index of its own.
SELECT <<columns_of_m>>
FROM (
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_newest>>
        WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
          AND m.deleted_at IS NULL AND m.superseded_by = '' AND <<stands>>
          AND <<criteria>> AND <<oldest_first>>) AS standing
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_superseded>>
        WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
          AND m.superseded_by <> '' AND m.deleted_at IS NULL AND :with_superseded AND <<stands>>
          AND <<criteria>> AND <<oldest_first>>) AS superseded
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memory_versions AS m <<by_version>>
        WHERE m.tenant_id = :tenant_id AND <<who>> AND <<stood>>
          AND <<criteria>> AND <<oldest_first>>) AS replaced
) AS m
ORDER BY m.occurred_at, m.memory_id
LIMIT :limit;

-- name: count_states :one
-- How many memories of the tenant were recorded at a moment; each arm is served by an index of its own.
SELECT
    (SELECT count(*) FROM aureus.memories AS m <<by_newest>>
     WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
       AND m.deleted_at IS NULL AND m.superseded_by = '' AND <<stands>>
       AND <<criteria>>) +
    (SELECT count(*) FROM aureus.memories AS m <<by_superseded>>
     WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<who>>
       AND m.superseded_by <> '' AND m.deleted_at IS NULL AND :with_superseded AND <<stands>>
       AND <<criteria>>) +
    (SELECT count(*) FROM aureus.memory_versions AS m <<by_version>>
     WHERE m.tenant_id = :tenant_id AND <<who>> AND <<stood>>
       AND <<criteria>>);

-- name: list_newest_agent_states :many
-- A page of memories of one agent as they were recorded at a moment; each arm is served by an index of its own.
SELECT <<columns_of_m>>
FROM (
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
          AND m.deleted_at IS NULL AND m.superseded_by = '' AND <<stands>>
          AND <<criteria>> AND <<newest_first>>) AS standing
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_superseded_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
          AND m.superseded_by <> '' AND m.deleted_at IS NULL AND :with_superseded AND <<stands>>
          AND <<criteria>> AND <<newest_first>>) AS superseded
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memory_versions AS m <<by_version_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id) AND <<stood>>
          AND <<criteria>> AND <<newest_first>>) AS replaced
) AS m
ORDER BY m.occurred_at DESC, m.memory_id DESC
LIMIT :limit;

-- name: list_oldest_agent_states :many
-- A page of memories of one agent as they were recorded at a moment; each arm is served by an index of its own.
SELECT <<columns_of_m>>
FROM (
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
          AND m.deleted_at IS NULL AND m.superseded_by = '' AND <<stands>>
          AND <<criteria>> AND <<oldest_first>>) AS standing
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memories AS m <<by_superseded_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
          AND m.superseded_by <> '' AND m.deleted_at IS NULL AND :with_superseded AND <<stands>>
          AND <<criteria>> AND <<oldest_first>>) AS superseded
    UNION ALL
    SELECT * FROM (
        SELECT <<columns_of_m>>
        FROM aureus.memory_versions AS m <<by_version_agent>>
        WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
          AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id) AND <<stood>>
          AND <<criteria>> AND <<oldest_first>>) AS replaced
) AS m
ORDER BY m.occurred_at, m.memory_id
LIMIT :limit;

-- name: count_agent_states :one
-- How many memories of one agent were recorded at a moment; each arm is served by an index of its own.
SELECT
    (SELECT count(*) FROM aureus.memories AS m <<by_agent>>
     WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
       AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
       AND m.deleted_at IS NULL AND m.superseded_by = '' AND <<stands>>
       AND <<criteria>>) +
    (SELECT count(*) FROM aureus.memories AS m <<by_superseded_agent>>
     WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
       AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id)
       AND m.superseded_by <> '' AND m.deleted_at IS NULL AND :with_superseded AND <<stands>>
       AND <<criteria>>) +
    (SELECT count(*) FROM aureus.memory_versions AS m <<by_version_agent>>
     WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id
       AND (CAST(:user_id AS text) IS NULL OR m.user_id = :user_id) AND <<stood>>
       AND <<criteria>>);

-- name: sum_up_memories :many
-- How many memories of each type there are and the sum of their confidence; and, with the type '', the distinct tasks
-- that they came from.
WITH found AS (
    SELECT m.type, m.confidence, m.task_id
    FROM aureus.memories AS m <<by_newest>>
    WHERE m.tenant_id = :tenant_id AND <<listed>> AND <<live>> AND <<who>> AND <<criteria>>
)
SELECT type, count(*), sum(confidence) FROM found GROUP BY type
UNION ALL
SELECT '', count(DISTINCT task_id), 0 FROM found WHERE task_id <> '';

-- name: find_by_subject :many
-- The ids of live memories about a subject, up to a limit; served by memories_subject.
SELECT memory_id
FROM aureus.memories
WHERE tenant_id = :tenant_id AND subject = :value AND subject <> '' AND deleted_at IS NULL AND superseded_by = ''
LIMIT :limit;

-- name: find_by_run :many
-- The ids of live memories that came from a run, up to a limit; served by memories_run.
SELECT memory_id
FROM aureus.memories
WHERE tenant_id = :tenant_id AND run_id = :value AND run_id <> '' AND deleted_at IS NULL AND superseded_by = ''
LIMIT :limit;

-- name: find_by_task :many
-- The ids of live memories that came from a task, up to a limit; served by memories_task.
SELECT memory_id
FROM aureus.memories
WHERE tenant_id = :tenant_id AND task_id = :value AND task_id <> '' AND deleted_at IS NULL AND superseded_by = ''
LIMIT :limit;

-- name: find_by_source_event :many
-- The ids of live memories that came from an event, up to a limit; served by memories_source_event.
SELECT memory_id
FROM aureus.memories
WHERE tenant_id = :tenant_id AND source_event_id = :value AND source_event_id <> ''
  AND deleted_at IS NULL AND superseded_by = ''
LIMIT :limit;

-- name: find_by_session :many
-- The ids of the live memories of a session, of whichever agent and user, up to a limit; served by memories_session.
SELECT memory_id
FROM aureus.memories
WHERE tenant_id = :tenant_id AND session_id = :value AND session_id <> '' AND deleted_at IS NULL AND superseded_by = ''
LIMIT :limit;

-- name: list_session_before :many
-- Memories of a session in front of a number, last first; served by memories_session.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id AND m.user_id = :user_id AND m.session_id = :session_id
  AND m.session_id <> '' AND m.memory_no < :before_no AND (CAST(:type AS text) IS NULL OR m.type = :type)
  AND <<live>>
ORDER BY m.memory_no DESC
LIMIT :limit;

-- name: list_session_after :many
-- Memories of a session behind a number, first first; served by memories_session.
SELECT <<columns_of_m>>
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.agent_id = :agent_id AND m.user_id = :user_id AND m.session_id = :session_id
  AND m.session_id <> '' AND m.memory_no > :after_no AND (CAST(:type AS text) IS NULL OR m.type = :type)
  AND <<live>>
ORDER BY m.memory_no
LIMIT :limit;

-- name: list_due_memories :many
-- Live memories that have been in a tier since before a moment and were used less often than what keeps them there,
-- oldest first, with their accesses; served by memories_tier, which the bound of the tier names (migration 0030).
SELECT <<columns_of_m>>, coalesce(a.access_count, 0)
FROM aureus.memories AS m
LEFT JOIN aureus.memory_accesses AS a ON a.tenant_id = m.tenant_id AND a.memory_id = m.memory_id
WHERE m.tenant_id = :tenant_id AND m.tier = :tier AND m.tier >= '' AND m.created_at <= :created_until
  AND coalesce(a.access_count, 0) < :access_count AND <<live>>
ORDER BY m.created_at, m.memory_id
LIMIT :limit;

-- name: get_max_version :one
-- The highest version that a key ever had; the next memory under it goes on counting from there. Served by
-- memories_key_versions, which the bound of the namespace names (migration 0030).
SELECT coalesce(max(version), 0)
FROM aureus.memories
WHERE tenant_id = :tenant_id AND agent_id = :agent_id AND user_id = :user_id AND namespace = :namespace
  AND namespace >= '' AND memory_key = :key AND memory_key <> '';

-- name: list_subject_memories :many
-- Memories of a user, or about a person, whatever became of them, behind an id in the order of ids. Reads on until the
-- page is full: no index holds memories that are not live.
SELECT m.memory_id, m.agent_id, m.user_id, m.session_id
FROM aureus.memories AS m
WHERE m.tenant_id = :tenant_id AND m.memory_id > :after_id AND (m.user_id = :subject OR m.subject = :subject)
ORDER BY m.memory_id
LIMIT :limit;

-- name: list_subject_versions :many
-- Replaced versions that name a person where the memory itself does not (any more), or is gone, behind one of them.
SELECT v.memory_id, v.version
FROM aureus.memory_versions AS v
LEFT JOIN aureus.memories AS m ON m.tenant_id = v.tenant_id AND m.memory_id = v.memory_id
WHERE v.tenant_id = :tenant_id AND (v.memory_id, v.version) > (:after_id, :after_version)
  AND (v.user_id = :subject OR v.subject = :subject)
  AND (m.memory_id IS NULL OR m.user_id <> :subject AND m.subject <> :subject)
ORDER BY v.memory_id, v.version
LIMIT :limit;

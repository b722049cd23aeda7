-- Every table with many rows, most of which belong to one tenant, one agent, one user, one run, one key: there a wrong
-- index costs most, because whatever is read by less than its key reads nearly the whole table. Thirty other tenants
-- have the rest. Keys count up, so that a test can name its rows. For a superuser, past triggers and foreign keys.

CREATE SCHEMA seed;
SET LOCAL search_path = seed, pg_catalog;
SET LOCAL session_replication_role = replica;

CREATE FUNCTION owner(n integer) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN n % 4 < 3 THEN 'big' ELSE 't' || n % 30 END;
CREATE FUNCTION mostly(n integer, usual text, others text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN n % 8 < 6 THEN usual ELSE others || n % 30 END;
CREATE FUNCTION hash() RETURNS bytea LANGUAGE sql IMMUTABLE RETURN sha256('x');
CREATE VIEW numbers AS SELECT n FROM generate_series(1, 10000) AS n;

INSERT INTO aureus.workflows
SELECT owner(n), 'w' || n, 'w', 'h', now(), now() FROM numbers;
INSERT INTO aureus.workflow_versions
SELECT owner(n), 'w', 'h' || n, '{}', now() FROM numbers;
INSERT INTO aureus.runs
SELECT owner(n), 'r' || n, 'w', 'h', CASE WHEN n % 10 = 0 THEN 'completed' ELSE 'running' END, 'forward', 1, 1, 'l',
    't', 'k' || n, NULL, NULL, NULL, now() - n * interval '1 s', NULL, NULL, now() FROM numbers;
INSERT INTO aureus.run_inputs
SELECT owner(n), 'r' || n, '{}', '', NULL FROM numbers;
INSERT INTO aureus.tasks
SELECT owner(n), 'r' || n / 5, '', 'a' || n % 5, 0, 'task', 'waiting', 1, 0, 1, NULL, NULL, NULL, NULL, false, NULL,
    NULL, NULL, NULL, now(), NULL, NULL, NULL FROM numbers;
INSERT INTO aureus.task_results
SELECT owner(n), 'r' || n / 5, '', 'a' || n % 5, 0, '1' FROM numbers;
INSERT INTO aureus.idempotency_keys
SELECT owner(n), 'i' || n, 'r', '', 'a', 0, 'h', now() FROM numbers;
INSERT INTO aureus.approvals
SELECT owner(n), 'r' || n, '', 'a', 0, 'pending', 'm', NULL, 'me', now(), NULL, NULL, NULL, NULL, NULL FROM numbers;
INSERT INTO aureus.leases
SELECT owner(n), 'l' || n, 'h', 'b', 1, 's', now(), now(), now() + interval '1 h' FROM numbers;
INSERT INTO aureus.streams
SELECT owner(n), 'runs/r' || n, 'runs', 10, now(), now() FROM numbers;
INSERT INTO aureus.events
SELECT owner(n), n, n, 'e' || n, 'runs/r' || n / 3000, n % 3000 + 1, CASE WHEN n % 9 = 0 THEN 's' ELSE 't' END, 'me',
    now() - n * interval '1 s', 'c', CASE WHEN n % 3 = 0 THEN 'a' END, 'x', NULL, hash(), hash() FROM numbers;
INSERT INTO aureus.event_payloads
SELECT owner(n), n, hash(), 'x', NULL FROM numbers;
INSERT INTO aureus.event_subjects
SELECT owner(n), mostly(n, 'often', 'u'), n FROM numbers;
INSERT INTO aureus.audit_references
SELECT owner(n), 'run', mostly(n, 'r', 'r'), now(), n FROM numbers;
INSERT INTO aureus.audit_modes
SELECT 't' || n, NULL, 1, 'o', 'me', now() FROM numbers;
INSERT INTO aureus.audit_retention
SELECT 't' || n, 1, now() FROM numbers;
INSERT INTO aureus.erasures
SELECT owner(n), 'e' || n, 'x', now() FROM numbers;
INSERT INTO aureus.erased_entries
SELECT owner(n), n, 'e1' FROM numbers;
INSERT INTO aureus.destroyed_keys
SELECT owner(n), 'k' || n, 'e1' FROM numbers;
INSERT INTO aureus.ledger_heads
SELECT 't' || n, 'k' || n, 1, 1, hash(), hash(), 1, now() FROM numbers;
INSERT INTO aureus.ledger_pending
SELECT owner(n), n, n, hash() FROM numbers;
INSERT INTO aureus.ledger_batches
SELECT owner(n), n, 1, n, n, ARRAY[n], hash(), now() FROM numbers;
INSERT INTO aureus.ledger_nodes
SELECT owner(n), 8, n, hash() FROM numbers;
INSERT INTO aureus.signed_heads
SELECT owner(n), 1, n, hash(), 'note', now() FROM numbers;
INSERT INTO aureus.anchors
SELECT n, mostly(n, 'k', 'k'), 1, 1, hash(), hash(), now() FROM numbers;
INSERT INTO aureus.anchor_nodes
SELECT 8, n, hash() FROM numbers;
INSERT INTO aureus.profiles
SELECT owner(n), 'u' || n, '{}', 20000, 1, 'a', 'o', now(), now(), NULL FROM numbers;
INSERT INTO aureus.profile_versions
SELECT owner(n), mostly(n, 'u1', 'u'), n, '{}', 'a', 'o' || n, now(), now() FROM numbers;
INSERT INTO aureus.hypotheses (tenant_id, hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence,
    evidence_for_count, evidence_against_count, confidence_change_total, version, operation_id, created_at,
    updated_at)
SELECT owner(n), 'h' || n, mostly(n, 'busy', 'a'), mostly(n, 'often', 'u'), 's', 0.5, 0.5, 0, 0, 0, 1, 'h' || n, now()
    - n * interval '1 s', now() FROM numbers;
INSERT INTO aureus.hypothesis_evidence
SELECT owner(n), mostly(n, 'h1', 'h'), n, 'e' || n, 'for', 't', NULL, 'busy', 0.5, 0.5, now() FROM numbers;
INSERT INTO aureus.memories
SELECT owner(n), n, 'm' || n, 20000, '', CASE WHEN n % 10 = 0 THEN 'k' || n ELSE '' END, mostly(n, 'busy', 'a'),
    mostly(n,
    'often', 'u'), mostly(n, 's', 's'), 'fact', 0.5, mostly(n, 'about', 'b'), 'english', mostly(n, 'r', 'r'),
    mostly(n, 'a', 'a'), 'step', mostly(n, 'e', 'e'), NULL::timestamptz, n % 2 = 0, 'hot', now() - n * interval '1 s',
    NULL::timestamptz, NULL::timestamptz, CASE WHEN n % 20 = 0 THEN now() + n * interval '1 s' END, NULL::timestamptz,
    CASE WHEN n % 50 = 7 THEN 'm1' ELSE '' END, 'o', now() - interval '2 h', now() - interval '2 h', '["x"]'::json,
    '{}'::json, '[]'::json, repeat('text ', 10), NULL::json FROM numbers;
INSERT INTO aureus.memory_versions
SELECT owner(n), n, 'm' || CASE WHEN n % 2 = 0 THEN 1 ELSE n END, n, '', CASE WHEN n % 10 = 0 THEN 'k' || n ELSE ''
    END, mostly(n, 'busy', 'a'), mostly(n,
    'often', 'u'), mostly(n, 's', 's'), 'fact', 0.5, mostly(n, 'about', 'b'), 'english', mostly(n, 'r', 'r'),
    mostly(n, 'a', 'a'), 'step', mostly(n, 'e', 'e'), NULL::timestamptz, n % 2 = 0, 'hot', now() - n * interval '1 s',
    NULL::timestamptz, NULL::timestamptz, CASE WHEN n % 20 = 0 THEN now() + n * interval '1 s' END, NULL::timestamptz,
    CASE WHEN n % 50 = 7 THEN 'm1' ELSE '' END, 'o', now() - interval '2 h', now() - interval '2 h', '["x"]'::json,
    '{}'::json, '[]'::json, repeat('text ', 10), NULL::json, now() - interval '1 h', now() FROM numbers;
INSERT INTO aureus.memory_tags
SELECT owner(n), mostly(n, 't', 't'), 'm' || n FROM numbers;
INSERT INTO aureus.memory_accesses
SELECT owner(n), 'm' || n, 1, now() FROM numbers;
INSERT INTO aureus.memory_embeddings
SELECT owner(n), 'model', 'm' || n, 1, substring(hash() FROM 1 FOR 16), 4, now(), substring(hash() FROM 1 FOR 16),
    '\x01' FROM numbers;
INSERT INTO aureus.text_indexes
SELECT 't' || n, 'memories', 1, 1 FROM numbers;
INSERT INTO aureus.text_index_pending
SELECT owner(n), 'memories', 'm' || n, 10, '{}' FROM numbers;
INSERT INTO aureus.text_index_documents
SELECT owner(n), 'memories', n, 'm' || n, 10, '{}' FROM numbers;
INSERT INTO aureus.text_index_segments
SELECT owner(n), CASE WHEN n < 20 THEN 'memories' ELSE 'space' || n END, n, 'live', n * 4000, 4000, 4000, 0, 40000, 0,
    '[]', '', 'x' FROM numbers;
INSERT INTO aureus.text_index_postings
SELECT owner(n), 'memories', n % 30 + 1, 'w' || n, 1, hash(), int4send(n) FROM numbers;
INSERT INTO aureus.sessions
SELECT owner(n), 'c', mostly(n, 'busy', 'a'), 's' || n, 1, 1, 20000, NULL, CASE WHEN n % 10 = 5 THEN timestamptz
    '1970-01-01' WHEN n % 5 = 0 THEN now() + interval '1 h' END, 'o', now(), timestamptz '2025-01-01' + n * interval
    '1 s', CASE WHEN n % 10 = 5 THEN timestamptz '2025-06-01' END FROM numbers;
INSERT INTO aureus.session_states
SELECT owner(n), 'c', mostly(n, 'busy', 'a'), 's' || n, 1, '{}', '{}' FROM numbers;
INSERT INTO aureus.session_messages
SELECT owner(n), 'c', 'busy', mostly(n, 's1', 's'), 1, n, 'user', '"x"', NULL, 1, 'o' || n, true, now() FROM numbers;
INSERT INTO aureus.session_collections
SELECT owner(n), 'c' || n, true, '', '', now() FROM numbers;
INSERT INTO aureus.session_facets
SELECT owner(n), 'c', mostly(n, 'true@.odd', 'f'), mostly(n, 'busy', 'a'), 's' || n FROM numbers;
INSERT INTO aureus.world_state
SELECT owner(n), 'w', 'k' || n, 20000, '1', false, 'o', now(), now() FROM numbers;
INSERT INTO aureus.world_state_versions
SELECT owner(n), 'w', mostly(n, 'k1', 'k'), n, '1', 'o' || n, now(), NULL FROM numbers;
INSERT INTO aureus.subscriptions
SELECT owner(n), 's' || n, NULL, NULL, NULL, true, 1, now() FROM numbers;
INSERT INTO aureus.subscription_members
SELECT owner(n), 's' || n, 'm', now(), now() FROM numbers;
INSERT INTO aureus.subscription_buckets
SELECT owner(n), 's' || n, 0, 1, 1, NULL, NULL, now() FROM numbers;
INSERT INTO aureus.subscription_parked
SELECT owner(n), 's1', 'runs/r' || n, 0, 1, 1, 'e', false, now(), now(), NULL FROM numbers;
INSERT INTO aureus.snapshots
SELECT owner(n), 's' || n, mostly(n, 'busy', 'a'), mostly(n, 'often', 'u'), NULL, NULL, 'c', NULL, mostly(n, 'r',
    'r'), NULL, now(), 'me', NULL, '[]', '{}', 'k', 1, 1, hash(), NULL, 1, 1, hash(), hash(), true, NULL FROM numbers;
INSERT INTO aureus.snapshot_parts
SELECT owner(n), 's' || n / 3, n % 3 + 1, (ARRAY['world_state', 'session', 'memory'])[n % 3 + 1], 'w', mostly(n, 'k1',
    'k'), 1, hash(), hash(), 'x', NULL, now(), NULL FROM numbers;
INSERT INTO aureus.rollbacks
SELECT owner(n), 'b' || n, 's1', 's2', NULL, 'LOW', 'me', NULL, now(), '{}', '{}' FROM numbers;
INSERT INTO aureus.rollback_approvals
SELECT owner(n), 'a' || n, 's1', hash(), 'LOW', 'pending', 'me', now(), now() + interval '1 h', NULL, false, NULL,
    NULL, NULL, NULL, NULL FROM numbers;
INSERT INTO aureus.flushes
SELECT 'f' || n, now() FROM numbers;

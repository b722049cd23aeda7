-- What the application's role may do; it owns nothing. Carried out after every migration, on every start that migrates.
GRANT USAGE ON SCHEMA aureus TO aureus_app;
GRANT EXECUTE ON FUNCTION aureus.tenant() TO aureus_app;
GRANT USAGE ON SEQUENCE aureus.entry_no TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.workflows, aureus.runs, aureus.tasks, aureus.approvals,
    aureus.idempotency_keys, aureus.streams TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.profiles, aureus.profile_versions, aureus.hypotheses TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.hypothesis_evidence TO aureus_app;
GRANT SELECT, INSERT ON aureus.workflow_versions, aureus.run_inputs, aureus.task_results,
    aureus.events, aureus.event_payloads TO aureus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aureus.leases TO aureus_app;
GRANT USAGE ON SEQUENCE aureus.memory_no TO aureus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aureus.memories, aureus.memory_accesses TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.memory_versions, aureus.memory_tags TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.text_indexes TO aureus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aureus.text_index_pending, aureus.text_index_segments TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.text_index_documents, aureus.text_index_postings TO aureus_app;
GRANT EXECUTE ON FUNCTION aureus.state_facets(jsonb), aureus.lock_out_writers(regtype) TO aureus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aureus.sessions, aureus.session_states, aureus.session_messages,
    aureus.session_collections, aureus.session_facets TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.world_state TO aureus_app;
GRANT SELECT, INSERT ON aureus.world_state_versions TO aureus_app;
GRANT EXECUTE ON FUNCTION aureus.nearest_embeddings(text, text, bytea, integer) TO aureus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aureus.memory_embeddings TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.ledger_heads TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.ledger_pending TO aureus_app;
GRANT SELECT, INSERT ON aureus.ledger_batches, aureus.ledger_nodes TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.signed_heads TO aureus_app;
GRANT SELECT, UPDATE ON aureus.anchor_heads TO aureus_app;
GRANT SELECT, INSERT ON aureus.anchors, aureus.anchor_nodes TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.audit_references TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.audit_modes, aureus.audit_retention TO aureus_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aureus.subscriptions, aureus.subscription_members,
    aureus.subscription_buckets, aureus.subscription_parked TO aureus_app;
-- A payload is deleted only on record (a trigger); that is what erasing a person needs, and nothing else does.
GRANT DELETE ON aureus.event_payloads, aureus.profiles, aureus.profile_versions, aureus.hypotheses,
    aureus.task_results TO aureus_app;
GRANT UPDATE ON aureus.run_inputs TO aureus_app;
GRANT UPDATE (value, erasure_record_id), DELETE ON aureus.world_state_versions TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.event_subjects TO aureus_app;
GRANT SELECT, INSERT ON aureus.erasures, aureus.erased_entries, aureus.destroyed_keys TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.snapshots, aureus.snapshot_parts TO aureus_app;
GRANT UPDATE (is_verified, verified_at) ON aureus.snapshots TO aureus_app;
GRANT UPDATE (content, salt, erasure_record_id) ON aureus.snapshot_parts TO aureus_app;
GRANT SELECT, INSERT ON aureus.rollbacks TO aureus_app;
GRANT SELECT, INSERT, UPDATE ON aureus.rollback_approvals TO aureus_app;
GRANT SELECT, INSERT, DELETE ON aureus.flushes TO aureus_app;
GRANT SELECT ON aureus.schema_migrations TO aureus_app;

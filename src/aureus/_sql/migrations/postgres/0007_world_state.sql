-- why: world state: versioned keys, with every value they had
-- breaking: no
--
-- The current value of a key lies in its own row, so that a change sees it under the row's lock; every value it had
-- lies in world_state_versions, which only grows. A deleted key keeps its row: its version goes on counting.
--
-- Lock order: a key's row before its versions.

CREATE TABLE aureus.world_state (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    scope text COLLATE "C" NOT NULL,
    state_key text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version >= 0),
    value json,
    is_deleted boolean NOT NULL,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, scope, state_key),
    CHECK (is_deleted = (value IS NULL))
) WITH (fillfactor = 70);

-- value is null where the key was deleted. An operation is found again by its identifier, however much followed it.

CREATE TABLE aureus.world_state_versions (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    scope text COLLATE "C" NOT NULL,
    state_key text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    value json,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, scope, state_key, version)
);

CREATE UNIQUE INDEX world_state_versions_operation
    ON aureus.world_state_versions (tenant_id, scope, state_key, operation_id);

CREATE TRIGGER world_state_versions_immutable BEFORE UPDATE OR DELETE ON aureus.world_state_versions
    FOR EACH ROW EXECUTE FUNCTION aureus.refuse_change();
CREATE TRIGGER world_state_versions_no_truncate BEFORE TRUNCATE ON aureus.world_state_versions
    FOR EACH STATEMENT EXECUTE FUNCTION aureus.refuse_change();

ALTER TABLE aureus.world_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.world_state FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.world_state
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.world_state_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.world_state_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.world_state_versions
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

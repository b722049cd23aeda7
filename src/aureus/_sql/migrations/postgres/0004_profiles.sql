-- why: what agents know about users, and the hypotheses they test
-- breaking: no
--
-- profiles is the row that is locked and read; profile_versions holds every write with what it left behind, so that a
-- repeated call finds its own. A deletion empties both and keeps the bare rows: a late write can neither bring back
-- what was deleted nor start the versions anew.
-- The status of a hypothesis is generated from its confidence, so that no writer can say otherwise.
-- Lock order: a profile before its versions, a hypothesis before its evidence, both before their streams.

CREATE TABLE aureus.profiles (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    user_id text COLLATE "C" NOT NULL CHECK (user_id <> ''),
    sections json NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    first_version bigint NOT NULL,
    updated_by text NOT NULL,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, user_id)
) WITH (fillfactor = 80);

CREATE TABLE aureus.profile_versions (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    user_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    sections json NOT NULL,
    updated_by text NOT NULL,
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, version),
    UNIQUE (tenant_id, user_id, operation_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES aureus.profiles (tenant_id, user_id)
);

-- Hypotheses: one row for each, updated by every piece of evidence. user_id is '' when it is about nobody. Status is in
-- no index, so that an update need not touch any.

CREATE TABLE aureus.hypotheses (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    hypothesis_id text COLLATE "C" NOT NULL CHECK (hypothesis_id <> ''),
    agent_id text COLLATE "C" NOT NULL CHECK (agent_id <> ''),
    user_id text COLLATE "C" NOT NULL,
    statement text NOT NULL,
    initial_confidence double precision NOT NULL CHECK (initial_confidence BETWEEN 0 AND 1),
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE WHEN confidence < 0.2 THEN 'rejected' WHEN confidence > 0.8 THEN 'validated' ELSE 'active' END) STORED,
    evidence_for_count integer NOT NULL CHECK (evidence_for_count >= 0),
    evidence_against_count integer NOT NULL CHECK (evidence_against_count >= 0),
    confidence_change_total double precision NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    operation_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_tested_at timestamptz,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, hypothesis_id)
) WITH (fillfactor = 80);

CREATE INDEX hypotheses_newest ON aureus.hypotheses (tenant_id, created_at, hypothesis_id);
CREATE INDEX hypotheses_of_agent ON aureus.hypotheses (tenant_id, agent_id, created_at, hypothesis_id);
CREATE INDEX hypotheses_of_user ON aureus.hypotheses (tenant_id, user_id, created_at, hypothesis_id)
    WHERE user_id <> '';

-- Evidence: one row for each test of a hypothesis, in order, never changed; gone with what it was about.

CREATE TABLE aureus.hypothesis_evidence (
    tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id <> ''),
    hypothesis_id text COLLATE "C" NOT NULL,
    evidence_no integer NOT NULL CHECK (evidence_no > 0),
    evidence_id text COLLATE "C" NOT NULL,
    side text COLLATE "C" NOT NULL CHECK (side IN ('for', 'against')),
    text text NOT NULL,
    source text,
    agent_id text COLLATE "C" NOT NULL,
    confidence_before double precision NOT NULL,
    confidence_after double precision NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hypothesis_id, evidence_no),
    UNIQUE (tenant_id, hypothesis_id, evidence_id),
    FOREIGN KEY (tenant_id, hypothesis_id) REFERENCES aureus.hypotheses (tenant_id, hypothesis_id)
);

ALTER TABLE aureus.profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.profiles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.profiles
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.profile_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.profile_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.profile_versions
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.hypotheses ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.hypotheses FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.hypotheses
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));
ALTER TABLE aureus.hypothesis_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE aureus.hypothesis_evidence FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON aureus.hypothesis_evidence
    USING (tenant_id = (SELECT aureus.tenant())) WITH CHECK (tenant_id = (SELECT aureus.tenant()));

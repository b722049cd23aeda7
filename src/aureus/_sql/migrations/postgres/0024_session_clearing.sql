-- why: deleting and renewing sessions without planning the same statements each time
-- breaking: no
--
-- As before, with statements that the server keeps a plan of: put together anew for each row they took as long as all
-- the rest of a deletion.

CREATE OR REPLACE FUNCTION aureus.clear_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM aureus.session_messages AS m
    WHERE m.tenant_id = NEW.tenant_id AND m.collection = NEW.collection AND m.agent_id = NEW.agent_id
      AND m.session_id = NEW.session_id AND m.generation < NEW.generation;
    DELETE FROM aureus.session_states AS s
    WHERE s.tenant_id = NEW.tenant_id AND s.collection = NEW.collection AND s.agent_id = NEW.agent_id
      AND s.session_id = NEW.session_id AND s.generation < NEW.generation;
    IF NOT EXISTS (
        SELECT FROM aureus.session_states AS s
        WHERE s.tenant_id = NEW.tenant_id AND s.collection = NEW.collection AND s.agent_id = NEW.agent_id
          AND s.session_id = NEW.session_id)
    THEN
        DELETE FROM aureus.session_facets AS f
        WHERE f.tenant_id = NEW.tenant_id AND f.collection = NEW.collection AND f.agent_id = NEW.agent_id
          AND f.session_id = NEW.session_id;
    END IF;
    RETURN NULL;
END $$;

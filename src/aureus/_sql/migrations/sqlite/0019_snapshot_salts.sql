-- why: what snapshots hold of a person can be erased, and the hashes that stay tell nothing
-- breaking: yes
--
-- A part is committed to under a salt of its own, which an erasure takes away with the content: of sessions as before,
-- of keys of the world state too, and of pointers the salt alone. Parts that were taken before have none, and keep the
-- plain hash that their root was made of. A program that does not know this migration would take salted parts for
-- edited ones, and an erasure of its own would leave the salts: it is breaking.

ALTER TABLE aureus.snapshot_parts ADD COLUMN salt BLOB CHECK (length(salt) = 32);

CREATE INDEX snapshot_parts_key ON aureus.snapshot_parts (tenant_id, place, name, version, snapshot_id)
    WHERE kind = 'world_state';

DROP TRIGGER aureus.snapshot_parts_only_erased;

CREATE TRIGGER snapshot_parts_only_erased BEFORE UPDATE OF content, salt, erasure_record_id ON aureus.snapshot_parts
WHEN NEW.content IS NOT NULL OR NEW.salt IS NOT NULL OR NEW.erasure_record_id IS NULL
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of snapshot_parts are immutable');
END;

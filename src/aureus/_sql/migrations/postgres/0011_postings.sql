-- why: postings that are found without reading others on the way, and that a process may keep
-- breaking: no
--
-- What a live segment holds never changes, so a client may keep in memory what it has read of it. Its number does not
-- say which segment it is: a database that was put back to an earlier state gives the same numbers away again. The
-- identity is drawn by chance and does.
--
-- SQLite has to change the table of postings, too; here, keys were always found by an index beside the rows.

ALTER TABLE aureus.text_index_segments
    ADD COLUMN identity text COLLATE "C" NOT NULL DEFAULT CAST(gen_random_uuid() AS text);

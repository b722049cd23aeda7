"""Ways to give positions to what was committed without one, on bare tables of PostgreSQL.

Each way has the same pending entries to seal, in rounds of one size: take the right, move what is visible in the order
of appends, extend the Merkle tree in this process, set the head, commit.

- ``rows``: DELETE … RETURNING from a pending table into a row for each entry, found by position and by entry.
- ``batches``: the same into one row for each round that holds entry numbers and leaf hashes as arrays.
- ``in place``: UPDATE of the entries themselves, found by a partial index.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final, LiteralString

import psutil
import psycopg

from aureus.model.merkle import HASH_BYTES, Tree
from benchmarks.measuring import Effort
from benchmarks.place import Place, as_superuser
from benchmarks.tables import Table, count, fine

ENTRIES: Final = 60_000

_PREPARE: Final[LiteralString] = """
DROP SCHEMA IF EXISTS ways CASCADE;
CREATE SCHEMA ways;
CREATE TABLE ways.entries (
    tenant_id text COLLATE "C", entry_no bigint, append_no bigint, stream text, version bigint, type text, actor text,
    commitment bytea, leaf_hash bytea, position bigint, PRIMARY KEY (tenant_id, entry_no),
    UNIQUE (tenant_id, stream, version));
CREATE INDEX unsealed ON ways.entries (tenant_id, append_no, entry_no) INCLUDE (leaf_hash) WHERE position IS NULL;
CREATE TABLE ways.pending (
    tenant_id text COLLATE "C", append_no bigint, entry_no bigint, leaf_hash bytea,
    PRIMARY KEY (tenant_id, append_no, entry_no));
CREATE TABLE ways.positions (
    tenant_id text COLLATE "C", position bigint, entry_no bigint, leaf_hash bytea, PRIMARY KEY (tenant_id, position),
    UNIQUE (tenant_id, entry_no));
CREATE TABLE ways.batches (
    tenant_id text COLLATE "C", first_position bigint, size integer, entry_nos bigint[], leaf_hashes bytea,
    PRIMARY KEY (tenant_id, first_position));
ALTER TABLE ways.batches ALTER COLUMN leaf_hashes SET STORAGE EXTERNAL;
CREATE TABLE ways.heads (tenant_id text COLLATE "C" PRIMARY KEY, size bigint, peaks bytea) WITH (fillfactor = 50);
INSERT INTO ways.heads VALUES ('t', 0, '');
"""

_FILL: Final[tuple[LiteralString, ...]] = (
    (
        "INSERT INTO ways.entries SELECT 't', n, n, 's' || mod(n, 50), n, 'TASK_COMPLETED', 'a', "
        "sha256(n::text::bytea), sha256(n::text::bytea) FROM generate_series(1, %s) n"
    ),
    "INSERT INTO ways.pending SELECT tenant_id, append_no, entry_no, leaf_hash FROM ways.entries WHERE entry_no <= %s",
    "VACUUM ANALYZE ways.pending",
    "VACUUM ANALYZE ways.entries",
    "CHECKPOINT",
)  # fmt: skip

_MOVED: Final[LiteralString] = """
WITH bound AS MATERIALIZED (
    SELECT append_no FROM ways.pending WHERE tenant_id = 't' ORDER BY append_no, entry_no OFFSET %(limit)s LIMIT 1
), moved AS (
    DELETE FROM ways.pending
    WHERE tenant_id = 't' AND append_no < coalesce((SELECT append_no FROM bound), 9223372036854775807)
    RETURNING append_no, entry_no, leaf_hash
)"""

_WAYS: Final[dict[str, LiteralString]] = {
    "rows": _MOVED
    + """, numbered AS MATERIALIZED (
    SELECT %(size)s::bigint + row_number() OVER (ORDER BY append_no, entry_no) - 1 AS position, entry_no, leaf_hash
    FROM moved
), put AS (
    INSERT INTO ways.positions SELECT 't', position, entry_no, leaf_hash FROM numbered
)
SELECT string_agg(leaf_hash, ''::bytea ORDER BY position) FROM numbered""",
    "batches": _MOVED
    + """
INSERT INTO ways.batches
SELECT 't', %(size)s, count(*), array_agg(entry_no ORDER BY append_no, entry_no),
    string_agg(leaf_hash, ''::bytea ORDER BY append_no, entry_no)
FROM moved HAVING count(*) > 0
RETURNING leaf_hashes""",
    "in place": """
WITH picked AS MATERIALIZED (
    SELECT append_no, entry_no FROM ways.entries
    WHERE tenant_id = 't' AND position IS NULL ORDER BY append_no, entry_no LIMIT %(limit)s
), numbered AS MATERIALIZED (
    SELECT %(size)s::bigint + row_number() OVER (ORDER BY append_no, entry_no) - 1 AS position, entry_no FROM picked
), placed AS (
    UPDATE ways.entries e SET position = n.position FROM numbered n
    WHERE e.tenant_id = 't' AND e.entry_no = n.entry_no RETURNING n.position, e.leaf_hash
)
SELECT string_agg(leaf_hash, ''::bytea ORDER BY position) FROM placed""",
}


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Seal the same entries in each way, in large rounds and in small ones."""
    url = as_superuser(place.new_url("PostgreSQL"))
    with psycopg.connect(url, autocommit=True) as connection:
        rows = [
            [way, count(limit), *_sealed(connection, way, limit, effort)]
            for limit in (2048, 128)
            for way in _WAYS
        ]
    yield Table(
        f"Ways to seal {ENTRIES:,} entries on PostgreSQL",
        ("way", "entries a round", "leaves/s", "server µs", "client µs", "round p50 ms", "p99 ms", "bytes"),
        rows,
        "A leaf each; µs are processor time a leaf, of the server's one backend and of this process, which makes the "
        "tree; leaves/s are of both together on one core; bytes a leaf are those of what is kept.",
    )  # fmt: skip


def _sealed(
    connection: psycopg.Connection[Any], way: str, limit: int, effort: Effort
) -> Iterator[str]:
    connection.execute(_PREPARE)
    entries = ENTRIES if effort.seconds else 1000
    for text in _FILL:
        connection.execute(text, [entries] if "%s" in text else None)
    backend = psutil.Process(connection.info.backend_pid)
    server, client = _cpu(backend), time.process_time()
    rounds: list[float] = []
    tree = Tree()
    while True:
        began = time.perf_counter()
        with connection.transaction():
            if not _seal_round(connection, way, limit, tree):
                break
        rounds.append(time.perf_counter() - began)
    server, client = _cpu(backend) - server, time.process_time() - client
    rounds.sort()
    kept = connection.execute(
        "SELECT pg_total_relation_size('ways.positions') + pg_total_relation_size('ways.batches') - 32768"
    ).fetchone()
    yield count(tree.size / (server + client))
    yield fine(server / tree.size * 1e6)
    yield fine(client / tree.size * 1e6)
    yield fine(rounds[len(rounds) // 2] * 1000)
    yield fine(rounds[int(len(rounds) * 0.99)] * 1000)
    yield count(max(0, kept[0]) / tree.size if kept else 0)


def _seal_round(connection: psycopg.Connection[Any], way: str, limit: int, tree: Tree) -> bool:
    connection.execute(
        "SELECT size FROM ways.heads WHERE tenant_id = 't' FOR UPDATE SKIP LOCKED"
    ).fetchone()
    row = (
        connection.cursor(binary=True)
        .execute(_WAYS[way], {"limit": limit, "size": tree.size})
        .fetchone()
    )
    if row is None or row[0] is None:
        return False
    hashes = bytes(row[0])
    tree.extend(hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
    connection.execute(
        "UPDATE ways.heads SET size = %s, peaks = %s WHERE tenant_id = 't'",
        (tree.size, tree.to_bytes()),
    )
    return True


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

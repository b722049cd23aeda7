"""The ledger goes on where its bytes go: into a fresh cluster by dump and restore, and on a streaming standby."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from aureus import NewEvent
from aureus.errors import NotFound
from aureus.model.subscriptions import Wanted
from aureus.stores.subscriptions.consuming import ConsumerStore
from tests.contract.stage import Stage
from tests.contract.test_ledger import check, sealed
from tests.support.backends import Backend
from tests.support.migrated import migrate_template
from tests.support.postgres import PostgresHome, PostgresServer
from tests.support.waiting import eventually

WRITERS = 8
APPENDS = 12


def write(stage: Stage, number: int) -> None:
    """Append single events, several at once, and in transactions of which every third is rolled back."""
    for at in range(APPENDS):
        if at % 3 == 2:
            with suppress(NotFound), stage.backend.transaction(stage.tenant) as tx:
                tx.events.append(f"s/{number % 3}", "t", {"n": number, "at": at})
                tx.events.append_all(f"t/{number}", [NewEvent("t", {})] * 2)
                if at % 2:
                    tx.runs.get("none")
        else:
            stage.stores.events.append(f"s/{number % 3}", "t", {"n": number, "at": at})


def told(backend: Backend, after: int) -> list[tuple[int, str, int]]:
    """Return position, stream and version of the sealed events behind a position, as a subscription reads them."""
    call = backend.client._call("acme")
    page = ConsumerStore(backend.client._database, call).read_sealed(after, Wanted())
    return [(event.position or 0, event.stream, event.version) for event in page.events]


def test_a_restored_ledger_verifies_and_goes_on_with_the_next_position(
    own_postgres_server: PostgresServer, postgres_home: PostgresHome, opened: Any
) -> None:
    name = own_postgres_server.create_database(own_postgres_server.template(migrate_template))
    first = opened(own_postgres_server.url(name))
    stage = Stage(first, "acme")
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda number: write(stage, number), range(WRITERS)))
    sealed(stage)
    head = stage.stores.ledger.get_head()
    stage.stores.events.append("late", "t", {})
    before = told(first, -1)
    fresh = postgres_home.new_server(is_durable=False)
    fresh._run("CREATE ROLE {} NOLOGIN", "aureus_app")
    restored = fresh.restore(readable(own_postgres_server.dump(name)))
    second = opened(fresh.url(restored))
    other = Stage(second, "acme")
    assert told(second, -1)[: len(before)] == before
    again = other.stores.ledger.get_head()
    assert (again.size >= head.size, again.tenant_key) == (True, head.tenant_key)
    other.stores.events.append("new", "t", {})
    assert check(other) >= head.size + 2
    assert other.stores.ledger.verify().is_intact
    second.close()
    fresh.stop("immediate")


def readable(file: Path) -> Path:
    """Let the account of any server read a file."""
    file.chmod(0o644)
    file.parent.chmod(0o755)
    return file


def test_a_reader_of_a_standby_is_told_everything_in_order_and_once(
    own_postgres_server: PostgresServer, postgres_home: PostgresHome, opened: Any
) -> None:
    name = own_postgres_server.create_database(own_postgres_server.template(migrate_template))
    primary = opened(own_postgres_server.url(name))
    stage = Stage(primary, "acme")
    standby_server = postgres_home.new_standby(own_postgres_server)
    standby = opened(standby_server.url(name), **{"ledger.sealing": "off"})
    seen: list[tuple[int, str, int]] = []
    has_ended = threading.Event()

    def read() -> None:
        while True:
            is_last_look = has_ended.is_set()
            page = told(standby, seen[-1][0] if seen else -1)
            seen.extend(page)
            if is_last_look and not page:
                return

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader = pool.submit(read)
        for done in [pool.submit(write, stage, number) for number in range(WRITERS)]:
            done.result()
        size = len(sealed(stage))
        eventually(lambda: told(standby, size - 2), "the standby to have everything")
        has_ended.set()
        reader.result()
    assert [position for position, _, _ in seen] == list(range(size))
    versions: dict[str, int] = {}
    for _, stream, version in seen:
        assert version == versions.get(stream, 0) + 1
        versions[stream] = version
    standby.close()
    standby_server.stop("immediate")

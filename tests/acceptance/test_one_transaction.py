"""One transaction across every store and the user's own table: after any kill, all of it is there or none."""

from __future__ import annotations

import random  # noqa: TID251 - seeded, so that a drill can be repeated
import sys

import pytest

from aureus.client import Aureus
from tests.acceptance.project import Project
from tests.support.programs import heard, killed, running

KILLS = 12

PROGRAM = """\
from aureus import Aureus

PLACE = "%s" if {is_postgres} else "?"

def count(tx):
    (number,), = tx.execute("SELECT count(*) FROM mine")
    number += 1
    tx.sessions.save("planner", "s1", {{"number": number}}, expected_version=number - 1 or None)
    tx.memories.add(f"number {{number}}", agent_id="planner", memory_id=f"m{{number}}", tags=["drill"])
    tx.events.append("planner/s1", "counted", {{"number": number}}, expected_version=number - 1)
    tx.world_state.set("number", number, expected_version=number - 1)
    tx.execute(f"INSERT INTO mine (number) VALUES ({{PLACE}})", [number])
    return number

with Aureus() as db:
    while True:
        print(db.run_in_transaction(count), flush=True)
"""


@pytest.mark.timeout(600)
def test_after_any_kill_all_stores_and_the_users_table_tell_the_same(project: Project) -> None:
    url = project.environment.get("AUREUS_DATABASE_URL")
    program = project.write("drill.py", PROGRAM.format(is_postgres=url is not None))
    with project.open() as db, db.transaction() as tx:
        tx.execute("CREATE TABLE mine (number INTEGER PRIMARY KEY)")
        if url is not None:
            tx.execute("GRANT ALL ON mine TO aureus_app")
    dice = random.Random(20_261_127)  # noqa: S311 - a drill that can be repeated
    acknowledged = 0
    for _ in range(KILLS):
        command = [sys.executable, str(program)]
        with running(command, environment=project.environment, directory=project.folder) as process:
            lines = [heard(process) for _ in range(dice.randrange(1, 40))]
            lines += killed(process)
        acknowledged = int(lines[-1])
        with project.open() as db:
            assert_all_tell_the_same(db, acknowledged)
    assert acknowledged >= KILLS


def assert_all_tell_the_same(db: Aureus, acknowledged: int) -> None:
    """Hold every store against the user's own table, and that against what was acknowledged."""
    with db.transaction() as tx:
        rows = tx.execute("SELECT number FROM mine ORDER BY number")
        number = len(rows)
        assert [row[0] for row in rows] == list(range(1, number + 1))
        assert acknowledged <= number <= acknowledged + 1
        session = tx.sessions.load("planner", "s1")
        assert (session.state, session.version) == ({"number": number}, number)
        assert tx.memories.count(agent_id="planner", tags=["drill"]) == number
        assert tx.events.stream_version("planner/s1") == number
        assert tx.events.stream_version("memories/planner") == number
        entry = tx.world_state.get("number")
        assert (entry.value, entry.version) == (number, number)

"""A caller's own SQL inside a transaction: what it may not be is said before it is sent, and the rest stays intact."""

from __future__ import annotations

from typing import Any

import pytest

from aureus._database.own_sql import check_own_sql
from aureus.errors import DatabaseError, Invalid
from tests.contract.stage import Stage

REFUSED: list[tuple[Any, Any, str]] = [
    ("COMMIT", (), "leaving the block commits"),
    ("  -- done\n/* now */ commit;", (), "COMMIT is no statement"),
    ("END", (), "END is no statement"),
    ("Rollback", (), "rolls it back"),
    ("ROLLBACK WORK", (), "rolls it back"),
    ("BEGIN IMMEDIATE", (), "BEGIN is no statement"),
    ("start transaction", (), "no statement"),
    (5, (), "it must be text"),
    (b"SELECT 1", (), "it must be text"),
    ("SELECT 1", "abc", "it must be a list or a dict"),
    ("SELECT 1", 5, "it must be a list or a dict"),
]


@pytest.mark.parametrize(
    ("text", "parameters", "said"), REFUSED, ids=lambda value: repr(value)[:20]
)
def test_what_ends_the_transaction_or_is_no_sql_is_refused_and_the_rest_commits(
    stage: Stage, text: Any, parameters: Any, said: str
) -> None:
    with stage.backend.transaction("acme") as tx:
        tx.events.append("orders/1", "order_placed", {})
        with pytest.raises(Invalid, match=said):
            tx.execute(text, parameters)
        tx.events.append("orders/1", "order_paid", {})
    assert stage.stores.events.stream_version("orders/1") == 2


def test_what_only_looks_so_is_let_through(stage: Stage) -> None:
    check_own_sql("ROLLBACK TO SAVEPOINT mine", [])
    check_own_sql("rollback work to mine", {})
    with stage.backend.transaction("acme") as tx:
        assert tx.execute("/* a comment that says COMMIT */ SELECT 1") == [(1,)]
        assert tx.execute("SELECT 'x' AS ending -- COMMIT") == [("x",)]
        tx.events.append("orders/1", "order_placed", {})
    assert stage.stores.events.stream_version("orders/1") == 1


def test_a_mistyped_name_in_it_says_nothing_about_our_schema(stage: Stage) -> None:
    is_postgres = "PostgreSQL" in stage.backend.client.description
    with stage.backend.transaction("acme") as tx:
        for text in ("SELECT 1 FROM ordrs", "SELECT nonsense"):
            with pytest.raises(DatabaseError) as caught:
                tx.execute(text)
            assert type(caught.value) is DatabaseError
            assert "migrate" not in caught.value.message
        with pytest.raises(Invalid, match="execute"):
            tx.execute("SELECT %s" if is_postgres else "SELECT ?", [object()])
        tx.events.append("orders/1", "order_placed", {})
    assert stage.stores.events.stream_version("orders/1") == 1

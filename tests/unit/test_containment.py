"""Containment of JSON follows the rule of PostgreSQL, proved against PostgreSQL itself."""

from __future__ import annotations

from typing import Any

import apsw
import orjson
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aureus._database.sqlite.functions import add_functions
from aureus.model.containment import contains
from tests.support.postgres import PostgresDatabase

SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, -1, 1.5, "", "a", "b", "1"])

VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=VALUES)
def test_everything_contains_itself(value: Any) -> None:
    assert contains(value, value)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(pairs=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=40))
def test_both_engines_agree_on_what_contains_what(
    postgres_database: PostgresDatabase, pairs: list[tuple[Any, Any]]
) -> None:
    texts = [(orjson.dumps(one).decode(), orjson.dumps(other).decode()) for one, other in pairs]
    with psycopg.connect(postgres_database.url()) as connection:
        rows = connection.execute(
            "SELECT CAST(s AS jsonb) @> CAST(w AS jsonb) FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY "
            "AS p (s, w, n) ORDER BY n",
            ([one for one, _ in texts], [other for _, other in texts]),
        ).fetchall()
    sqlite = apsw.Connection(":memory:")
    add_functions(sqlite)
    for (row,), pair in zip(rows, texts, strict=True):
        ((found,),) = sqlite.execute("SELECT json_contains(?, ?)", pair).fetchall()
        assert bool(found) is row, pair


def test_what_is_no_json_contains_nothing() -> None:
    sqlite = apsw.Connection(":memory:")
    add_functions(sqlite)
    assert sqlite.execute("SELECT json_contains(NULL, '1')").fetchall() == [(None,)]

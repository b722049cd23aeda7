"""Expressions: what they mean, what they refuse, and that nothing else can happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.engine.definition.expressions import (
    condition,
    evaluate,
    parse,
    references,
    render,
    split,
)
from aureus.engine.definition.grammar import EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX
from aureus.engine.definition.terms import Expression
from aureus.errors import Invalid, LimitExceeded

SCOPE: dict[str, Any] = {
    "input": {
        "n": 3, "big": 2**62, "half": 0.5, "text": "tides", "empty": "", "yes": True, "no": False,
        "nothing": None, "list": [1, 2.0, "x", [True]], "map": {"a": {"b c": [10, 20]}, "": 1},
        "dash-ed": "d", "one": [1], "two": [1, 2],
    },
    "run": {"id": "r_1"},
    "tasks": {
        "fetch": {"status": "completed", "result": {"pages": [{"title": "A"}], "ok": True}},
        "read-balance": {"status": "skipped"},
        "7": {"status": "failed", "result": None},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # literals
        ("1", 1), ("-1", -1), ("0", 0), ("1.5", 1.5), ("-2e3", -2000.0), ("1E-2", 0.01),
        ("'a'", "a"), ('"a"', "a"), ("''", ""), (r"'it\'s'", "it's"), (r'"\"\\\n\t"', '"\\\n\t'),
        ("'}}'", "}}"), ("'${{'", "${{"), ("true", True), ("false", False), ("null", None),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)),
        # paths
        ("input.n", 3), ("input.map.a['b c'][1]", 20), ('input["map"]["a"]["b c"][0]', 10),
        ("input.map['']", 1), ("input.dash-ed", "d"), ("input['dash-ed']", "d"),
        ("tasks.fetch.result.pages[0].title", "A"), ("tasks.read-balance.status", "skipped"),
        ("tasks['7'].status", "failed"), ("run.id", "r_1"), ("input .n", 3), ("input.list[3][0]", True),
        ("input", SCOPE["input"]),
        # equality: by value, types apart, 1 and 1.0 the same number
        ("1 == 1.0", True), ("1 == '1'", False), ("1 == true", False), ("0 == false", False),
        ("null == null", True), ("null == false", False), ("'' == null", False), ("1 != '1'", True),
        ("input.list == input.list", True), ("input.list[3] == input.list[3]", True),
        ("input.list[0] == input.list[3][0]", False), ("input.map == input.list", False),
        ("input.map == input.map", True),
        ("input.one == input.two", False), ("input.map.a == input.map", False), ("tasks.fetch == tasks['7']", False),
        ("input.big == 4611686018427387904.0", True), ("input.big == 4611686018427387905", False),
        # order: two numbers or two texts
        ("1 < 2", True), ("2 <= 2.0", True), ("3 > 4", False), ("'a' < 'b'", True), ("'B' < 'a'", True),
        ("'10' < '9'", True), ("0.5 >= input.half", True), ("'' <= ''", True),
        # logic
        ("true && false", False), ("true || false", True), ("!true", False), ("!!input.yes", True),
        ("true && true && false", False), ("false || false || true", True),
        ("true || false && false", True), ("(true || false) && false", False),
        ("1 == 1 && 2 == 2", True), ("!(1 == 2)", True), ("!false == true", True),
        ("false && input.missing", False), ("true || input.missing", True),
        ("false && 1", False), ("true || 'x'", True),
        # functions
        ("contains('tides', 'ide')", True), ("contains('tides', '')", True), ("contains('a', 'A')", False),
        ("contains(input.list, 2)", True), ("contains(input.list, true)", False),
        ("contains(input.list[3], true)", True), ("contains(input.list, null)", False),
        ("contains(input.map, 'a')", True), ("contains(input.map, 'b')", False),
        ("length('日本')", 2), ("length(input.list)", 4), ("length(input.map)", 2), ("length('')", 0),
        ("default(input.nothing, 1)", 1), ("default(input.missing.deep[3], 'x')", "x"),
        ("default(input.empty, 'x')", ""), ("default(input.no, true)", False), ("default(0, 1)", 0),
        ("default(tasks.read-balance.result.pages, input.n)", 3), ("default(input.n, input.missing)", 3),
        ("length(default(input.missing, 'four')) == 4", True),
        ("( ( 1 ) )", 1), ("\n1\t==\r\n1 ", True),
    ],
)  # fmt: skip
def test_an_expression_has_its_value(text: str, value: Any) -> None:
    found = evaluate(parse(text), SCOPE)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "empty"), ("  ", 2, "empty"), ("1 2", 2, "stands where"), ("1 ==", 4, "ends where a value"),
        ("(1", 2, "ends where"), ("1)", 1, "stands where"), ("1 = 1", 2, "unexpected"), ("a == b", 0, "unknown name"),
        ("1 & 2", 2, "unexpected"), ("1 | 2", 2, "unexpected"), ("1 + 2", 2, "unexpected"), ("1 - 2", 2, "unexpected"),
        ("1 -2", 2, "stands where"), ("input. n", 6, "behind the dot"), ("input.", 6, "behind the dot"),
        ("input.1", 6, "behind the dot"), ("input..a", 6, "behind the dot"),
        ("input[", 6, "in the brackets"), ("input[]", 6, "in the brackets"),
        ("input[a]", 6, "in the brackets"), ("input[-1]", 6, "in the brackets"), ("input[1.0]", 6, "in the brackets"),
        ("input[0", 7, "ends where"), ("input[01]", 6, "not a number"), ("foo", 0, "unknown name"),
        ("inputs.x", 0, "unknown name"), ("task.a", 0, "unknown name"), ("True", 0, "unknown name"),
        ("None", 0, "unknown name"), ("__import__('os')", 0, "unknown function"), ("eval('1')", 0, "unknown function"),
        ("len('a')", 0, "unknown function"), ("length()", 0, "1 argument,"), ("length('a', 'b')", 0, "not 2"),
        ("contains('a')", 0, "2 arguments"), ("contains('a',)", 13, "stands where"),
        ("contains(,'a')", 9, "stands where"), ("contains('a' 'b')", 13, "stands where"),
        ("'abc", 0, "does not end"), ("'a\\", 0, "does not end"), ('"a\'', 0, "does not end"),
        ("'\\q'", 1, "unknown escape"), ("'\\u0041'", 1, "unknown escape"), ("007", 0, "not a number"),
        ("1.", 0, "not a number"), ("1e", 0, "not a number"), ("1.2.3", 0, "not a number"), ("1e999", 0, "too large"),
        ("9223372036854775808", 0, "too large"), ("1" * 900, 0, "too large"), ("a.b", 0, "unknown name"),
        ("1 < 2 < 3", 6, "chained"), ("1 == 1 == true", 7, "chained"), ("!", 1, "ends where"),
        ("1 }}", 2, "without"), ("{}", 0, "unexpected"), ("input.x; 1", 7, "unexpected"), ("λ", 0, "unexpected"),
        ("input.ключ", 6, "behind the dot"), ("'a' ! 'b'", 4, "stands where"), ("&& true", 0, "stands where"),
    ],
)  # fmt: skip
def test_a_syntax_error_has_a_position_and_a_remedy(text: str, position: int, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.position == position
    assert reason in caught.value.reason
    assert caught.value.remedy
    assert f"at character {position + 1} of" in caught.value.message


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("1 < 'a'", 2, "not a number and text"), ("true < false", 5, "not true and false"),
        ("null >= 1", 5, "not null and a number"), ("input.list < input.list", 11, "not a list and a list"),
        ("input.map > 1", 10, "not a map and a number"),
        ("1 && true", 2, "&& takes true or false, not a number"), ("'' || true", 3, "|| takes"),
        ("!null", 0, "! takes true or false, not null"), ("true && input.nothing", 5, "not null"),
        ("input.missing", 0, "input has no 'missing'"), ("true && input.n.x", 8, "input.n is a number"),
        ("input.list[4]", 0, "input.list is a list of 4"), ("input.list.x", 0, "is a list of 4"),
        ("input.map[0]", 0, "input.map has no 0"), ("input.text[0]", 0, "input.text is text"),
        ("tasks.fetch.result.pages[0].x.y", 0, "tasks.fetch.result.pages[0] has no 'x'"),
        ("tasks['b c'].result", 0, "tasks['b c'].result"), ("input.nothing.x", 0, "input.nothing is null"),
        ("length(1)", 0, "a number has no length"), ("length(null)", 0, "null has no length"),
        ("default(default(input.a, input.b), 5)", 25, "input.b leads nowhere"),
        ("length(input.missing)", 7, "leads nowhere"), ("contains(1, 1)", 0, "in a number"),
        ("contains('a', 1)", 0, "look for a number in text"), ("contains(input.map, 1)", 0, "in a map"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_has_a_position_and_a_remedy(
    text: str, position: int, reason: str
) -> None:
    with pytest.raises(Invalid) as caught:
        evaluate(parse(text), SCOPE)
    assert caught.value.position == position
    assert reason.replace("['b c']", '["b c"]') in caught.value.reason
    assert caught.value.remedy


def test_a_position_counts_inside_the_expression_when_it_stands_in_a_text() -> None:
    with pytest.raises(Invalid) as caught:
        render("see ${{ 1 < 'a' }}", SCOPE)
    assert caught.value.position == 3
    assert "of \" 1 < 'a' \"" in caught.value.message


@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("!", ""), ("length(", ")")],
    ids=["parentheses", "negations", "calls"],
)
def test_depth_is_limited(before: str, after: str) -> None:
    parse(before * EXPRESSION_DEPTH_MAX + "true" + after * EXPRESSION_DEPTH_MAX)
    over = EXPRESSION_DEPTH_MAX + 1
    with pytest.raises(Invalid, match="nested deeper than 32 levels"):
        parse(before * over + "true" + after * over)


def test_length_is_limited() -> None:
    parse("'" + "x" * (EXPRESSION_CHARACTERS_MAX - 2) + "'")
    for text in (
        "'" + "x" * (EXPRESSION_CHARACTERS_MAX - 1) + "'",
        "1" + " " * 1_000,
        "1 ||" * 1_000,
    ):
        with pytest.raises(Invalid, match="longer than 1,000 characters"):
            parse(text)


def test_width_costs_no_depth() -> None:
    assert evaluate(parse(" && ".join(["true"] * 120)), SCOPE) is True


def test_the_references_of_an_expression_are_listed_in_order() -> None:
    text = "default(input.a.b[0], tasks['x y'].result) == run.id && !contains(input.c, tasks.d-e.status)"
    found = parse(text).references()
    assert [str(reference) for reference in found] == [
        "input.a.b[0]",
        'tasks["x y"].result',
        "run.id",
        "input.c",
        "tasks.d-e.status",
    ]
    assert [text[reference.position :][:5] for reference in found] == [
        "input", "tasks", "run.i", "input", "tasks",
    ]  # fmt: skip


def test_the_references_of_a_nested_value_are_found() -> None:
    value = {
        "a": ["x ${{ input.a }} ${{ input.b }}", 1, None],
        "b": {"c": "${{ run.id }}"},
        "d": "$",
    }
    assert [str(reference) for reference in references(value)] == ["input.a", "input.b", "run.id"]


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("${{ input.n }}", 3), ("${{ input.list }}", [1, 2.0, "x", [True]]), ("${{input.nothing}}", None),
        ("n=${{ input.n }}", "n=3"), (" ${{ input.n }}", " 3"), ("${{ input.n }}${{ input.n }}", "33"),
        ("${{ input.text }}!", "tides!"), ("${{ input.half }} ${{ input.yes }} ${{ input.nothing }}", "0.5 true null"),
        ("x${{ input.list }}", 'x[1,2.0,"x",[true]]'), ("${{ 'a }} b' }}", "a }} b"),
        ("$${{ input.n }}", "${{ input.n }}"), ("a $${{ b", "a ${{ b"), ("$$${{ x", "$${{ x"),
        ("${{ '$' }}${{ input.n }}", "$3"), ("$${{ ${{ input.n }} }}", "${{ 3 }}"),
        ("${{ input.n }}$${{ x }}", "3${{ x }}"), ("", ""), ("{{ x }}", "{{ x }}"), ("$ {{ x }}", "$ {{ x }}"),
        ("}}", "}}"), (3, 3), (None, None), (True, True),
        ({"${{ input.n }}": ["${{ input.n }}", {"b": "${{ input.text }}"}]}, {"${{ input.n }}": [3, {"b": "tides"}]}),
    ],
)  # fmt: skip
def test_expressions_are_filled_in(value: Any, rendered: Any) -> None:
    found = render(value, SCOPE)
    assert (type(found), found) == (type(rendered), rendered)


def test_text_that_grows_too_large_is_refused() -> None:
    scope = {"input": {"long": "x" * 1_000_000}}
    assert len(render("${{ input.long }}." * 16, scope)) == 16_000_016
    with pytest.raises(LimitExceeded, match="16,777,216 characters"):
        render("${{ input.long }}." * 17, scope)


@pytest.mark.parametrize(
    ("when", "holds"),
    [(None, True), (True, True), (False, False), ("${{ input.n > 2 }}", True), ("${{ input.no }}", False)],
)  # fmt: skip
def test_a_condition_is_true_or_false(when: Any, *, holds: bool) -> None:
    assert condition(when, SCOPE) is holds


@pytest.mark.parametrize("when", ["${{ input.n }}", "true", "${{ input.yes }} ", 1, "${{ null }}"])
def test_a_condition_that_is_neither_is_refused(when: Any) -> None:
    with pytest.raises(Invalid, match="not true or false"):
        condition(when, SCOPE)


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("${{}}input.tasks['\"]()!&|=<>0123 \\", max_size=60))
def test_any_text_is_an_expression_or_is_refused_inside_the_text(text: str) -> None:
    for read in (parse, split):
        assert 0 <= refused_at(read, text) <= len(text)


def refused_at(read: Callable[[str], object], text: str) -> int:
    """Return the position of a mistake, or 0 when there is none."""
    try:
        read(text)
    except Invalid as error:
        position: int = error.position
        return position
    return 0


@settings(deadline=None)
@given(st.text())
def test_text_without_expressions_is_kept_and_any_text_can_be_escaped(text: str) -> None:
    """Escaping puts a dollar before every opening; what stood before it is left alone."""
    assert render(text.replace("${{", "$${{"), {}) == text


@settings(deadline=None)
@given(st.lists(st.sampled_from(["$", "{", "}", "${{", "$${{", "${{ 1 }}", "x"])).map("".join))
def test_the_pieces_of_a_text_cover_it(text: str) -> None:
    try:
        pieces = split(text)
    except Invalid:
        return
    written = "".join(
        "${{" + piece.source + "}}" if isinstance(piece, Expression) else piece for piece in pieces
    )
    assert written == text.replace("$${{", "${{")


@dataclass(frozen=True)
class Model:
    """An expression together with what it must give, found by other means; None is "refused"."""

    text: str
    result: tuple[Any] | None


def literals() -> st.SearchStrategy[Model]:
    """Return values that are written as JSON; its strings without odd escapes are ours."""
    values = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text("ab \"'\\}{$&日", max_size=5),
    )
    return values.map(lambda value: Model(json.dumps(value, ensure_ascii=False), (value,)))


def kind(value: Any) -> str:
    """Return the JSON type of a value, numbers being one type."""
    if isinstance(value, bool):
        return "truth"
    return "number" if isinstance(value, int | float) else "text" if value is not None else "null"


def compared(operator: str, left: Model, right: Model) -> Model:
    """Model a comparison."""
    text = f"({left.text}) {operator} ({right.text})"
    if left.result is None or right.result is None:
        return Model(text, None)
    (a,), (b,) = left.result, right.result
    same = kind(a) == kind(b) and a == b
    if operator in ("==", "!="):
        return Model(text, (same if operator == "==" else not same,))
    if kind(a) != kind(b) or kind(a) not in ("number", "text"):
        return Model(text, None)
    return Model(text, ({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator],))


def joined(operator: str, left: Model, right: Model) -> Model:
    """Model && and ||: the left side decides first."""
    text = f"({left.text}) {operator} ({right.text})"
    decisive = operator == "||"
    if left.result is None or type(left.result[0]) is not bool:
        return Model(text, None)
    if left.result[0] is decisive:
        return Model(text, (decisive,))
    is_truth = right.result is not None and type(right.result[0]) is bool
    return Model(text, right.result if is_truth else None)


def defaulted(path: Model, otherwise: Model) -> Model:
    """Model default: null gives way."""
    is_null = path.result is not None and path.result[0] is None
    text = f"default({path.text}, {otherwise.text})"
    return Model(text, otherwise.result if is_null else path.result)


def extended(parts: st.SearchStrategy[Model]) -> st.SearchStrategy[Model]:
    """Return larger expressions made of smaller ones."""
    comparison = st.builds(
        compared, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), parts, parts
    )
    logic = st.builds(joined, st.sampled_from(["&&", "||"]), parts, parts)
    negation = parts.map(
        lambda part: Model(
            f"!({part.text})",
            (not part.result[0],) if part.result and type(part.result[0]) is bool else None,
        )
    )
    return comparison | logic | negation | st.builds(defaulted, parts, parts)


def parse_within_limits(text: str) -> Expression | None:
    """Return the expression, or None when it is refused for its size alone."""
    try:
        return parse(text)
    except Invalid as error:
        if "longer than" in error.reason or "nested deeper" in error.reason:
            return None
        raise


@settings(deadline=None)
@given(st.recursive(literals(), extended, max_leaves=12))
def test_evaluation_agrees_with_a_model_of_it(model: Model) -> None:
    expression = parse_within_limits(model.text)
    if expression is None:
        return
    if model.result is None:
        with pytest.raises(Invalid):
            evaluate(expression, {})
    else:
        found = evaluate(expression, {})
        assert (type(found), found) == (type(model.result[0]), model.result[0])

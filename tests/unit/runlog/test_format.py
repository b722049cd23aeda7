"""One event makes one line, always the same one, and the line says what the event said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus import codec
from aureus.clock import to_rfc3339
from aureus.errors import Invalid
from aureus.runlog.format import format_event, format_record, parse_line, redacted
from tests.unit.runlog.factory import make_event

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(
    payload=st.one_of(
        st.dictionaries(TEXT, JSON, max_size=4),
        st.fixed_dictionaries(
            {"workflowId": TEXT, "runId": st.just("r_1")},
            optional={"taskId": TEXT | st.none(), "data": JSON},
        ),
    ),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
    kind=TEXT,
    tenant_id=TEXT,
)
def test_a_line_says_what_the_event_said(
    payload: dict[str, Any], metadata: dict[str, Any], kind: str, tenant_id: str
) -> None:
    event = make_event("r_1", 3, payload=payload, metadata=metadata, type=kind)
    line = format_event(event, tenant_id)
    record = parse_line(line)

    assert line == format_event(event, tenant_id)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert record["timestamp"] == to_rfc3339(event.occurred_at)
    assert (record["type"], record["tenantId"], record["runId"]) == (kind, tenant_id, "r_1")
    assert (record["eventId"], record["version"]) == (event.event_id, 3)
    assert record.get("metadata", {}) == metadata
    if "workflowId" in record:
        spread = {
            name: record[name]
            for name in ("workflowId", "runId", "taskId", "data")
            if name in record
        }
        assert spread == {
            name: value for name, value in payload.items() if (name, value) != ("taskId", None)
        }
    else:
        assert record["data"] == payload


def test_the_fields_come_in_the_order_of_the_other_programs() -> None:
    line = format_event(make_event("r_1", 2), "acme")

    assert line.decode() == (
        '{"timestamp":"2026-01-13T00:00:02.000002Z","type":"TASK_COMPLETED","workflowId":"digest","runId":"r_1",'
        '"taskId":"task-2","tenantId":"acme","data":{"result":"é\u2028\\n2"},'
        '"metadata":{"attempt":1,"duration":0.5},"eventId":"000001c3000000000000000000000002","version":2}\n'
    )


def test_data_that_is_null_differs_from_no_data() -> None:
    without = {"workflowId": "digest", "runId": "r_1"}

    assert "data" not in parse_line(format_event(make_event("r_1", 1, payload=without), "default"))
    with_null = parse_line(
        format_event(make_event("r_1", 1, payload=without | {"data": None}), "default")
    )
    assert with_null["data"] is None


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"workflowId": "digest", "runId": "r_1", "more": 1},
        {"workflowId": "digest", "runId": "r_2"},
        {"workflowId": 7, "runId": "r_1"},
        {"workflowId": "digest", "runId": "r_1", "taskId": 7},
        {"runId": "r_1"},
    ],
)
def test_a_payload_of_another_shape_is_data_as_a_whole(payload: dict[str, Any]) -> None:
    record = parse_line(format_event(make_event("r_1", 1, payload=payload, metadata={}), "default"))

    assert record["data"] == payload
    assert record["runId"] == "r_1"
    assert record.keys() == {"timestamp", "type", "runId", "tenantId", "data", "eventId", "version"}


def test_a_value_as_deep_as_the_database_takes_has_a_line() -> None:
    deep: Any = 1
    for _ in range(codec.JSON_DEPTH_MAX - 1):
        deep = [deep]
    payload = {"note": deep}
    codec.check(payload)

    event = make_event("r_1", 1, payload=payload, metadata={"note": deep})
    assert parse_line(format_event(event, "default"))["data"] == payload


@pytest.mark.parametrize(
    "line",
    [
        b'{"timestamp":"2026-01-13T00:00:00.000Z","type":"WORKFLOW_STARTED","workflowId":"w-1","data":{"name":"A"}}\n',
        b'{"timestamp":"2026-01-13T00:00:01.000Z","type":"TASK_STARTED","workflowId":"w-1","metadata":{"attempt":1}}',
        b'{"timestamp":"2026-01-13T00:00:02.000Z","type":"X","workflowId":"w-1","tenantId":null,"more":[1]}\r\n',
    ],
)
def test_lines_of_other_aureus_programs_are_read(line: bytes) -> None:
    record = parse_line(line)

    assert record["workflowId"] == "w-1"
    assert "version" not in record


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"7\n",
        b"[]\n",
        b"{}\n",
        b'{"timestamp":"t"}\n',
        b'{"timestamp":1,"type":"X"}\n',
        b'{"timestamp":"t","type":"X","version":0}\n',
        b'{"timestamp":"t","type":"X","version":true}\n',
        b'{"timestamp":"t","type":"X","version":1.0}\n',
        b'{"timestamp":"t","type":"X","runId":7}\n',
        b'{"timestamp":"t","type":"\xff"}\n',
        b'{"timestamp":"t","type":"X"}{"timestamp":"t","type":"X"}\n',
        b'{"timestamp":"t","type":"X","data":NaN}\n',
        b'{"timestamp":"t","type":"X","data":"\\ud800"}\n',
        bytes(100),
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_line_is_refused(line: bytes) -> None:
    with pytest.raises(Invalid):
        parse_line(line)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_refused(line: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(parse_line(line), dict)


@given(
    payload=st.dictionaries(TEXT, JSON, max_size=4)
    | st.fixed_dictionaries(
        {"workflowId": TEXT, "runId": st.just("r_1")},
        optional={"taskId": TEXT | st.none(), "data": JSON},
    ),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
)
def test_a_line_that_loses_what_it_said_is_that_of_the_erased_event(
    payload: dict[str, Any], metadata: dict[str, Any]
) -> None:
    event = make_event("r_1", 3, payload=payload, metadata=metadata, type="noted")
    erased = replace(event, payload={}, metadata={}, is_redacted=True)
    line = format_record(redacted(parse_line(format_event(event, "acme"))))
    assert line == format_event(erased, "acme")
    assert redacted(parse_line(line)) == parse_line(line)


@given(payload=st.dictionaries(TEXT, JSON, max_size=4), metadata=st.dictionaries(TEXT, JSON))
def test_a_line_that_is_read_and_written_stays_the_same_byte_for_byte(
    payload: dict[str, Any], metadata: dict[str, Any]
) -> None:
    line = format_event(make_event("r_1", 3, payload=payload, metadata=metadata), "acme")
    assert format_record(parse_line(line)) == line

"""One event as one line of JSON, and the line as a record.

A line is a pure function of the event and its tenant, so that projecting an event again gives the same bytes. Its
fields come in the order in which other Aureus programs write them (timestamp, type, workflowId, runId, taskId,
tenantId, data, metadata); ``eventId`` and ``version``, which those do not have, follow. Lines of those programs can
be read too. Actor, audit columns and hashes stay in the database: a run log proves nothing.
"""

from __future__ import annotations

from typing import Any, cast

from aureus import codec
from aureus.clock import to_rfc3339
from aureus.errors import Invalid
from aureus.model.events import Event
from aureus.model.runs import stream_of

Record = dict[str, Any]
"""What one line says."""

LINE_BYTES_MAX = 4 * codec.JSON_BYTES_MAX
"""Bytes of a line; data and metadata, each within the limit of a stored value, can never reach it."""

_STREAM_PREFIX = stream_of("")
_PAYLOAD_KEYS = frozenset({"workflowId", "runId", "taskId", "data"})
_OPTIONAL_TEXT = ("workflowId", "runId", "taskId", "tenantId", "eventId")


def format_event(event: Event, tenant_id: str) -> bytes:
    """Return the line of an event of a run, newline included.

    The payload of the engine is spread over workflowId, runId, taskId and data. Any other payload, such as that of a
    caller's own event in the stream of a run, becomes data as a whole, without a workflowId. Of an event whose payload
    was erased the line says ``redacted``, and nothing of what it was.
    """
    run_id = event.stream.removeprefix(_STREAM_PREFIX)
    fields: Record = {"timestamp": to_rfc3339(event.occurred_at), "type": event.type}
    if event.is_redacted:
        fields |= {"runId": run_id, "tenantId": tenant_id, "redacted": True}
    elif _is_of_the_engine(event.payload, run_id):
        fields["workflowId"] = event.payload["workflowId"]
        fields["runId"] = run_id
        if event.payload.get("taskId") is not None:
            fields["taskId"] = event.payload["taskId"]
        fields["tenantId"] = tenant_id
        if "data" in event.payload:
            fields["data"] = event.payload["data"]
    else:
        fields |= {"runId": run_id, "tenantId": tenant_id, "data": event.payload}
    if event.metadata:
        fields["metadata"] = event.metadata
    fields |= {"eventId": event.event_id, "version": event.version}
    return format_record(fields)


def format_record(record: Record) -> bytes:
    """Return a record as its line, newline included."""
    # Field by field, because each value may be nested as deep as a stored value and the line is one level deeper.
    return b"{" + b",".join(_field(name, value) for name, value in record.items()) + b"}\n"


def redacted(record: Record) -> Record:
    """Return the record of an event whose payload and metadata were erased; the same as of the event itself."""
    known = {name: record[name] for name in ("timestamp", "type", "runId", "tenantId")}
    return {
        **known,
        "redacted": True,
        "eventId": record["eventId"],
        "version": record["version"],
    }


def parse_line(line: bytes) -> Record:
    """Return the record of one line, with or without its newline.

    Lines of other Aureus programs, which have no eventId and version, are read as well; fields that are not known
    are kept. Raises ``Invalid`` when the line is not a JSON object with at least a timestamp and a type.
    """
    record = codec.decode(line)
    if not isinstance(record, dict):
        raise Invalid("the line is not a JSON object")
    fields = cast(Record, record)
    for name in ("timestamp", "type"):
        if not isinstance(fields.get(name), str):
            raise Invalid(f"the line has no {name}")
    for name in _OPTIONAL_TEXT:
        if not isinstance(fields.get(name), str | None):
            raise Invalid(f"{name} is not text")
    version = fields.get("version")
    if version is not None and (type(version) is not int or version < 1):
        raise Invalid("version is not a positive integer")
    return fields


def _is_of_the_engine(payload: Record, run_id: str) -> bool:
    return (
        payload.keys() <= _PAYLOAD_KEYS
        and payload.get("runId") == run_id
        and isinstance(payload.get("workflowId"), str)
        and isinstance(payload.get("taskId"), str | None)
    )


def _field(name: str, value: Any) -> bytes:
    return b'"' + name.encode() + b'":' + codec.encode(value, what=name)

"""An older copy of a database, made before somebody was erased from it and looked at afterwards."""

from __future__ import annotations

from aureus import Aureus
from aureus.ledger.proofs import verify_proof
from tests.support.person import NAME, WORD

KNOWN = 4
"""Entries that are about her."""


def write_entries(client: Aureus) -> str:
    """Let entries tell about ada, and about nobody; seal them, and return the identifier of the first."""
    events = client.events
    first = events.append("talks/1", "said", {"text": WORD}, metadata={"by": WORD}, subjects=[NAME])
    events.append("talks/1", "said", {"text": WORD}, subjects=[NAME, "bob"])
    events.append("talks/1", "said", {"text": "about bob"}, subjects=["bob"])
    events.append("talks/1", "said", {"text": "weather"})
    client.audit.append("officer", "profile.read", before={"note": WORD}, subjects=[NAME])
    with client.transaction() as tx:
        tx.audit.append("officer", "profile.read", after={"note": WORD}, subjects=[NAME])
    while not client.ledger.seal().is_done:
        pass
    return first.event_id


def check_unreadable(client: Aureus, event_id: str, head: str) -> None:
    """See that a copy says nothing about ada, says everything about others, and proves what it proved."""
    found = client.events.read_stream("talks/1")
    assert [(one.is_withheld, one.payload.get("text")) for one in found] == [
        (True, None),
        (True, None),
        (False, "about bob"),
        (False, "weather"),
    ]
    assert [one.version for one in found] == [1, 2, 3, 4]
    assert all(one.is_withheld for one in client.audit.list(actor="officer").entries)
    report = client.ledger.verify()
    assert report.is_intact, report.summary
    assert report.withheld_count == KNOWN
    assert f"{KNOWN} NOT COMPARED" in report.summary
    assert client.ledger.head().text() == head
    now = client.ledger.prove(event_id)
    assert verify_proof(str(now)).to_dict()["event"]["is_withheld"]


def check_readable(client: Aureus) -> None:
    """See that a copy is read with the keys, as it was written."""
    found = client.events.read_stream("talks/1")
    assert [one.payload["text"] for one in found] == [WORD, WORD, "about bob", "weather"]
    report = client.ledger.verify()
    assert (report.is_intact, report.withheld_count) == (True, 0), report.summary

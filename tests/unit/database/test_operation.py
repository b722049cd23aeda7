"""The views of an operation carry out the operations they were given, and let a refusal explain itself."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import aureus
from aureus._database.drive import Call, Drive, Sources
from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import Op, Queries, Refused, current_time, last, outside
from aureus.client import AsyncAureus, Aureus
from aureus.clock import ManualClock
from aureus.errors import Conflict, VersionConflict
from aureus.ids import CountingIds
from aureus.telemetry import MemoryTelemetry

sql = Queries("notes")


class NoteOperations(Operations):
    """Operations in a scope."""

    def __init__(self, scope: str = "everywhere") -> None:
        self.scope = scope

    @read
    def where(self) -> Op[str]:
        """Return the scope."""
        yield from current_time()
        return self.scope

    @write
    def save(self, *, actual: int | None = None) -> Op[None]:
        """Save what somebody else has changed; the database then says its version, or nothing any more."""
        if (yield from last(sql.save, bool)) is None:
            raise Refused(lambda: self._why(actual))

    @read
    def thread(self) -> Op[tuple[int, int]]:
        """Return in which threads the work outside and the operation itself were done."""
        away = yield from outside(threading.get_ident)
        yield from current_time()
        return away, threading.get_ident()

    def _why(self, actual: int | None) -> Op[None]:
        yield from current_time()
        if actual is not None:
            raise VersionConflict(f"it is at version {actual}", actual=actual)


class NoteStore(Store, NoteOperations):
    """Called."""


class AsyncNoteStore(AsyncStore, NoteOperations):
    """Awaited."""


class NothingThere:
    """A runner over a database in which no statement finds a row."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, make: Callable[[], Op[Any]], call: Call) -> Any:
        """Carry it out."""
        self.reads += 1
        return self.write(make, call)

    def write(self, make: Callable[[], Op[Any]], call: Call) -> Any:
        """Carry it out."""
        drive = Drive(make(), Sources(ManualClock(), CountingIds(), lambda *_: ()), call)
        request = drive.start()
        while request is not None:
            request = drive.feed([])
        return drive.result


class AsyncNothingThere:
    """The same, awaited."""

    def __init__(self) -> None:
        self._inner = NothingThere()

    async def read(self, make: Callable[[], Op[Any]], call: Call) -> Any:
        """Carry it out."""
        return self._inner.read(make, call)

    async def write(self, make: Callable[[], Op[Any]], call: Call) -> Any:
        """Carry it out."""
        return self._inner.write(make, call)


def test_a_view_carries_out_the_operations_it_was_given() -> None:
    call = Call("acme")
    assert NoteStore(NothingThere(), call).where() == "everywhere"
    assert NoteStore(NothingThere(), call, NoteOperations("here")).where() == "here"


def test_what_happened_to_a_refused_write_is_read_afterwards() -> None:
    runner = NothingThere()
    notes = NoteStore(runner, Call("acme"))
    with pytest.raises(VersionConflict) as caught:
        notes.save(actual=7)
    assert caught.value.actual == 7
    assert runner.reads == 1
    with pytest.raises(Conflict, match="repeat the call") as changed:
        notes.save()
    assert changed.value.retryable


def test_an_awaited_view_does_the_same() -> None:
    async def main() -> None:
        notes = AsyncNoteStore(AsyncNothingThere(), Call("acme"), NoteOperations("there"))
        assert await notes.where() == "there"
        with pytest.raises(VersionConflict):
            await notes.save(actual=7)

    asyncio.run(main())


def test_work_outside_keeps_no_event_loop_waiting() -> None:
    here = threading.get_ident()
    assert NoteStore(NothingThere(), Call("acme")).thread() == (here, here)

    async def main() -> tuple[int, int]:
        return await AsyncNoteStore(AsyncNothingThere(), Call("acme")).thread()

    away, inside = asyncio.run(main())
    assert inside == here != away


def test_work_outside_that_fails_is_the_callers_error() -> None:
    class Failing(NoteOperations):
        @read
        def thread(self) -> Op[tuple[int, int]]:
            """Fail outside."""
            return (yield from outside(lambda: 1 // 0)), 0

    class FailingStore(Store, Failing):
        """Called."""

    with pytest.raises(ZeroDivisionError):
        FailingStore(NothingThere(), Call("acme")).thread()


@pytest.mark.parametrize("noun", ["memories", "sessions"])
@pytest.mark.parametrize("telemetry", [None, MemoryTelemetry()], ids=["plain", "told"])
def test_help_shows_the_signature_and_the_docstring_of_an_operation(
    noun: str, telemetry: MemoryTelemetry | None
) -> None:
    name, said = {"memories": ("add", "agent_id: 'str'"), "sessions": ("save", "state: 'Any'")}[
        noun
    ]

    def look(client: Any) -> None:
        method = getattr(getattr(client, noun), name)
        assert method.__name__ == name
        signature = str(inspect.signature(method))
        assert said in signature
        assert "self" not in signature
        shown = pydoc.plain(pydoc.render_doc(method))
        assert f"{name}(" in shown
        assert (inspect.getdoc(method) or "nothing") in inspect.cleandoc(
            shown.replace("\n    ", "\n")
        )

    with Aureus("sqlite://", telemetry=telemetry) as client:
        look(client)

    async def main() -> None:
        async with AsyncAureus("sqlite://", telemetry=telemetry) as client:
            look(client)

    asyncio.run(main())


def test_the_public_names_are_there_before_they_are_used() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "import aureus; print(*dir(aureus))"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert set(aureus.__all__) <= set(shown)

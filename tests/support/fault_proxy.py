"""Break the connection to PostgreSQL at a chosen message, and say for certain that it broke there.

A proxy stands between a client and a server. It gathers what the client sends up to the Sync (or simple
query) that asks for an answer: one *exchange*, which is also what commits when no transaction is open. The
first rule that matches an exchange acts on it. The important action is `CutAfter`: the server's answer is
read to its end, so the commit is over, and the client is cut off without having seen any of it.
An action counts as fired only when it has happened; a test that asserts no count proves nothing.

    with FaultProxy(server.port) as proxy:
        rule = proxy.on(commit_of("insert into flushes"), CutAfter(), times=1)

Not done: TLS (declined, so `sslmode=require` fails), COPY in the extended protocol, statements prepared
by SQL (`PREPARE`): a rule sees their EXECUTE only.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.support import wire
from tests.support.wire import ClientKind, ErrorFields, Listener, Message, MessageReader, ServerKind

WRITES: Final = r"\b(insert\s+into|update|delete\s+from|merge\s+into|copy)\b"
"""A statement that may change rows, for rules that do not name one."""

_POISON: Final = "aureus_injected_fault"
_LEADING_BLANK: Final = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a client sent for one answer: a batch that ends in Sync, or one simple query.

    `statements` are the texts it executes, prepared ones by their text; `transaction` adds what the
    same transaction executed before. `commits` is read off the texts and the server's last state.
    """

    connection: int
    statements: tuple[str, ...] = ()
    transaction: tuple[str, ...] = ()
    commits: bool = False
    startup: bool = False


Predicate: TypeAlias = Callable[[Exchange], bool]


def connects(exchange: Exchange) -> bool:
    """Match the start of a connection, up to where the server is ready for the first query."""
    return exchange.startup


def executes(pattern: str) -> Predicate:
    """Match an exchange that executes a statement in which `pattern` (any case) is found."""
    found = re.compile(pattern, re.IGNORECASE).search
    return lambda exchange: any(map(found, exchange.statements))


def commit_of(pattern: str = WRITES) -> Predicate:
    """Match the exchange that commits a transaction in which such a statement was executed."""
    found = re.compile(pattern, re.IGNORECASE).search
    return lambda exchange: exchange.commits and any(map(found, exchange.transaction))


@dataclass(frozen=True, slots=True)
class CutBefore:
    """Close both sides; nothing of the exchange reaches the server, which rolls back."""


@dataclass(frozen=True, slots=True)
class CutAfter:
    """Let the server answer to the end, show nothing of it to the client, close the client.

    Fires only if the answer held no error and no rollback: what was to be committed is committed.
    """


@dataclass(frozen=True, slots=True)
class Reset:
    """Send the exchange on and at once reset both sides (RST): the outcome is open."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Carry nothing more in either direction, without closing: a peer behind a dead link.

    With `after`, the server first answers to the end (as for CutAfter); without, the exchange never
    reaches it and an open transaction keeps its locks until `drop_connections` or `stop`.
    """

    after: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold the exchange back for some seconds, then send it on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error of this SQLSTATE instead of executing the statement.

    `at` chooses the statement of the exchange by a pattern: those before it are executed and answered,
    those behind it are skipped, as a server does; without `at` it is the first. A transaction block is
    left failed, and a COMMIT that fails has rolled back. `at_sync`: all statements are executed and
    answered, and it is the commit of the Sync that fails, as for a deferred constraint. `after`: everything
    is executed and committed, and the error is the whole answer. `fatal`: the connection ends with it.
    """

    sqlstate: str
    text: str = "injected by the fault proxy"
    at: str | None = None
    at_sync: bool = False
    after: bool = False
    fatal: bool = False

    def error(self) -> Message:
        """Build the error as the client gets it."""
        severity = "FATAL" if self.fatal else "ERROR"
        return ErrorFields(self.sqlstate, self.text, severity).message()


Action: TypeAlias = CutBefore | CutAfter | Reset | Hang | Delay | Fail


@dataclass(slots=True)
class Rule:
    """One rule of a proxy: what it matches, what it does, how often; `fired` counts what happened."""

    matches: Predicate
    action: Action
    times: int | None
    skip: int
    fired: int = 0


class FaultProxy(Listener):
    """A proxy in a thread of its own, in front of one PostgreSQL; `port` is what clients connect to."""

    def __init__(self, upstream_port: int, upstream_host: str = "127.0.0.1") -> None:
        super().__init__()
        self.upstream = (upstream_host, upstream_port)
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.connections_opened = 0
        self._rules: list[Rule] = []
        self._changed = threading.Condition()
        self._connections: dict[_Connection, asyncio.Task[None] | None] = {}

    def on(
        self, matches: Predicate, action: Action, *, times: int | None = None, skip: int = 0
    ) -> Rule:
        """Act on the exchanges that match: not the first `skip` of them, at most `times`, else all.

        The first rule that matches and is not used up takes the exchange. An exchange is used up by
        being taken, even if the action then cannot fire.
        """
        rule = Rule(matches, action, times, skip)
        with self._changed:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules; faults under way go on."""
        with self._changed:
            self._rules.clear()

    @property
    def fired(self) -> Counter[str]:
        """How often each kind of action has happened, by class name; forgotten rules not counted."""
        with self._changed:
            counts: Counter[str] = Counter()
            for rule in self._rules:
                counts[type(rule.action).__name__] += rule.fired
            return +counts

    def wait_fired(self, rule: Rule, count: int = 1, timeout_seconds: float = 20.0) -> None:
        """Wait until a rule has fired `count` times; raise TimeoutError if it does not."""
        with self._changed:
            if not self._changed.wait_for(lambda: rule.fired >= count, timeout_seconds):
                raise TimeoutError(f"{rule.action} fired {rule.fired} times, not {count}")

    def pause(self) -> None:
        """Hold everything back, in both directions and for all connections, until `resume`."""
        self.call(self._pause)

    def resume(self) -> None:
        """Carry on what `pause` held back; nothing was lost."""
        self.call(self._resume)

    def switch_upstream(self, port: int, host: str = "127.0.0.1") -> None:
        """Lead new connections to another server; those that exist stay where they are."""
        self.upstream = (host, port)

    def freeze_connections(self) -> None:
        """Let the link of every existing connection die in silence; new connections work."""
        self.call(self._freeze)

    def drop_connections(self) -> None:
        """Reset every existing connection on both sides, frozen ones too."""
        self.call(self._drop)

    async def serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection; see Listener."""
        self.connections_opened += 1
        connection = _Connection(self, self.connections_opened, stream, writer)
        self._connections[connection] = asyncio.current_task()
        try:
            await connection.run()
        finally:
            del self._connections[connection]

    def claim(self, exchange: Exchange) -> Rule | None:
        """Take the rule for an exchange, counting it down; for the proxy's connections."""
        with self._changed:
            for rule in self._rules:
                if rule.times == 0 or not rule.matches(exchange):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    def record(self, rule: Rule) -> None:
        """Count a fault; called before the client can notice it."""
        with self._changed:
            rule.fired += 1
            self._changed.notify_all()

    async def _pause(self) -> None:
        self.flowing.clear()

    async def _resume(self) -> None:
        self.flowing.set()

    async def _freeze(self) -> None:
        for connection in self._connections:
            connection.flowing.clear()

    async def _drop(self) -> None:
        tasks = [task for task in self._connections.values() if task is not None]
        for connection in self._connections:
            connection.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Statements:
    """Follow what one client executes: named statements, portals, the batch, the transaction."""

    def __init__(self, connection: int) -> None:
        self._connection = connection
        self._names: dict[str, str] = {}
        self._portals: dict[str, str] = {}
        self._transaction: list[str] = []
        self._in_block = False
        self._flushed: list[str] = []
        self._batch: list[Message] = []
        self._executed: list[tuple[str, int]] = []
        self._start = 0

    def add(self, message: Message) -> None:
        """Put a message into the batch; each statement owns the messages up to its Execute."""
        self._batch.append(message)
        if message.kind == ClientKind.PARSE:
            name, sql = message.texts(2)
            self._names[name] = sql
        elif message.kind == ClientKind.BIND:
            portal, name = message.texts(2)
            self._portals[portal] = self._names.get(name, "")
        elif message.kind in (ClientKind.EXECUTE, ClientKind.QUERY):
            (text,) = message.texts(1)
            sql = text if message.kind == ClientKind.QUERY else self._portals.get(text, "")
            self._executed.append((sql, self._start))
            self._start = len(self._batch)

    def take(self) -> tuple[list[bytes], list[tuple[str, int]]]:
        """Empty the batch: its frames, and of each statement the text and its first frame."""
        frames, executed = [message.frame for message in self._batch], self._executed
        self._batch, self._executed, self._start = [], [], 0
        self._flushed += [sql for sql, _ in executed]
        return frames, executed

    def end(self, status: bytes | None) -> Exchange:
        """Close the exchange whose batch was taken; `status` is the server's, if it is idle now."""
        if status is not None:
            self._in_block = status != b"I"
            if not self._in_block:
                self._transaction.clear()
        texts, self._flushed = self._flushed, []
        committed: list[str] = []
        for sql in texts:
            self._transaction.append(sql)
            for part in [sql] if "$" in sql else sql.split(";"):
                self._follow_block(part, committed)
        if not self._in_block:
            committed += self._transaction
            self._transaction.clear()
        transaction = (*committed, *self._transaction)
        return Exchange(self._connection, tuple(texts), transaction, bool(committed))

    def _follow_block(self, sql: str, committed: list[str]) -> None:
        match _first_words(sql):
            case ("BEGIN" | "START", _):
                self._in_block = True
            case ("COMMIT" | "END", _):
                committed += self._transaction
                self._transaction.clear()
                self._in_block = False
            case ("ROLLBACK" | "ABORT", second) if second != "TO":
                self._transaction.clear()
                self._in_block = False
            case _:
                pass


def _first_words(sql: str) -> tuple[str, str]:
    blank = _LEADING_BLANK.match(sql)
    words = sql[blank.end() if blank else 0 :].upper().split(None, 2)
    first, second, *_ = (*(word.rstrip(";") for word in words), "", "")
    return first, second


@dataclass(slots=True)
class _Answer:
    """What to do with the server's messages up to the next ReadyForQuery."""

    rule: Rule | None = None
    extended: bool = True
    hidden: bool = False
    ready_hidden: bool = False
    failed: bool = False


class _Ended(Exception):
    """A peer has gone, or an action has ended the connection."""


class _Connection:
    """One client, its server connection, and the answers still to come."""

    def __init__(
        self,
        proxy: FaultProxy,
        number: int,
        requests: asyncio.StreamReader,
        client: asyncio.StreamWriter,
    ) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._proxy = proxy
        self._number = number
        self._requests = requests
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._statements = _Statements(number)
        self._answers: deque[_Answer] = deque()
        self._flushed_answer: _Answer | None = None
        self._answer_ended = asyncio.Event()
        self._status = b"I"
        self._ending: Action | None = None

    async def run(self) -> None:
        """Carry the connection to its end."""
        packet = await wire.read_startup(self._requests, self._client)
        if packet is None:
            return
        try:
            replies, self._server = await asyncio.open_connection(*self._proxy.upstream)
            if packet.code == wire.CANCEL_REQUEST:
                self._server.write(packet.frame)
                await replies.read()
                return
            async with asyncio.TaskGroup() as pumps:
                startup = Exchange(self._number, startup=True)
                await self._act(startup, [packet.frame], [], _Answer())
                pumps.create_task(self._carry_answers(MessageReader(replies)))
                pumps.create_task(self._carry_requests(MessageReader(self._requests)))
        except* (_Ended, ConnectionError):
            pass
        finally:
            if self._server is not None:
                self._server.close()

    def reset(self) -> None:
        """End both sides with RST."""
        wire.reset(self._client)
        if self._server is not None:
            wire.reset(self._server)

    async def _gates(self) -> None:
        await self.flowing.wait()
        await self._proxy.flowing.wait()

    async def _hang(self) -> None:
        self.flowing.clear()
        await self._gates()

    async def _carry_requests(self, reader: MessageReader) -> None:
        while messages := await reader.next_batch():
            for message in messages:
                await self._gates()
                await self._take(message)
        raise _Ended

    async def _take(self, message: Message) -> None:
        if message.kind == ClientKind.FLUSH:
            frames, _ = self._statements.take()
            if frames:
                self._flushed_answer = self._expect(self._flushed_answer or _Answer())
            await self._send([*frames, message.frame])
            return
        if message.kind in ClientKind.UNBATCHED:
            await self._send([message.frame])
            return
        self._statements.add(message)
        if message.kind in ClientKind.ANSWERED:
            frames, executed = self._statements.take()
            answer, self._flushed_answer = self._flushed_answer or _Answer(), None
            answer.extended = message.kind == ClientKind.SYNC
            idle = all(expected is answer for expected in self._answers)
            exchange = self._statements.end(self._status if idle else None)
            await self._act(exchange, frames, executed, answer)

    async def _act(
        self,
        exchange: Exchange,
        frames: list[bytes],
        executed: list[tuple[str, int]],
        answer: _Answer,
    ) -> None:
        rule = self._proxy.claim(exchange)
        if rule is None:
            self._expect(answer)
            await self._send(frames)
            return
        match rule.action:
            case Delay(seconds):
                await asyncio.sleep(seconds)  # noqa: TID251 - the time that passes is the fault
                self._proxy.record(rule)
            case CutBefore():
                await self._earlier_answers(answer)
                self._proxy.record(rule)
                raise _Ended
            case Reset():
                await self._send(frames)
                self._proxy.record(rule)
                wire.reset(self._client)
                raise _Ended
            case Hang(after=False):
                await self._earlier_answers(answer)
                self._proxy.record(rule)
                await self._hang()
            case Fail(after=False) as fail if exchange.startup:
                self._proxy.record(rule)
                self._client.write(fail.error().frame)
                raise _Ended
            case Fail(after=False) as fail:
                frames = self._poisoned(rule, fail, frames, executed, answer)
            case CutAfter() | Hang() | Fail():
                answer.rule, answer.hidden = rule, True
        self._expect(answer)
        await self._send(frames)

    def _poisoned(
        self,
        rule: Rule,
        fail: Fail,
        frames: list[bytes],
        executed: list[tuple[str, int]],
        answer: _Answer,
    ) -> list[bytes]:
        """Put a statement that cannot be parsed where the error shall happen.

        The server itself then skips the rest, fails the transaction and says in what state it is;
        only the text of its error is exchanged on the way back. A COMMIT is followed by a ROLLBACK.
        """
        found = re.compile(fail.at or "", re.IGNORECASE).search
        matching = [statement for statement in executed if found(statement[0])]
        if fail.at is not None and not matching:
            raise ValueError(f"the exchange that {fail} was to fail executes no such statement")
        sql, start = matching[0] if matching else ("", 0)
        if fail.at_sync:
            sql, start = "", len(frames) - 1
        poison = [wire.parse(_POISON, _POISON).frame, wire.SYNC.frame]
        answer.rule = rule
        self._expect(answer)
        if _first_words(sql)[0] in ("COMMIT", "END"):
            answer.ready_hidden = True
            self._expect(_Answer(hidden=True))
            poison.append(wire.query("ROLLBACK").frame)
        return [*frames[:start], *poison]

    def _expect(self, answer: _Answer) -> _Answer:
        if not any(expected is answer for expected in self._answers):
            self._answers.append(answer)
        return answer

    async def _send(self, frames: list[bytes]) -> None:
        if self._server is not None:
            self._server.write(b"".join(frames))
            await self._server.drain()

    async def _earlier_answers(self, answer: _Answer) -> None:
        while any(expected is not answer for expected in self._answers):
            self._answer_ended.clear()
            await self._answer_ended.wait()

    async def _carry_answers(self, reader: MessageReader) -> None:
        while messages := await reader.next_batch():
            await self._gates()
            shown = bytearray()
            for message in messages:
                shown += self._shown(message)
                if self._ending is not None:
                    break
            self._client.write(shown)
            if isinstance(self._ending, Hang):
                await self._hang()
            if self._ending is not None:
                raise _Ended
            await self._client.drain()
        raise _Ended

    def _shown(self, message: Message) -> bytes:
        """Return what the client sees of a message, and note what ends with it."""
        if not self._answers:
            return message.frame
        answer = self._answers[0]
        match message.kind:
            case ServerKind.READY_FOR_QUERY:
                self._answers.popleft()
                self._answer_ended.set()
                self._status = message.payload
                return self._completed(answer, message)
            case ServerKind.ERROR_RESPONSE:
                answer.failed = True
                rule = answer.rule
                if rule and isinstance(rule.action, Fail) and _POISON.encode() in message.payload:
                    self._proxy.record(rule)
                    self._ending = rule.action if rule.action.fatal else None
                    return rule.action.error().frame
            case ServerKind.COMMAND_COMPLETE:
                answer.failed |= message.payload == b"ROLLBACK\0"
            case ServerKind.COPY_IN_RESPONSE if answer.extended:
                raise wire.ProtocolError("the fault proxy cannot follow COPY in a batch")
            case ServerKind.COPY_IN_RESPONSE:
                return message.frame
            case _:
                pass
        return b"" if answer.hidden else message.frame

    def _completed(self, answer: _Answer, ready: Message) -> bytes:
        action = answer.rule.action if answer.rule else None
        if answer.rule is None or not answer.hidden:
            return b"" if answer.ready_hidden else ready.frame
        if not answer.failed:
            self._proxy.record(answer.rule)
        if isinstance(action, Fail):
            self._ending = action if action.fatal else None
            return action.error().frame + (b"" if action.fatal else ready.frame)
        self._ending = action
        return b""

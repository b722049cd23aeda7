"""Pool connections by transaction, as pgbouncer 1.18 does, with everything that breaks by it.

A client gets a server connection with the first message of a transaction and loses it at the ReadyForQuery
that reports idle, once every Sync it sent is answered. Session state stays behind on the server connection:
a SET leaks to whoever comes next, a prepared statement is unknown (26000) or there already (42P05), an
advisory lock belongs to nobody, notifications are lost. Unlike pgbouncer, which likes to reuse the connection
last used, connections take turns, so that two transactions of one client really land on two of them.
Not done: passwords (the server must trust us), TLS, session and statement pooling, the admin console.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.support import wire
from tests.support.wire import (
    BackendKey,
    ClientKind,
    ErrorFields,
    Listener,
    Message,
    MessageReader,
    ServerKind,
    StartupPacket,
)

TRACKED: Final = (
    "application_name",
    "client_encoding",
    "DateStyle",
    "standard_conforming_strings",
    "TimeZone",
)
"""Parameters kept per client: set again on a server connection where another client changed them."""

_STARTUP_ALLOWED: Final = {name.lower() for name in ("user", "database", *TRACKED)}


@dataclass(slots=True)
class ClientRecord:
    """What one client did: its transactions, and for each the server connection it ran on."""

    application_name: str
    transactions: int = 0
    server_connections: list[int] = field(default_factory=list[int])


class PoolingProxy(Listener):
    """A transaction pool in a thread of its own, in front of one PostgreSQL that trusts it.

    `pool_size` limits the server connections of each (database, user). A client that waits longer
    than `query_wait_seconds` for one is thrown out with 08P01 query_wait_timeout.
    """

    def __init__(
        self,
        upstream_port: int,
        upstream_host: str = "127.0.0.1",
        *,
        pool_size: int = 2,
        query_wait_seconds: float = 120.0,
    ) -> None:
        super().__init__()
        self.upstream = (upstream_host, upstream_port)
        self.pool_size = pool_size
        self.query_wait_seconds = query_wait_seconds
        self.transactions = 0
        self.server_connections_opened = 0
        self.clients: list[ClientRecord] = []
        """One record for each client that was let in, in that order."""
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._sessions: dict[BackendKey, _Session] = {}

    async def serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client, or pass on its wish to cancel; see Listener."""
        packet = await wire.read_startup(stream, writer)
        if packet is None:
            return
        if packet.code == wire.CANCEL_REQUEST:
            await self._cancel(BackendKey.of(packet.payload))
            return
        try:
            await self._serve_client(packet, stream, writer)
        except _Refused as refusal:
            writer.write(refusal.error.frame)

    async def _serve_client(
        self, packet: StartupPacket, stream: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if packet.code != wire.PROTOCOL_3_0:
            raise _Refused("08P01", f"unsupported protocol version: {packet.code >> 16}")
        startup = packet.parameters()
        for name in startup:
            if name.lower() not in _STARTUP_ALLOWED:
                raise _Refused("08P01", f"unsupported startup parameter: {name}")
        user = startup.get("user", "")
        database = startup.get("database", user)
        pool = self._pools.setdefault((database, user), _Pool(self, database, user))
        record = ClientRecord(startup.get("application_name", ""))
        session = _Session(pool, writer, record, await pool.welcome(), startup)
        # Counted only now: another client may have come while the server was asked.
        number = len(self.clients) + 1
        # Not to be guessed is no aim here: the key only has to differ from those of the server.
        key = BackendKey(number, struct.pack("!I", (number * 2_654_435_761) & 0xFFFF_FFFF))
        self.clients.append(record)
        self._sessions[key] = session
        try:
            session.welcome(key)
            await session.run(MessageReader(stream))
        finally:
            del self._sessions[key]
            session.leave()

    async def _cancel(self, key: BackendKey) -> None:
        session = self._sessions.get(key)
        if session is None or session.server is None:
            return
        stream, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(StartupPacket(wire.CANCEL_REQUEST, session.server.key.payload).frame)
            await stream.read()
        finally:
            writer.close()


class _Refused(Exception):
    """The client is told why and disconnected."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.error = ErrorFields(sqlstate, text, "FATAL").message()


class _Pool:
    """The server connections of one (database, user), handed out in turn.

    The queue holds `pool_size` places: idle connections, and None for a place where none was opened
    yet or one was lost. Fresh places come first, so that the pool fills before any is used again.
    """

    def __init__(self, proxy: PoolingProxy, database: str, user: str) -> None:
        self.proxy = proxy
        self._startup = {"user": user, "database": database}
        self._places: asyncio.Queue[_ServerConnection | None] = asyncio.Queue()
        for _ in range(proxy.pool_size):
            self._places.put_nowait(None)
        self._welcome: dict[str, str] | None = None

    async def welcome(self) -> Mapping[str, str]:
        """Return the parameters a server reports at login; asks one only the first time."""
        if self._welcome is None:
            server = await self.acquire()
            self._welcome = dict(server.parameters)
            self.release(server)
        return self._welcome

    async def acquire(self) -> _ServerConnection:
        """Wait for a connection; raise _Refused when that takes too long or the server refuses."""
        try:
            async with asyncio.timeout(self.proxy.query_wait_seconds):
                server = await self._places.get()
        except TimeoutError:
            raise _Refused("08P01", "query_wait_timeout") from None
        if server is not None and not server.is_lost:
            return server
        try:
            return await self._open()
        except BaseException:
            self._places.put_nowait(None)
            raise

    def release(self, server: _ServerConnection | None) -> None:
        """Put a connection back, or the empty place of one that was lost."""
        self._places.put_nowait(server)

    async def _open(self) -> _ServerConnection:
        try:
            stream, writer = await asyncio.open_connection(*self.proxy.upstream)
        except OSError as error:
            raise _Refused("08006", f"server login failed: {error}") from None
        self.proxy.server_connections_opened += 1
        server = _ServerConnection(self, self.proxy.server_connections_opened, writer)
        writer.write(StartupPacket.startup(self._startup).frame)
        self.proxy.spawn(server.run(MessageReader(stream)))
        await server.answered()
        return server


class _ServerConnection:
    """A connection to the server: with a session, idle, or busy with a question of the pool."""

    def __init__(self, pool: _Pool, number: int, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.key = BackendKey(0, b"")
        self.parameters: dict[str, str] = {}
        self.is_lost = False
        self._pool = pool
        self._writer = writer
        self._session: _Session | None = None
        self._error: Message | None = None
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, reader: MessageReader) -> None:
        """Take what the server sends, until it or the pool ends the connection."""
        try:
            while messages := await reader.next_batch():
                for message in messages:
                    self._take(message)
                if self._session is not None:
                    await self._session.drain()
        finally:
            self.is_lost = True
            self._writer.close()
            if not self._answered.done():
                self._answered.set_result(None)
            if self._session is not None:
                self._session.lose_server()
                self._pool.release(None)

    async def answered(self) -> None:
        """Wait for the answer to the pool's own question; raise _Refused with the server's error."""
        await self._answered
        if self._error is not None or self.is_lost:
            fields = ErrorFields.of(self._error) if self._error else None
            self.close()
            raise _Refused(
                fields.sqlstate if fields else "08006",
                fields.text if fields else "the server closed the connection",
            )

    async def adopt(self, session: _Session) -> None:
        """Give the connection the tracked parameters of a session, and the session the connection."""
        wanted = {
            name: value
            for name, value in session.parameters.items()
            if name in TRACKED and self.parameters.get(name) != value
        }
        if wanted:
            self._error = None
            self._answered = asyncio.get_running_loop().create_future()
            quoted = {name: value.replace("'", "''") for name, value in wanted.items()}
            self.send([wire.query("; ".join(f"SET {n} = '{v}'" for n, v in quoted.items()))])
            await self.answered()
            session.parameters.update({name: self.parameters[name] for name in wanted})
        self._session = session

    def send(self, messages: list[Message]) -> None:
        """Send messages to the server."""
        self._writer.write(b"".join(message.frame for message in messages))

    async def drain(self) -> None:
        """Wait until the server takes more."""
        await self._writer.drain()

    def detach(self) -> None:
        """Part from the session."""
        self._session = None

    def close(self) -> None:
        """End the connection; the server rolls back what is open."""
        self.is_lost = True
        self._writer.close()

    def _take(self, message: Message) -> None:
        if message.kind == ServerKind.PARAMETER_STATUS:
            name, value = message.texts(2)
            self.parameters[name] = value
        elif message.kind == ServerKind.BACKEND_KEY_DATA:
            self.key = BackendKey.of(message.payload)
        if self._session is not None:
            self._session.take(message)
        elif message.kind == ServerKind.ERROR_RESPONSE:
            self._error = message
        elif message.kind == ServerKind.READY_FOR_QUERY and not self._answered.done():
            self._answered.set_result(None)


class _Session:
    """One client, with or without a server connection at the moment."""

    def __init__(
        self,
        pool: _Pool,
        writer: asyncio.StreamWriter,
        record: ClientRecord,
        server_parameters: Mapping[str, str],
        startup: Mapping[str, str],
    ) -> None:
        given = {name.lower(): value for name, value in startup.items()}
        self.parameters = dict(server_parameters)
        self.parameters |= {name: given[name.lower()] for name in TRACKED if name.lower() in given}
        self.server: _ServerConnection | None = None
        self._pool = pool
        self._writer = writer
        self._record = record
        self._due: list[bytes] = []
        self._in_batch = False

    def welcome(self, key: BackendKey) -> None:
        """Tell the client that it is let in, whatever it has shown."""
        reports = [wire.parameter_status(*item) for item in self.parameters.items()]
        idle = wire.ready_for_query(b"I")
        self._show(wire.AUTHENTICATION_OK, *reports, wire.backend_key_data(key), idle)

    async def run(self, reader: MessageReader) -> None:
        """Carry the client's messages to its server connection until it leaves."""
        while messages := await reader.next_batch():
            kinds = [message.kind for message in messages]
            is_leaving = ClientKind.TERMINATE in kinds
            if is_leaving:
                del messages[kinds.index(ClientKind.TERMINATE) :]
            if self.server is None:
                # A Flush that comes after its answers asks for nothing.
                messages = [message for message in messages if message.kind != ClientKind.FLUSH]
            if messages:
                server = self.server or await self._begin()
                self._expect_answers(messages)
                server.send(messages)
                await server.drain()
            if is_leaving:
                return

    def take(self, message: Message) -> None:
        """Show the client a message of its server connection; give that back after the last answer."""
        if message.kind == ServerKind.PARAMETER_STATUS:
            name, value = message.texts(2)
            self.parameters[name] = value
        self._show(message)
        if message.kind == ServerKind.COPY_IN_RESPONSE and self._due[:1] == [ClientKind.SYNC]:
            # The server ignores a Sync while it takes COPY data; the one after the data is answered.
            del self._due[0]
            self._in_batch = True
        elif message.kind == ServerKind.READY_FOR_QUERY:
            del self._due[:1]
            if message.payload == b"I" and not self._due and not self._in_batch:
                self._end()

    async def drain(self) -> None:
        """Wait until the client takes more; that it is gone is noticed where it is read."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def lose_server(self) -> None:
        """Tell the client that the server is gone in the middle of its transaction, and end it."""
        self.server = None
        self._show(ErrorFields("08P01", "server conn crashed?", "FATAL").message())
        self._writer.close()

    def leave(self) -> None:
        """End with the client; a server connection in the middle of its transaction ends too."""
        server, self.server = self.server, None
        if server is not None:
            server.detach()
            server.close()
            self._pool.release(None)

    async def _begin(self) -> _ServerConnection:
        server = await self._pool.acquire()
        try:
            await server.adopt(self)
        except BaseException:
            server.close()
            self._pool.release(None)
            raise
        self.server = server
        self._pool.proxy.transactions += 1
        self._record.transactions += 1
        self._record.server_connections.append(server.number)
        return server

    def _end(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            server.detach()
            self._pool.release(server)

    def _expect_answers(self, messages: list[Message]) -> None:
        for message in messages:
            if message.kind in ClientKind.ANSWERED:
                self._due.append(message.kind)
                self._in_batch = False
            elif message.kind not in ClientKind.UNBATCHED:
                self._in_batch = True

    def _show(self, *messages: Message) -> None:
        self._writer.write(b"".join(message.frame for message in messages))

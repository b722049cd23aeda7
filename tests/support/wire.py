"""Frame and unframe the PostgreSQL frontend/backend protocol, version 3, and listen for it.

The proxies of this directory act on messages, not on bytes, so that "cut after the commit" means exactly
that. A message that is not understood is passed on unchanged: its `frame` is the bytes it came from.
Layouts follow the chapter "Message Formats" of the PostgreSQL manual.
Not done here: TLS and GSS encryption (declined), replication messages, authentication exchanges.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

PROTOCOL_3_0: Final = 3 << 16
CANCEL_REQUEST: Final = 80877102
SSL_REQUEST: Final = 80877103
GSSENC_REQUEST: Final = 80877104

MESSAGE_BYTES_MAX: Final = 1 << 30
STARTUP_BYTES_MAX: Final = 10_000
"""PostgreSQL's own limits; a longer length field means that framing was lost."""

STOP_SECONDS_MAX: Final = 30.0
"""How long a call into a proxy's thread may take before the test is told that the proxy is stuck."""


class ProtocolError(ValueError):
    """The bytes are not the PostgreSQL protocol, or a part of it that the proxies refuse."""


class ClientKind:
    """Type bytes a client sends. Some letters mean something else when a server sends them."""

    BIND: Final = b"B"
    CLOSE: Final = b"C"
    COPY_DATA: Final = b"d"
    COPY_DONE: Final = b"c"
    COPY_FAIL: Final = b"f"
    EXECUTE: Final = b"E"
    FLUSH: Final = b"H"
    FUNCTION_CALL: Final = b"F"
    PARSE: Final = b"P"
    PASSWORD: Final = b"p"
    QUERY: Final = b"Q"
    SYNC: Final = b"S"
    TERMINATE: Final = b"X"

    ANSWERED: Final = frozenset({QUERY, SYNC, FUNCTION_CALL})
    """Each of these is answered by exactly one ReadyForQuery."""

    UNBATCHED: Final = frozenset({COPY_DATA, COPY_DONE, COPY_FAIL, FLUSH, PASSWORD, TERMINATE})
    """These begin no extended-query batch; libpq in pipeline mode sends a Flush behind its last Sync."""


class ServerKind:
    """Type bytes a server sends."""

    AUTHENTICATION: Final = b"R"
    BACKEND_KEY_DATA: Final = b"K"
    COMMAND_COMPLETE: Final = b"C"
    COPY_IN_RESPONSE: Final = b"G"
    ERROR_RESPONSE: Final = b"E"
    PARAMETER_STATUS: Final = b"S"
    READY_FOR_QUERY: Final = b"Z"


@dataclass(frozen=True, slots=True)
class Message:
    """One framed message; `kind` is its type byte, `payload` what follows the length field."""

    kind: bytes
    payload: bytes = b""

    @property
    def frame(self) -> bytes:
        """The message as it travels."""
        return self.kind + struct.pack("!I", len(self.payload) + 4) + self.payload

    def texts(self, count: int) -> tuple[str, ...]:
        """Decode the `count` NUL-terminated strings with which the payload begins.

        That is Query (sql), Parse (name, sql), Bind (portal, statement), Execute (portal),
        CommandComplete (tag) and ParameterStatus (name, value).
        """
        parts = self.payload.split(b"\0", count)
        if len(parts) <= count:
            raise ProtocolError(f"message {self.kind!r} holds fewer than {count} strings")
        return tuple(part.decode(errors="replace") for part in parts[:count])


@dataclass(frozen=True, slots=True)
class ErrorFields:
    """What an ErrorResponse says; after severity FATAL the server closes the connection."""

    sqlstate: str
    text: str
    severity: str = "ERROR"

    @classmethod
    def of(cls, message: Message) -> ErrorFields:
        """Decode an ErrorResponse; other fields are left out."""
        parts = (part.decode(errors="replace") for part in message.payload.split(b"\0") if part)
        fields = {part[0]: part[1:] for part in parts}
        return cls(fields.get("C", ""), fields.get("M", ""), fields.get("V", fields.get("S", "")))

    def message(self) -> Message:
        """Build the ErrorResponse, with both forms of the severity, as servers do."""
        fields = f"S{self.severity}\0V{self.severity}\0C{self.sqlstate}\0M{self.text}\0\0"
        return Message(ServerKind.ERROR_RESPONSE, fields.encode())


@dataclass(frozen=True, slots=True)
class BackendKey:
    """What a client must show to cancel a query: the process id and a secret (4 to 256 bytes)."""

    process_id: int
    secret: bytes

    @classmethod
    def of(cls, payload: bytes) -> BackendKey:
        """Decode the payload of a BackendKeyData message or of a CancelRequest."""
        if len(payload) < 8:
            raise ProtocolError("a cancellation key has at least 8 bytes")
        return cls(struct.unpack_from("!I", payload)[0], payload[4:])

    @property
    def payload(self) -> bytes:
        """The key as both messages carry it."""
        return struct.pack("!I", self.process_id) + self.secret


SYNC: Final = Message(ClientKind.SYNC)
TERMINATE: Final = Message(ClientKind.TERMINATE)
AUTHENTICATION_OK: Final = Message(ServerKind.AUTHENTICATION, struct.pack("!I", 0))


def query(sql: str) -> Message:
    """Build a simple Query."""
    return Message(ClientKind.QUERY, _zero_terminated(sql))


def parse(name: str, sql: str) -> Message:
    """Build a Parse without parameter types; the empty name is the unnamed statement."""
    return Message(ClientKind.PARSE, _zero_terminated(name, sql) + struct.pack("!H", 0))


def ready_for_query(status: bytes) -> Message:
    """Build the end of an answer: b"I" idle, b"T" in a transaction, b"E" in a failed one."""
    return Message(ServerKind.READY_FOR_QUERY, status)


def parameter_status(name: str, value: str) -> Message:
    """Build the report of a run-time parameter."""
    return Message(ServerKind.PARAMETER_STATUS, _zero_terminated(name, value))


def backend_key_data(key: BackendKey) -> Message:
    """Build the message that tells a client how to cancel."""
    return Message(ServerKind.BACKEND_KEY_DATA, key.payload)


def _zero_terminated(*values: str) -> bytes:
    if any("\0" in value for value in values):
        raise ProtocolError(f"a protocol string cannot hold a NUL: {values!r}")
    return b"".join(value.encode() + b"\0" for value in values)


class MessageParser:
    """Cut a byte stream into messages, whatever the sizes of the pieces in which it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> list[Message]:
        """Take the next bytes and return the messages they complete, in order.

        Raises ProtocolError for an impossible length; the stream cannot be followed after that.
        """
        buffer = self._buffer
        buffer += received
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= 5:
            (length,) = struct.unpack_from("!I", buffer, start + 1)
            if not 4 <= length <= MESSAGE_BYTES_MAX:
                raise ProtocolError(f"message kind {buffer[start]} has length {length}")
            end = start + 1 + length
            if end > len(buffer):
                break
            kind, payload = bytes(buffer[start : start + 1]), bytes(buffer[start + 5 : end])
            messages.append(Message(kind, payload))
            start = end
        del buffer[:start]
        return messages


class MessageReader:
    """Read messages from a stream, as many at a time as have arrived."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._parser = MessageParser()

    async def next_batch(self) -> list[Message]:
        """Wait for at least one whole message; the empty list means that the peer is gone."""
        while True:
            try:
                received = await self._stream.read(1 << 16)
            except ConnectionError:
                return []
            if not received:
                return []
            if messages := self._parser.feed(received):
                return messages


@dataclass(frozen=True, slots=True)
class StartupPacket:
    """A packet without a type byte: SSLRequest, GSSENCRequest, CancelRequest or StartupMessage."""

    code: int
    payload: bytes = b""

    @property
    def frame(self) -> bytes:
        """The packet as it travels."""
        return struct.pack("!II", len(self.payload) + 8, self.code) + self.payload

    def parameters(self) -> dict[str, str]:
        """Return the parameters of a StartupMessage; raise ProtocolError if this is none."""
        parts = self.payload.split(b"\0")
        if self.code >> 16 != 3 or len(parts) % 2 or parts[-2:] != [b"", b""]:
            raise ProtocolError(f"packet {self.code} is no StartupMessage of protocol 3")
        texts = [part.decode(errors="replace") for part in parts[:-2]]
        return dict(zip(texts[::2], texts[1::2], strict=True))

    @classmethod
    def startup(cls, parameters: Mapping[str, str]) -> StartupPacket:
        """Build a StartupMessage of protocol 3.0."""
        pairs = (_zero_terminated(name, value) for name, value in parameters.items())
        return cls(PROTOCOL_3_0, b"".join(pairs) + b"\0")


async def read_startup(
    stream: asyncio.StreamReader, answers: asyncio.StreamWriter
) -> StartupPacket | None:
    """Decline any offer of encryption and return the packet that follows; None on a lost peer."""
    while True:
        try:
            length, code = struct.unpack("!II", await stream.readexactly(8))
            if not 8 <= length <= STARTUP_BYTES_MAX:
                raise ProtocolError(f"startup packet {code} has length {length}")
            packet = StartupPacket(code, await stream.readexactly(length - 8))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        if packet.code not in (SSL_REQUEST, GSSENC_REQUEST):
            return packet
        answers.write(b"N")


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST: what is buffered is dropped and the peer's next read fails."""
    peer: socket.socket | None = writer.get_extra_info("socket")
    if peer is not None and peer.fileno() >= 0:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Listener(ABC):
    """A TCP server with an event loop and a thread of its own, driven by plain calls.

    An exception nobody expected in a connection ends that connection and is raised by `stop`, so
    that a proxy's own defect never looks like a fault it was asked for.

    The thread needs the interpreter's lock: a driver call that waits for the proxy while it holds the
    lock waits for ever. psycopg's `cancel` is the one known; `cancel_safe` is as good.
    """

    host: Final = "127.0.0.1"

    def __init__(self) -> None:
        # Bound for good and never listening, this socket keeps the port ours while connections are refused.
        self._reservation = _bound(self.host, 0)
        self.port: int = self._reservation.getsockname()[1]
        self._started = threading.Event()
        self._failures: list[Exception] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    async def serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one accepted connection to its end; the caller closes the writer."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Begin to listen; return when connections are accepted."""
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._main(),), name=type(self).__name__, daemon=True
        )
        self._thread.start()
        if not self._started.wait(STOP_SECONDS_MAX):
            raise TimeoutError(f"{type(self).__name__} did not start")
        return self

    def stop(self) -> None:
        """End every connection and the thread; raise what went wrong inside. Safe to repeat."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(STOP_SECONDS_MAX)
        self._reservation.close()
        if thread.is_alive():
            raise TimeoutError(f"{type(self).__name__} did not stop")
        if self._failures:
            raise ExceptionGroup(f"{type(self).__name__} failed", self._failures)

    def refuse_connections(self) -> None:
        """Stop listening: the next connect gets ECONNREFUSED; what is connected stays."""
        self.call(self._close_server)

    def accept_connections(self) -> None:
        """Listen again, on the same port."""
        self.call(self._open_server)

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on the thread's loop and return its result."""
        if self._loop is None:
            raise RuntimeError(f"{type(self).__name__} is not started")
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(STOP_SECONDS_MAX)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that ends with the listener; to be called on its loop only."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await self._open_server()
        self._started.set()
        await self._stopping.wait()
        await self._close_server()
        remaining = list(self._tasks)
        for task in remaining:
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)

    async def _open_server(self) -> None:
        if self._server is None:
            listening = _bound(self.host, self.port)
            self._server = await asyncio.start_server(self._accepted, sock=listening, backlog=512)

    async def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accepted(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.spawn(self._carry(stream, writer))

    async def _carry(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.serve(stream, writer)
        finally:
            writer.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        # A peer that goes away is what these proxies are for; everything else is a defect of ours.
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self._failures.append(error)


def _bound(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off (40 ms a message) only for sockets that name their protocol.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound

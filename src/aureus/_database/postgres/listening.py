"""Listens for what other processes seal: one connection of its own, never one of the pool.

A notification is only a wake-up: nothing depends on one. A connection that is refused, or breaks, is opened again
after a rest; meanwhile those who wait look from time to time by themselves. Behind a transaction pooler a LISTEN would
be lost, so that without a direct URL there is no listening at all.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from contextlib import suppress
from typing import Any, Final

import psycopg

from aureus._database.bell import Wake
from aureus._database.postgres.options import PostgresOptions

CHANNEL: Final = "aureus_sealed"
"""What a round of sealing notifies; without content, and the same for all schemas and tenants of a database."""

REST_SECONDS_FIRST: Final = 0.1
REST_SECONDS_MAX: Final = 30.0
"""The longest rest before the connection is tried again; each is twice as long as the one before."""

STOP_SECONDS_MAX: Final = 3.0
"""How long stopping waits for a connection that is just being opened; its thread then ends by itself."""

_log = logging.getLogger("aureus.database")


class Listening:
    """Rings whenever somebody has sealed."""

    def __init__(self, options: PostgresOptions, ring: Wake) -> None:
        """Take how to reach the server without a pooler."""
        self._options = options
        self._ring = ring
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._heard, self._stopping = socket.socketpair()
        self._is_over = False
        self._has_told = False

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._work, name="aureus listening", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is None or os.getpid() != self._pid:
            return
        self._is_over = True
        with suppress(
            OSError
        ):  # it has just ended by itself, and closed what it was to hear this by
            self._stopping.send(b"x")
        thread.join(STOP_SECONDS_MAX)

    def _work(self) -> None:
        rest = REST_SECONDS_FIRST
        try:
            while not self._is_over:
                try:
                    with self._connected() as connection:
                        rest = REST_SECONDS_FIRST
                        self._ring()  # for what was sealed before anybody listened
                        self._serve(connection)
                except (psycopg.Error, OSError) as error:
                    self._tell(error)
                if not self._is_over:
                    self._rest(rest)
                    rest = min(REST_SECONDS_MAX, 2 * rest)
        finally:
            self._heard.close()
            self._stopping.close()

    def _connected(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._options.connection_string(), autocommit=True, prepare_threshold=None
        )
        try:
            connection.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        """Ring at each notification, until the connection breaks or it is time to stop."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._heard, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._heard for key, _ in selector.select()):
                    return
                connection.pgconn.consume_input()
                has_any = False
                while connection.pgconn.notifies() is not None:
                    has_any = True
                if has_any:
                    self._ring()

    def _rest(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._heard, selectors.EVENT_READ)
            selector.select(seconds)

    def _tell(self, error: Exception) -> None:
        """Say once that there is no listening for the time being; what happens without is only slower."""
        if not self._has_told and not self._is_over:
            self._has_told = True
            _log.info("%s: no notifications for now: %s", self._options.place(), error)

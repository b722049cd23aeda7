"""Listening ends when it is told to, whatever it is at."""

from __future__ import annotations

from aureus._database.postgres.listening import Listening
from aureus._database.postgres.options import PostgresOptions


def test_stopping_one_that_has_just_ended_by_itself_does_nothing() -> None:
    listening = Listening(PostgresOptions("host=127.0.0.1 port=1"), lambda: None)
    listening._is_over = True
    listening.start()
    thread = listening._thread
    assert thread is not None
    thread.join(60)
    listening.stop()
    listening.stop()
    assert not thread.is_alive()


def test_one_that_reaches_no_server_ends_in_its_rest() -> None:
    listening = Listening(PostgresOptions("host=127.0.0.1 port=1"), lambda: None)
    listening.start()
    thread = listening._thread
    assert thread is not None
    listening.stop()
    thread.join(60)
    assert not thread.is_alive()

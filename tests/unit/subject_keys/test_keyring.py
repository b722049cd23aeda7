"""Keys in memory: asked for once, forgotten after a while, bounded; a key store that misbehaves is told."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.clock import ManualClock
from aureus.errors import Invalid, SubjectKeysFailed
from aureus.subject_keys.keyring import KEPT_MAX, KEPT_SECONDS, Keyring
from tests.support.subject_keys import MemoryKeys


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keyring(keys: MemoryKeys, clock: ManualClock) -> Keyring:
    return Keyring(keys, clock)


def test_a_key_is_at_hand_for_a_while_by_name_and_by_identifier(
    keyring: Keyring, clock: ManualClock
) -> None:
    assert keyring.kept_of("acme", ["ada"]) == {}
    made = keyring.made_for("acme", ["ada"])
    assert keyring.kept_of("acme", ["ada", "bob"]) == made
    assert keyring.kept_of("zeta", ["ada"]) == {}
    key_id = made["ada"].key_id
    assert keyring.kept("acme", [key_id]) == {key_id: made["ada"]}
    clock.advance(KEPT_SECONDS)
    assert keyring.kept_of("acme", ["ada"]) == keyring.kept("acme", [key_id]) == {}


def test_what_is_destroyed_here_is_forgotten_at_once(keyring: Keyring) -> None:
    key = keyring.made_for("acme", ["ada"])["ada"]
    keyring.destroy("acme", "ada", key.key_id)
    assert keyring.kept_of("acme", ["ada"]) == keyring.kept("acme", [key.key_id]) == {}
    assert keyring.fetched("acme", [key.key_id]) == {}


def test_no_more_than_a_bound_is_kept(keyring: Keyring) -> None:
    names = [f"p{number}" for number in range(KEPT_MAX)]
    keyring.made_for("acme", names)
    assert len(keyring._kept) == KEPT_MAX


@pytest.mark.parametrize("answer", [{}, {"ada": None}, {"ada": "a key"}])
def test_a_key_store_that_gives_no_key_is_told(
    keyring: Keyring, keys: MemoryKeys, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "get_or_create", lambda *_: answer)
    with pytest.raises(SubjectKeysFailed):
        keyring.made_for("acme", ["ada"])


def test_what_a_key_store_raises_is_the_cause_and_our_own_errors_pass(
    keyring: Keyring, keys: MemoryKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: Exception = OSError("no route")

    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(keys, "get", fail)
    with pytest.raises(SubjectKeysFailed, match="no route") as caught:
        keyring.fetched("acme", ["k"])
    assert caught.value.__cause__ is error
    error = Invalid("such a key cannot be")
    with pytest.raises(Invalid):
        keyring.fetched("acme", ["k"])

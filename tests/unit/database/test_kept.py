"""What a client keeps in memory: bounded, and each tenant's for itself."""

from __future__ import annotations

from aureus._database.kept import Kept


def test_a_tenant_finds_what_it_has_kept_and_nobody_elses() -> None:
    kept = Kept(100)
    kept.keep("acme", {("s", "tide"): b"12", ("s", "moon"): b"3"})
    assert kept.find("acme", [("s", "tide"), ("s", "sun")]) == {("s", "tide"): b"12"}
    assert kept.find("other", [("s", "tide")]) == {}


def test_what_was_not_asked_for_longest_goes_first() -> None:
    kept = Kept(10)
    kept.keep("acme", {"a": b"1234", "b": b"1234"})
    assert kept.find("acme", ["a"]) == {"a": b"1234"}
    kept.keep("acme", {"c": b"1234"})
    assert set(kept.find("acme", ["a", "b", "c"])) == {"a", "c"}


def test_the_bound_holds_for_what_is_kept_twice_and_for_what_is_too_large() -> None:
    kept = Kept(10)
    for _ in range(5):
        kept.keep("acme", {"a": b"1234", "b": b"1234"})
    assert set(kept.find("acme", ["a", "b"])) == {"a", "b"}
    kept.keep("acme", {"large": b"x" * 11})
    assert kept.find("acme", ["a", "b", "large"]) == {}

"""What is expected of a stream when something is appended to it."""

from __future__ import annotations

from aureus.errors import Invalid, VersionConflict
from aureus.model.events import Expectation, ExpectedVersion

_NUMBERS = {Expectation.ANY: -1, Expectation.NO_STREAM: 0, Expectation.EXISTS: -2}
"""What expectations are in SQL, where versions are not negative."""


def number_of_expected(expected: ExpectedVersion) -> int:
    """Return an expectation as SQL takes it. Raises ``Invalid`` for what is none."""
    if isinstance(expected, Expectation):
        return _NUMBERS[expected]
    if type(expected) is not int or not 0 <= expected < 2**63:
        raise Invalid(
            f"expected_version is {expected!r}; it is ANY, NO_STREAM, EXISTS or a version from 0",
            what="expected_version",
        )
    return expected


def conflict_with(stream: str, expected: ExpectedVersion, actual: int) -> VersionConflict | None:
    """Return the error of an append to a stream at this version; None when nothing speaks against it."""
    number = number_of_expected(expected)
    if (
        expected is Expectation.ANY
        or number == actual
        or (expected is Expectation.EXISTS and actual)
    ):
        return None
    wanted = expected.value if isinstance(expected, Expectation) else expected
    return VersionConflict(
        f"stream {stream!r} is at version {actual}, and {wanted} was expected; read what was appended meanwhile, "
        "decide again, and append with the version you have read",
        stream=stream,
        expected_version=wanted,
        actual_version=actual,
    )

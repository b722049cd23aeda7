"""A wish to stop is never mistaken for an error of what it interrupts."""

from __future__ import annotations

import signal

import pytest

from aureus.cli.subscriptions import _stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wish_to_stop_is_no_error_that_is_retried(number: int) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
        _stop(number)
    assert not isinstance(caught.value, Exception)

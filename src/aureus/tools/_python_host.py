"""The program that calls one Python function and writes down what became of it.

It runs in its own interpreter, so that a call can be stopped, can crash, and finds its modules as if it were alone. It
imports nothing of Aureus, and little else: what it imports, every call pays for. The request is JSON on descriptor 0,
the answer JSON on descriptor 3; descriptors 1 and 2 belong to the function.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import sys

TYPE_CHECKING = False
"""Type checkers take this for true; importing the real one would cost every call 2 ms."""

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_REPLY = 3
_TRACEBACK_CHARACTERS_MAX = 4000
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1


class _Refused(Exception):
    """The call cannot be made, or its result cannot be kept."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def main() -> None:
    """Answer the request on descriptor 0. The first entry of ``sys.path`` makes way for the folder of the workflow."""
    with open(0, "rb", closefd=False) as file:
        request = json.load(file)
    os.set_inheritable(_REPLY, False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]  # TextIO lacks it; these are TextIOWrapper
    # Asked to end, run the function's own clean-up; what does not end is killed soon after.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.path[0] = request["directory"]
    reply = json.dumps(_answer(request["call"], request["args"]), allow_nan=False)
    with open(_REPLY, "wb") as file:
        file.write(reply.encode())


def _answer(target: str, arguments: dict[str, Any] | list[Any]) -> dict[str, Any]:
    try:
        function = _find(target)
        positional = arguments if isinstance(arguments, list) else []
        named = arguments if isinstance(arguments, dict) else {}
        value = function(*positional, **named)
        if hasattr(value, "__await__"):
            value = _wait_for(value)
        try:
            _check(value, "result")
        except RecursionError:
            raise _Refused("result", "result contains itself, or is nested too deeply") from None
    except _Refused as error:
        return {"reason": error.reason, "message": _readable(str(error))}
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is the answer)
        return _raised(error)
    return {"value": value}


def _wait_for(awaitable: Any) -> Any:
    import asyncio

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


def _find(target: str) -> Callable[..., Any]:
    module_name, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        message = (
            f"there is no module {error.name!r} in {sys.path[0]} or among the installed packages"
        )
        raise _Refused("import", message) from None
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            file = getattr(sys.modules[module_name], "__file__", None)
            message = (
                f"module {module_name!r} ({file or 'a folder without __init__.py'}) has no {path!r}"
            )
            raise _Refused("import", message) from None
    if not callable(found):
        raise _Refused("import", f"{target} is a {type(found).__name__}, which cannot be called")
    function: Callable[..., Any] = found
    return function


def _check(value: Any, path: str) -> None:
    """Refuse what would come back from JSON as something else; Aureus checks the rest."""
    kind = _kind(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise _Refused("result", f"{path} has the key {key!r}; JSON keys are text")
            _check(key, f"a key of {path}")
            _check(item, f"{path}.{key}")
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]")
    elif kind is float:
        if not math.isfinite(value):
            raise _Refused(
                "result", f"{path} is {value}; JSON has no such number, return None or text"
            )
    elif kind is int:
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise _Refused("result", f"{path} is an integer outside ±2^63; return it as text")
    elif kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Refused(
                "result", f"{path} contains a lone surrogate; it is not valid text"
            ) from None
    elif value is not None and kind is not bool:
        raise _Refused(
            "result",
            f"{path} is a {kind.__name__}; a result is made of dict, list, str, int, float, bool and None",
        )


def _kind(value: object) -> type[Any]:
    return type(value)


def _raised(error: BaseException) -> dict[str, Any]:
    import traceback

    trace = error.__traceback__
    while (
        trace is not None
        and trace.tb_next is not None
        and trace.tb_frame.f_code.co_filename == __file__
    ):
        trace = trace.tb_next
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 (the user's own __str__ failed)
        message = "(its text cannot be made)"
    lines = "".join(traceback.format_exception(kind, error, trace))
    return {
        "reason": "raised",
        "type": _readable(name),
        "message": _readable(message),
        "traceback": _readable(lines[-_TRACEBACK_CHARACTERS_MAX:]),
    }


def _readable(text: str) -> str:
    """Return text without lone surrogates, which no JSON reader takes."""
    return text.encode(errors="backslashreplace").decode()

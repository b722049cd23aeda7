"""One body of an operation, three views: called, awaited, composed.

``@read`` and ``@write`` turn a generator method into a descriptor. On a ``Store`` it is a plain method, on an
``AsyncStore`` a coroutine method, on bare ``Operations`` it stays the generator, so that operations compose in one
transaction with ``yield from``. Type checkers infer all three.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property
from types import FunctionType, MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.kinds import Kinds, check_methods
from aureus._database.observing import Observing
from aureus._database.statement import Op, OutsideWanted, Refused
from aureus.errors import Conflict, SubjectKeyDestroyed

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Operations:
    """The operations of one noun as generators.

    Where they hold a scope (a collection, an agent), they are made with it and handed to a view, whose class then names
    ``Store`` first: ``class AgentStore(Store, AgentOperations)``.
    """


class Store:
    """A view of operations that carries them out in the caller's thread, for one tenant."""

    def __init__(self, runner: Runner, call: Call, operations: Operations | None = None) -> None:
        """Carry out these operations, which may hold a scope; by default the bare ones of the class."""
        self._runner = runner
        self._call = call
        self._operations = operations or _bare(type(self))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let what a view does beside its operations refuse arguments of the wrong kind as they do."""
        super().__init_subclass__(**kwargs)
        check_methods(cls)


class AsyncStore:
    """A view of operations that carries them out for an event loop, for one tenant."""

    def __init__(
        self, runner: AsyncRunner, call: Call, operations: Operations | None = None
    ) -> None:
        """Carry out these operations, which may hold a scope; by default the bare ones of the class."""
        self._runner = runner
        self._call = call
        self._operations = operations or _bare(type(self))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let what a view does beside its operations refuse arguments of the wrong kind as they do."""
        super().__init_subclass__(**kwargs)
        check_methods(cls)


class Operation(Generic[P, R]):
    """A generator method seen through the object it is looked up on."""

    def __init__(
        self,
        body: Callable[Concatenate[Any, P], Op[R]],
        *,
        is_read: bool,
        is_whole: bool = False,
    ) -> None:
        self.body = body
        self.is_read = is_read
        self.is_whole = is_whole
        self.name = f"{_noun_of(body.__module__)}.{body.__name__}"
        """What telemetry calls it: ``sessions.save``."""
        self.__doc__ = body.__doc__
        self.__name__ = body.__name__
        self.__wrapped__ = body

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Operation[P, R]: ...
    @overload
    def __get__(
        self, instance: AsyncStore, owner: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, instance: Store, owner: type[Any]) -> Callable[P, R]: ...
    @overload
    def __get__(self, instance: Operations, owner: type[Any]) -> Callable[P, Op[R]]: ...
    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        if instance is None:
            return self
        if isinstance(instance, Store):
            return self._called(instance)
        if isinstance(instance, AsyncStore):
            return self._awaited(instance)
        return MethodType(self.body, instance)

    @cached_property
    def _kinds(self) -> Kinds:
        """What callers may pass; operations that compose trust each other."""
        return Kinds(cast(FunctionType, self.body))

    def _called(self, store: Store) -> Callable[P, R]:
        runner = store._runner  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a view and its operations
        call = store._call  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a view and its operations
        perform = runner.read if self.is_read else runner.write
        bare = store._operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a view and its operations

        def view(*args: P.args, **kwargs: P.kwargs) -> R:
            self._kinds.check(args, kwargs)
            begun = call.begun(is_whole=self.is_whole)
            explain: Callable[[], Op[None]] | None = None
            while explain is None:
                try:
                    return perform(lambda: self.body(bare, *args, **kwargs), begun)
                except OutsideWanted as found:
                    wanted = found
                except Refused as refused:
                    explain = refused.explain
                    continue
                except SubjectKeyDestroyed:
                    if not begun.takes_new_keys():
                        raise
                    continue
                wanted.receive(wanted.work())
            runner.read(explain, call)
            raise _unexplained()

        observing = call.observing
        return self._named(view if observing is None else self._told(view, observing), bare)

    def _awaited(self, store: AsyncStore) -> Callable[P, Coroutine[Any, Any, R]]:
        runner = store._runner  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a view and its operations
        call = store._call  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a view and its operations
        perform = runner.read if self.is_read else runner.write
        bare = store._operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - a view and its operations

        async def view(*args: P.args, **kwargs: P.kwargs) -> R:
            self._kinds.check(args, kwargs)
            begun = call.begun(is_whole=self.is_whole)
            explain: Callable[[], Op[None]] | None = None
            while explain is None:
                try:
                    return await perform(lambda: self.body(bare, *args, **kwargs), begun)
                except OutsideWanted as found:
                    wanted = found
                except Refused as refused:
                    explain = refused.explain
                    continue
                except SubjectKeyDestroyed:
                    if not begun.takes_new_keys():
                        raise
                    continue
                from asyncio import to_thread

                wanted.receive(await to_thread(wanted.work))
            await runner.read(explain, call)
            raise _unexplained()

        observing = call.observing
        return self._named(
            view if observing is None else self._told_when_awaited(view, observing), bare
        )

    def _named(self, view: Callable[P, T], bare: Operations) -> Callable[P, T]:
        """Let a view show the name, the signature and the docstring of its operation; 0.4 µs at each look-up."""
        function = cast(FunctionType, view)
        function.__name__ = self.__name__
        function.__qualname__ = self.name
        function.__doc__ = self.__doc__
        function.__dict__["__wrapped__"] = MethodType(self.body, bare)
        return view

    def _told(self, view: Callable[P, R], observing: Observing) -> Callable[P, R]:
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            began = observing.began()
            try:
                result = view(*args, **kwargs)
            except BaseException as error:
                observing.ended(self.name, began, error)
                raise
            observing.ended(self.name, began)
            return result

        return told

    def _told_when_awaited(
        self, view: Callable[P, Coroutine[Any, Any, R]], observing: Observing
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        async def told(*args: P.args, **kwargs: P.kwargs) -> R:
            began = observing.began()
            try:
                result = await view(*args, **kwargs)
            except BaseException as error:
                observing.ended(self.name, began, error)
                raise
            observing.ended(self.name, began)
            return result

        return told


def _noun_of(module: str) -> str:
    """Return the noun whose operations a module holds: the part behind ``stores``, else behind the package's name."""
    parts = module.split(".")
    if "stores" in parts[:-1]:
        return parts[parts.index("stores") + 1]
    return parts[1] if parts[0] == "aureus" and len(parts) > 1 else parts[-1]


def _unexplained() -> Conflict:
    return Conflict("somebody changed it in the same moment; nothing was stored, repeat the call")


def read(body: Callable[Concatenate[Any, P], Op[R]]) -> Operation[P, R]:
    """Mark an operation that changes nothing."""
    return Operation(body, is_read=True)


def write(body: Callable[Concatenate[Any, P], Op[R]]) -> Operation[P, R]:
    """Mark an operation that changes something: all of it, or nothing."""
    return Operation(body, is_read=False)


def read_whole(body: Callable[Concatenate[Any, P], Op[R]]) -> Operation[P, R]:
    """Mark a read of many pages: all of them from one moment, in a transaction of its own."""
    return Operation(body, is_read=True, is_whole=True)


def write_whole(body: Callable[Concatenate[Any, P], Op[R]]) -> Operation[P, R]:
    """Mark an operation that reads many pages from one moment and writes by what it saw: all of it, or nothing.

    It has a transaction of its own and does not travel in a caller's. When somebody else has changed a row since that
    moment which it is about to change, it begins anew.
    """
    return Operation(body, is_read=False, is_whole=True)


_BARE: dict[type[Any], Operations] = {}


def _bare(view: type[Any]) -> Operations:
    """Return the plain operations behind a view, on which ``self.other(…)`` inside a body is a generator."""
    found = _BARE.get(view)
    if found is None:
        base = next(
            cls
            for cls in view.__mro__
            if issubclass(cls, Operations) and not issubclass(cls, Store | AsyncStore)
        )
        found = _BARE[view] = base()
    return found

"""The backends that every contract test runs on, behind one synchronous face.

An asynchronous client is driven from a thread with a loop of its own; its stores are wrapped so that a test calls them
like the others. What a backend cannot do is not skipped here: all of them can do everything.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aureus._database.drive import Call, Sources
from aureus._database.opening import open_async_database, open_database
from aureus._database.operation import AsyncStore
from aureus.client import AsyncAureus, Aureus, make_sources
from aureus.client.wiring import Wiring
from aureus.clock import ManualClock
from aureus.config import Settings, load
from aureus.ids import RandomIds
from aureus.stores.idempotency_keys import AsyncIdempotencyKeyStore, IdempotencyKeyStore
from aureus.stores.leases import AsyncLeaseStore, LeaseStore

SECONDS_MAX = 60.0
"""A call that takes longer hangs."""


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS_MAX)

    def close(self) -> None:
        """Stop the loop and its threads."""
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(SECONDS_MAX)
        self.loop.close()


class Called:
    """Something asynchronous, called from outside its loop."""

    def __init__(self, thread: LoopThread, target: Any) -> None:
        self._thread = thread
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if callable(found):
            return self._calling(found)
        return found

    def _calling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def make(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            result = await result if inspect.isawaitable(result) else result
            return Called(self._thread, result) if isinstance(result, AsyncStore) else result

        return lambda *args, **kwargs: self._thread.run(make(*args, **kwargs))


class Backend:
    """An open database and its stores, the same to look at for threads and for asyncio."""

    def __init__(
        self,
        settings: Settings,
        *,
        is_async: bool,
        clock: Any = None,
        call_seconds: float = 30.0,
        embedder: Any = None,
        subject_keys: Any = None,
    ) -> None:
        self.settings = settings
        self.subject_keys = subject_keys
        self.embedder = embedder
        self.clock = clock or ManualClock()
        self._call_seconds = call_seconds
        self.ids = RandomIds()
        self._thread = LoopThread() if is_async else None
        self.client: Any = (
            self._thread.run(self._open_async()) if self._thread else self._open_client()
        )

    def _open_client(self) -> Aureus:
        return Aureus(
            settings=self.settings,
            clock=self.clock,
            ids=self.ids,
            embedder=self.embedder,
            subject_keys=self.subject_keys,
        )

    async def _open_async(self) -> AsyncAureus:
        return AsyncAureus(
            settings=self.settings,
            clock=self.clock,
            ids=self.ids,
            embedder=self.embedder,
            subject_keys=self.subject_keys,
        )

    def use(self, embedder: Any) -> None:
        """Let the stores of tenants that are asked for from now on have this embedder."""
        client = self.client
        client._wiring = Wiring(self.settings, client._note, embedder, client._keyring)

    def tenant(self, name: str) -> Any:
        """Return the stores of a tenant."""
        call = Call(name, self._call_seconds)
        runner = self.client._database
        stores = self.client.for_tenant(name)
        if self._thread is None:
            stores.leases = LeaseStore(runner, call)
            stores.idempotency_keys = IdempotencyKeyStore(runner, call)
            return stores
        stores.leases = AsyncLeaseStore(runner, call)
        stores.idempotency_keys = AsyncIdempotencyKeyStore(runner, call)
        return _CalledStores(self._thread, stores)

    @contextmanager
    def transaction(self, tenant: str) -> Generator[Any]:
        """Open a transaction of a tenant."""
        opened = self.client.transaction(tenant=tenant)
        if self._thread is None:
            with opened as transaction:
                yield transaction
            return
        entered = self._thread.run(opened.__aenter__())
        try:
            yield _CalledStores(self._thread, entered)
        except BaseException as error:
            self._thread.run(opened.__aexit__(type(error), error, error.__traceback__))
            raise
        self._thread.run(opened.__aexit__(None, None, None))

    def close(self) -> None:
        """Close the client."""
        if self._thread is None:
            self.client.close()
        else:
            self._thread.run(self.client.close())
            self._thread.close()


class _CalledStores:
    def __init__(self, thread: LoopThread, stores: Any) -> None:
        self._thread = thread
        self._stores = stores

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stores, name)
        if name in {"agent", "execute"}:
            return getattr(Called(self._thread, self._stores), name)
        return found if name == "connection" else Called(self._thread, found)


def settings_for(url: str, directory: Path, **more: Any) -> Settings:
    """Return settings for a database, untouched by the machine's own."""
    arguments = {
        "database.url": url,
        "database.pool_min": 1,
        "database.pool_max": 6,
        "ledger.heads": str(directory / "heads"),
        **more,
    }
    return load(arguments=arguments, environ={}, directory=directory)


__all__ = [
    "Backend",
    "Called",
    "LoopThread",
    "Sources",
    "make_sources",
    "open_async_database",
    "open_database",
    "settings_for",
]

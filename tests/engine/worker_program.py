"""A worker to be killed: runs one workflow whose tasks record their effects outside.

`python worker_program.py DATABASE_URL LEDGER [EFFECTS]`; prints how the run ended. Started again it goes on. With a
number of effects, no task ends any more once so many are recorded: the worker then waits for its death.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aureus.client import AsyncAureus
from aureus.codec import Json
from aureus.model.workflows import Workflow
from aureus.tools import ToolCall
from tests.engine.workshop import Scripted, Workshop, task, workflow
from tests.support.backends import settings_for
from tests.support.effects import read_effects, record_effect

WAVES, WIDTH = 6, 3


def definition() -> Workflow:
    """Return waves of parallel tasks, each wave behind the one before."""
    names = [[f"t{wave}{place}" for place in range(WIDTH)] for wave in range(WAVES)]
    return workflow(
        *(
            task(name, *(names[wave - 1] if wave else ()), tool="effect")
            for wave in range(WAVES)
            for name in names[wave]
        )
    )


async def main(url: str, ledger: str, effects: str = "1000") -> None:
    """Run the workflow to its end, unless somebody kills this process."""

    async def effect(call: ToolCall) -> Json:
        record_effect(ledger, task=call.task_id, attempt=call.attempt, key=call.idempotency_key)
        if len(read_effects(ledger)) >= int(effects):
            await asyncio.Event().wait()
        return call.attempt

    directory = Path(ledger).parent
    settings = settings_for(url, directory)
    shop = Workshop(settings, AsyncAureus(settings=settings), directory)
    try:
        engine = shop.engine(Scripted("effect", effect), renewals=shop.heartbeat_store())
        outcome = await shop.run(engine, definition())
        sys.stdout.write(f"{outcome.run.status.value} {outcome.was_resumed}\n")
    finally:
        await shop.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Which tools there are, by the name that a task gives.

The built-in tools come first; further ones are objects of the same shape handed to the constructor.
"""

from __future__ import annotations

from collections.abc import Iterable

from aureus.errors import AlreadyExists, NotFound
from aureus.tools.approval import WaitForApproval
from aureus.tools.command import CommandTool
from aureus.tools.contract import Tool
from aureus.tools.inputs import suggestion
from aureus.tools.memories import Memories, RecallTool, RememberTool
from aureus.tools.python import PythonTool
from aureus.tools.sleep import SleepTool
from aureus.tools.snapshots import Snapshots, SnapshotTool
from aureus.tools.supervision import Launcher


class Tools:
    """The tools that the tasks of this process can call. Costs nothing until a tool starts a process.

    ``memories`` is what ``remember`` and ``recall`` work on, ``snapshots`` what ``snapshot`` does; without them these
    can be checked, and not run.
    ``wait-for-approval`` is found like the others, but has no ``run``: the engine asks with ``isinstance``.
    """

    def __init__(
        self,
        further: Iterable[Tool] = (),
        *,
        memories: Memories | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._launcher = Launcher()
        self._tools: dict[str, Tool | WaitForApproval] = {}
        built_in: tuple[Tool | WaitForApproval, ...] = (
            CommandTool(self._launcher),
            PythonTool(self._launcher),
            RecallTool(memories),
            RememberTool(memories),
            SleepTool(),
            SnapshotTool(snapshots),
            WaitForApproval(),
        )
        for tool in (*built_in, *further):
            if tool.name in self._tools:
                raise AlreadyExists(
                    f"there is already a tool named '{tool.name}'; rename one", name=tool.name
                )
            self._tools[tool.name] = tool

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all tools in alphabetical order."""
        return tuple(sorted(self._tools))

    def find(self, name: str) -> Tool | WaitForApproval:
        """Return the tool of this name; raises ``NotFound`` that suggests the nearest one."""
        if name not in self._tools:
            remedy = suggestion(name, self.names) or f"the tools are {', '.join(self.names)}"
            raise NotFound(f"there is no tool '{name}'; {remedy}", tool=name)
        return self._tools[name]

    def close(self) -> None:
        """End the process that starts children. Work that still runs goes on; safe to repeat."""
        self._launcher.close()

"""An agent's view of its memories: all it keeps is its own, and says by itself where it came from.

An agent is a name, perhaps with a user and a session. What it remembers carries them, and the run and task at hand;
what it recalls is its own and what others share; what it forgets or clears is its own. It holds no state: making one
costs nothing, and two with the same names are the same agent.
"""

from __future__ import annotations

from aureus.agents.operations import Agent, AgentOperations, AsyncAgent, RememberDetails
from aureus.agents.scope import AgentScope, provenance_at_hand
from aureus.agents.words import words_of

__all__ = [
    "Agent",
    "AgentOperations",
    "AgentScope",
    "AsyncAgent",
    "RememberDetails",
    "provenance_at_hand",
    "words_of",
]

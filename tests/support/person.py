"""Everything that can be known about a person, written with words that occur nowhere else."""

from __future__ import annotations

from typing import Any

WORD = "Quokkazanzibar"
"""A word that the text index knows in lower case, and that stands in everything that is written about her."""

NAME = "ada"


def write_life(stores: Any) -> None:
    """Let agents learn about ada, in every noun, and a little about bob."""
    memories = stores.memories
    for number in range(5):
        memories.add(
            f"she likes {WORD} {number}",
            agent_id="planner",
            user_id=NAME,
            session_id="s1",
            memory_id=f"own-{number}",
            tags=[f"tag{WORD}"],
            content={"more": WORD},
            metadata={"note": WORD},
        )
    memories.update("own-1", text=f"she changed to {WORD}")
    memories.forget("own-2")
    memories.record_access(["own-0"])
    memories.put("k", f"under a key {WORD}", agent_id="planner", user_id=NAME)
    memories.put("k", f"superseded {WORD}", agent_id="planner", user_id=NAME)
    memories.add(f"told by bob: {WORD}", agent_id="planner", user_id="bob", subject=NAME)
    memories.add(
        f"was hers {WORD}", agent_id="planner", user_id="bob", subject=NAME, memory_id="lent"
    )
    memories.update("lent", text="is about tea now", subject="tea")
    memories.add("bob likes tea", agent_id="planner", user_id="bob", memory_id="bobs")
    stores.profiles.update(NAME, preferences={"tone": WORD})
    stores.profiles.update(NAME, goals={"run": WORD})
    stores.profiles.update("bob", goals={"run": "far"})
    stores.hypotheses.propose(
        f"she believes {WORD}", agent_id="planner", user_id=NAME, hypothesis_id="h1"
    )
    stores.hypotheses.add_evidence("h1", f"said {WORD}", side="for", confidence=0.9)
    stores.sessions.save("planner", "s1", {"draft": WORD}, context={"who": WORD})
    stores.sessions.append("planner", "s1", "user", f"hello {WORD}")
    stores.events.append(
        "talks/1", "said", {"text": WORD}, metadata={"by": WORD}, subjects=[NAME, "bob"]
    )
    stores.events.append("talks/1", "said", {"text": "weather"})
    stores.events.append("journal/ada", "noted", {"text": WORD})
    stores.snapshots.create("planner", snapshot_id="all", session_ids=["s1"])
    stores.snapshots.create("planner", user_id=NAME, snapshot_id="hers", session_ids=[])
    stores.snapshots.create("coach", user_id="bob", snapshot_id="his", session_ids=[])
    stores.audit.append(
        "officer", "profile.read", before={"note": WORD}, metadata={"why": WORD}, subjects=[NAME]
    )


ERASED_WITH = {"sessions": [("planner", "s1")], "streams": ["journal/ada"]}
"""What does not say itself that it is about her."""


def bytes_with_the_word(content: bytes) -> list[bytes]:
    """Return some of what surrounds the word in bytes, in whatever case."""
    lowered, word = content.lower(), WORD.lower().encode()
    found: list[bytes] = []
    at = lowered.find(word)
    while at >= 0 and len(found) < 5:
        found.append(content[max(0, at - 60) : at + 60])
        at = lowered.find(word, at + 1)
    return found

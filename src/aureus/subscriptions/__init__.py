"""Consumers of subscriptions: they catch up with what is sealed, wait for more, and remember how far they have come.

``db.subscription(…)`` gives a consumer, ``db.subscriptions.group(…)`` a group whose members share the events. The loop
is written once (``following``) and carried out by threads or by an event loop.
"""

from __future__ import annotations

from aureus.subscriptions.loop import AsyncConsumer, AsyncMeans
from aureus.subscriptions.threads import Consumer, Means
from aureus.subscriptions.views import AsyncGroup, AsyncSubscriptions, Group, Subscriptions

__all__ = [
    "AsyncConsumer",
    "AsyncGroup",
    "AsyncMeans",
    "AsyncSubscriptions",
    "Consumer",
    "Group",
    "Means",
    "Subscriptions",
]

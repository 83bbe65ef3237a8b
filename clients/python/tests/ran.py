"""How an agent of a framework is run, and how a run ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass
class Ran:
    """How a run ended: the agent said something, or it stopped for people and this was kept of it."""

    said: str | None = None
    kept: str | None = None

    def told(self) -> dict[str, Any]:
        """What the model was told last, as it repeats it."""
        assert self.said is not None
        told: dict[str, Any] = json.loads(self.said.removeprefix("I was told: "))
        return told


class Loop(Protocol):
    async def start(self, thread: str, order: str) -> Ran: ...
    async def resume(self, thread: str, kept: str) -> Ran: ...
    async def forget(self, thread: str) -> None:
        """Where the framework itself keeps the conversation."""


class Stateless:
    async def forget(self, thread: str) -> None:
        """Nothing is kept but what is handed over."""


class WaitingLoop(Stateless):
    """Cannot pause: the model is told that people must decide first. A new run, with the same order, finds what became of it."""

    async def start(self, thread: str, order: str) -> Ran:
        ran = await self.run(thread, order, "tell")
        return Ran(kept=order) if ran.told()["status"] == "pending" else ran

    async def resume(self, thread: str, kept: str) -> Ran:
        return await self.run(thread, kept, "tell")

    async def run(self, thread: str, order: str, on_pending: Literal["wait", "tell"]) -> Ran:
        raise NotImplementedError

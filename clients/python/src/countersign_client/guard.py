"""Functions that propose instead of doing. For plain code, agent loops of one's own, and the adapters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias, TypeVar

from .client import AsyncCountersign, AsyncPendingAction, Countersign, PendingAction
from .errors import CountersignError
from .for_model import ToolAnswer, error_for_model, for_model
from .models import Expect, NamedExpect, Outcome
from .types import ProposalFields

Args = TypeVar("Args")
Propose: TypeAlias = Callable[[Args], ProposalFields]

OnPending: TypeAlias = Literal["pause", "wait", "tell"]
"""
What becomes of a call whose action waits for people. ``pause``: the framework's own pause, which outlives this process. ``wait``: the call
waits, however long people take. ``tell``: the model is told that it waits, and goes on.
"""

_TRACE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def action_id_of(fields: ProposalFields, *, call_id: str, thread: str | None) -> str:
    """
    The id of an action that a model's tool call stands for: the same after a restart, and for the same call sent twice. A digest over
    thread, call and what would be done. The last is part of it because some models number their calls anew: another call under an id
    that was used is another action.
    """
    named = {name: fields.get(name) for name in ("tool", "input", "expect", "expected_outcome", "on_mismatch")}
    named |= {"id": call_id, "thread": thread}
    text = json.dumps(named, sort_keys=True, separators=(",", ":"), default=_plain)
    return f"call-{_sha256(text)}"


def trace_id_of(thread: str) -> str:
    """A thread as a ``trace_id``, which groups the actions of one conversation."""
    return thread if _TRACE_ID.fullmatch(thread) else f"thread-{_sha256(thread)}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _plain(value: Any) -> Any:
    if isinstance(value, (Expect, NamedExpect)):
        return value.model_dump()
    return dict(value)


def fields_for(fields: ProposalFields, call_id: str | None, thread: str | None) -> ProposalFields:
    """What is proposed, under the id that belongs to the call."""
    named: ProposalFields = {**fields}
    if call_id is not None and named.get("action_id") is None:
        named["action_id"] = action_id_of(fields, call_id=call_id, thread=thread)
    if thread is not None and named.get("trace_id") is None:
        named["trace_id"] = trace_id_of(thread)
    return named


class Guarded:
    """
    A function that proposes what ``propose`` makes of its arguments. The action's id is derived from ``call_id`` and ``thread``, so that
    the same call, sent twice or repeated by another process after a restart, is the same action. Without a ``call_id`` every call is
    another one. Where a person changed what was proposed, the answer is what became of the action that is done instead.
    """

    def __init__(self, cs: Countersign, propose: Propose[Any]) -> None:
        self._cs = cs
        self._propose = propose

    def __call__(
        self, args: Any, *, call_id: str | None = None, thread: str | None = None, timeout: float = 60
    ) -> Outcome | PendingAction:
        fields = fields_for(self._propose(args), call_id, thread)
        return self._cs.perform(timeout=timeout, follow_edits=True, **fields)


class AsyncGuarded:
    """As ``Guarded``, for asyncio."""

    def __init__(self, cs: AsyncCountersign, propose: Propose[Any]) -> None:
        self._cs = cs
        self._propose = propose

    async def __call__(
        self, args: Any, *, call_id: str | None = None, thread: str | None = None, timeout: float = 60
    ) -> Outcome | AsyncPendingAction:
        fields = fields_for(self._propose(args), call_id, thread)
        return await self._cs.perform(timeout=timeout, follow_edits=True, **fields)


def guard(cs: Countersign, propose: Propose[Any]) -> Guarded:
    """:param propose: what a call comes to, without an ``action_id``"""
    return Guarded(cs, propose)


def aguard(cs: AsyncCountersign, propose: Propose[Any]) -> AsyncGuarded:
    """:param propose: what a call comes to, without an ``action_id``"""
    return AsyncGuarded(cs, propose)


def wait_or_tell(pending: PendingAction, on_pending: OnPending) -> Outcome | PendingAction:
    return pending.outcome() if on_pending == "wait" else pending


async def await_or_tell(pending: AsyncPendingAction, on_pending: OnPending) -> Outcome | AsyncPendingAction:
    return await pending.outcome() if on_pending == "wait" else pending


def call_as_tool(
    call: Callable[[], Outcome | PendingAction],
    when_pending: Callable[[PendingAction], Outcome | PendingAction],
) -> ToolAnswer:
    """
    Calls it as a tool is called: answers what the model is to be told. Errors that the model can do nothing about are raised.

    :param when_pending: what is done with an action that waits: it may raise, wait, or return it for the model to be told
    """
    try:
        answer = call()
        return for_model(answer if isinstance(answer, Outcome) else when_pending(answer))
    except CountersignError as error:
        return _told_or_raised(error)


async def acall_as_tool(
    call: Callable[[], Awaitable[Outcome | AsyncPendingAction]],
    when_pending: Callable[[AsyncPendingAction], Awaitable[Outcome | AsyncPendingAction]],
) -> ToolAnswer:
    """As ``call_as_tool``, for asyncio."""
    try:
        answer = await call()
        return for_model(answer if isinstance(answer, Outcome) else await when_pending(answer))
    except CountersignError as error:
        return _told_or_raised(error)


def _told_or_raised(error: CountersignError) -> ToolAnswer:
    told = error_for_model(error)
    if told is None:
        raise error
    return told


__all__ = [
    "AsyncGuarded",
    "Guarded",
    "OnPending",
    "Propose",
    "acall_as_tool",
    "action_id_of",
    "aguard",
    "await_or_tell",
    "call_as_tool",
    "fields_for",
    "guard",
    "trace_id_of",
    "wait_or_tell",
]

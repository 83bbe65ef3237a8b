"""Tools for Pydantic AI. What waits for people is a deferred tool call. Needs the extra ``pydantic-ai``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_ai import (
    ApprovalRequired,
    DeferredToolRequests,
    DeferredToolResults,
    ModelRetry,
    RunContext,
    Tool,
    ToolDenied,
)

from .client import AsyncCountersign, AsyncPendingAction
from .for_model import for_model, invalid_arguments, was_refused
from .guard import OnPending, Propose, acall_as_tool, aguard, await_or_tell
from .models import Outcome

Args = TypeVar("Args", bound=BaseModel)

_KIND = "countersign"


def countersign_tool(
    cs: AsyncCountersign,
    *,
    name: str,
    description: str,
    args_schema: type[Args],
    propose: Propose[Args],
    thread: str | Callable[[Any], str],
    on_pending: OnPending = "pause",
    timeout: float = 60,
) -> Tool[Any]:
    """
    A tool of Pydantic AI that proposes to Countersign. The model reads a ``ToolAnswer`` as JSON.

    :param propose: what a call comes to
    :param thread: the conversation, under a name that outlives this process; or how the run's dependencies tell it
    :param on_pending: default ``pause``: the run ends with ``DeferredToolRequests``, which ``deferred_results`` answers; it must be among
        the agent's output types
    :param timeout: how long a call waits for an outcome, or to know that people are needed. Seconds
    """
    guarded = aguard(cs, propose)

    async def call(ctx: RunContext[Any], **given: Any) -> str:
        of = thread if isinstance(thread, str) else thread(ctx.deps)
        try:
            args = args_schema.model_validate(given)
        except ValidationError as error:
            raise ModelRetry(str(invalid_arguments(error))) from error

        async def when_pending(pending: AsyncPendingAction) -> Outcome | AsyncPendingAction:
            if on_pending != "pause":
                return await await_or_tell(pending, on_pending)
            # Also when somebody approved it who is not of Countersign: it pauses again.
            raise ApprovalRequired(metadata={"type": _KIND, "action_id": pending.action_id, "reason": pending.reason})

        return str(
            await acall_as_tool(
                lambda: guarded(args, call_id=ctx.tool_call_id, thread=of, timeout=timeout), when_pending
            )
        )

    return Tool.from_schema(call, name, description, args_schema.model_json_schema(), takes_ctx=True)


async def deferred_results(
    cs: AsyncCountersign, requests: DeferredToolRequests, timeout: float | None = None
) -> DeferredToolResults:
    """
    Waits until people have decided, and answers the requests: run the agent again with the run's messages and these results. What was
    carried out is approved, so that the tool runs, which gets the recorded outcome; what people refused is denied, with their reason.

    :param requests: the output of the run; requests of other tools are left to you
    :raises CountersignError: TIMED_OUT after ``timeout`` seconds, default none
    """
    ours = {id: told for id, told in requests.metadata.items() if told.get("type") == _KIND}
    ends = (cs.outcome(told["action_id"], timeout=timeout, follow_edits=True) for told in ours.values())
    outcomes = await asyncio.gather(*ends)
    return DeferredToolResults(approvals={id: _result_of(outcome) for id, outcome in zip(ours, outcomes, strict=True)})


def _result_of(outcome: Outcome) -> bool | ToolDenied:
    if was_refused(outcome):
        return ToolDenied(message=str(for_model(outcome)))
    return True

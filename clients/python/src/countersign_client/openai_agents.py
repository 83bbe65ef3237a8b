"""Tools for the OpenAI Agents SDK. What waits for people interrupts the run. Needs the extra ``openai-agents``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agents import FunctionTool, RunContextWrapper, RunState, ToolApprovalItem
from agents.tool_context import ToolContext
from pydantic import BaseModel, ValidationError

from .client import AsyncCountersign, AsyncPendingAction
from .errors import CountersignError
from .for_model import for_model, invalid_arguments, was_refused
from .guard import OnPending, Propose, acall_as_tool, aguard, await_or_tell
from .models import Outcome

Args = TypeVar("Args", bound=BaseModel)


@dataclass
class CountersignTool(FunctionTool):
    """Made by ``countersign_tool``."""

    action_of: Callable[[str, str, Any], Awaitable[Outcome | AsyncPendingAction]] | None = None
    """The action of a call: of its arguments as the model wrote them, its id, and the run's context."""


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
) -> CountersignTool:
    """
    A tool of the SDK that proposes to Countersign. The model reads a ``ToolAnswer`` as JSON.

    :param propose: what a call comes to
    :param thread: the conversation, under a name that outlives this process; or how the run's context tells it
    :param on_pending: default ``pause``: an interruption of the run, which ``settle_interruptions`` answers
    :param timeout: how long a call waits for an outcome, or to know that people are needed. Seconds
    """
    guarded = aguard(cs, propose)

    async def action_of(arguments: str, call_id: str, context: Any) -> Outcome | AsyncPendingAction:
        of = thread if isinstance(thread, str) else thread(context)
        args = args_schema.model_validate_json(arguments or "{}")
        return await guarded(args, call_id=call_id, thread=of, timeout=timeout)

    async def needs_approval(run: RunContextWrapper[Any], given: dict[str, Any], call_id: str) -> bool:
        if on_pending != "pause":
            return False
        try:
            answer = await action_of(json.dumps(given), call_id, run.context)
        except (CountersignError, ValueError):
            # What a call fails of here it fails of again when it runs, where the model is told.
            return False
        return answer.status == "pending"

    async def invoke(run: ToolContext[Any], arguments: str) -> str:
        try:
            answer = await acall_as_tool(
                lambda: action_of(arguments, run.tool_call_id, run.context),
                lambda pending: await_or_tell(pending, on_pending),
            )
        except ValidationError as error:
            answer = invalid_arguments(error)
        return str(answer)

    return CountersignTool(
        name=name,
        description=description,
        params_json_schema=args_schema.model_json_schema(),
        on_invoke_tool=invoke,
        needs_approval=needs_approval,
        action_of=action_of,
    )


async def settle_interruptions(state: RunState[Any, Any], timeout: float | None = None) -> int:
    """
    Waits until people have decided, and answers the run's interruptions: run the agent again with the same state. What was carried out is
    approved, so that the SDK runs the tool, which gets the recorded outcome; what people refused is rejected, with their reason.

    :param state: of the interrupted run, or ``RunState.from_json`` of what was kept of it
    :return: how many it has answered; interruptions of other tools are left as they are
    :raises CountersignError: TIMED_OUT after ``timeout`` seconds, default none
    """
    settled = await asyncio.gather(*(_settle(state, item, timeout) for item in state.get_interruptions()))
    return sum(settled)


async def _settle(state: RunState[Any, Any], item: ToolApprovalItem, timeout: float | None) -> bool:
    tools = [each for each in item.agent.tools if isinstance(each, CountersignTool) and each.name == item.tool_name]
    call_id, arguments = _of(item.raw_item, "call_id"), _of(item.raw_item, "arguments")
    if not tools or tools[0].action_of is None or call_id is None or arguments is None:
        return False
    context = None if state._context is None else state._context.context
    answer = await tools[0].action_of(arguments, call_id, context)
    outcome = answer if isinstance(answer, Outcome) else await answer.outcome(timeout)
    if was_refused(outcome):
        state.reject(item, rejection_message=str(for_model(outcome)))
    else:
        state.approve(item)
    return True


def _of(raw_item: Any, name: str) -> Any:
    """The SDK has calls as objects, and as mappings once they were stored."""
    return raw_item.get(name) if isinstance(raw_item, Mapping) else getattr(raw_item, name, None)

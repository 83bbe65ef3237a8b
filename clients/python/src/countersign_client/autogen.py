"""
Tools for AutoGen AgentChat. Needs the extra ``autogen``.

AutoGen cannot pause a run in the middle of a tool call. So a call whose action waits for people waits, or the model is told and the run ends
in its own way; what became of the action is then the task of the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from autogen_core import CancellationToken
from autogen_core.tools import BaseTool
from pydantic import BaseModel

from .client import AsyncCountersign
from .for_model import ToolAnswer
from .guard import Propose, acall_as_tool, aguard, await_or_tell

Args = TypeVar("Args", bound=BaseModel)


class CountersignTool(BaseTool[BaseModel, ToolAnswer]):
    """Made by ``countersign_tool``."""

    def __init__(
        self,
        cs: AsyncCountersign,
        *,
        name: str,
        description: str,
        args_schema: type[BaseModel],
        propose: Propose[Any],
        thread: str,
        on_pending: Literal["wait", "tell"],
        timeout: float,
    ) -> None:
        super().__init__(args_schema, ToolAnswer, name, description)
        self._guarded = aguard(cs, propose)
        self._given = args_schema
        self._thread = thread
        self._on_pending = on_pending
        self._timeout = timeout

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> ToolAnswer:
        return await self._call(args, None)

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> ToolAnswer:
        return await self._call(self._given.model_validate(args), call_id)

    def return_value_as_string(self, value: Any) -> str:
        return str(value)

    async def _call(self, args: BaseModel, call_id: str | None) -> ToolAnswer:
        return await acall_as_tool(
            lambda: self._guarded(args, call_id=call_id, thread=self._thread, timeout=self._timeout),
            lambda pending: await_or_tell(pending, self._on_pending),
        )


def countersign_tool(
    cs: AsyncCountersign,
    *,
    name: str,
    description: str,
    args_schema: type[Args],
    propose: Propose[Args],
    thread: str,
    on_pending: Literal["wait", "tell"] = "wait",
    timeout: float = 60,
) -> CountersignTool:
    """
    A tool of AutoGen that proposes to Countersign. The model reads a ``ToolAnswer`` as JSON.

    :param propose: what a call comes to
    :param thread: the conversation, under a name that outlives this process
    :param on_pending: default ``wait``; with ``tell`` go on with ``cs.outcome`` and a run of its own
    :param timeout: how long a call waits for an outcome, or to know that people are needed. Seconds
    """
    return CountersignTool(
        cs,
        name=name,
        description=description,
        args_schema=args_schema,
        propose=propose,
        thread=thread,
        on_pending=on_pending,
        timeout=timeout,
    )

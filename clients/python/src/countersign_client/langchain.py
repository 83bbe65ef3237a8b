"""Tools for LangChain. What waits for people interrupts the graph of LangGraph. Needs the extra ``langchain``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId
from langgraph.types import interrupt
from pydantic import BaseModel, PrivateAttr, create_model

from .client import AsyncCountersign, AsyncPendingAction, Countersign, PendingAction
from .for_model import Pending
from .guard import OnPending, Propose, acall_as_tool, aguard, await_or_tell, call_as_tool, guard, wait_or_tell
from .models import Outcome

Args = TypeVar("Args", bound=BaseModel)


class CountersignInterrupt(TypedDict):
    """The value of an interrupt: what the graph waits for. It is resumed with any value; the decision is never the value's."""

    type: Literal["countersign"]
    tool: str
    action_id: str
    reason: str
    waiting_for: list[list[str]]


class CountersignTool(BaseTool):
    """Made by ``countersign_tool``."""

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    _sync: Countersign | None = PrivateAttr(default=None)
    _async: AsyncCountersign | None = PrivateAttr(default=None)
    _given: type[BaseModel] = PrivateAttr()
    _propose: Propose[Any] = PrivateAttr()
    _thread: str | None = PrivateAttr(default=None)
    _on_pending: OnPending = PrivateAttr(default="pause")
    _timeout: float = PrivateAttr(default=60)

    def _run(self, *, config: RunnableConfig, tool_call_id: str = "", **given: Any) -> tuple[str, Any]:
        if self._sync is None:
            raise TypeError("An AsyncCountersign needs an async call: ainvoke, astream.")
        guarded = guard(self._sync, self._propose)
        call_id, thread = self._call(config, tool_call_id)
        args = self._given.model_validate(given)

        def call() -> Outcome | PendingAction:
            return guarded(args, call_id=call_id, thread=thread, timeout=self._timeout)

        def when_pending(pending: PendingAction) -> Outcome | PendingAction:
            if self._on_pending != "pause" or call_id is None:
                return wait_or_tell(pending, self._on_pending)
            answer: Outcome | PendingAction = pending
            while isinstance(answer, PendingAction):
                interrupt(self._interrupt(answer))
                answer = call()
            return answer

        answer = call_as_tool(call, when_pending)
        return str(answer), answer

    async def _arun(self, *, config: RunnableConfig, tool_call_id: str = "", **given: Any) -> tuple[str, Any]:
        if self._async is None:
            return await super()._arun(config=config, tool_call_id=tool_call_id, **given)  # type: ignore[no-any-return]
        guarded = aguard(self._async, self._propose)
        call_id, thread = self._call(config, tool_call_id)
        args = self._given.model_validate(given)

        async def call() -> Outcome | AsyncPendingAction:
            return await guarded(args, call_id=call_id, thread=thread, timeout=self._timeout)

        async def when_pending(pending: AsyncPendingAction) -> Outcome | AsyncPendingAction:
            if self._on_pending != "pause" or call_id is None:
                return await await_or_tell(pending, self._on_pending)
            answer: Outcome | AsyncPendingAction = pending
            while isinstance(answer, AsyncPendingAction):
                interrupt(self._interrupt(answer))
                answer = await call()
            return answer

        answer = await acall_as_tool(call, when_pending)
        return str(answer), answer

    def _call(self, config: RunnableConfig, tool_call_id: str) -> tuple[str | None, str | None]:
        """Where a node calls the tool by itself, its place in the graph says which call it is: it is the same after a resume."""
        configurable = config.get("configurable", {})
        return tool_call_id or configurable.get("checkpoint_ns") or None, self._thread or configurable.get("thread_id")

    def _interrupt(self, waits: Pending) -> CountersignInterrupt:
        missing = waits.pending.missing or []
        return {
            "type": "countersign",
            "tool": self.name,
            "action_id": waits.action_id,
            "reason": waits.reason,
            "waiting_for": [each.roles for each in missing],
        }


def countersign_tool(
    cs: Countersign | AsyncCountersign,
    *,
    name: str,
    description: str,
    args_schema: type[Args],
    propose: Propose[Args],
    thread: str | None = None,
    on_pending: OnPending = "pause",
    timeout: float = 60,
) -> CountersignTool:
    """
    A tool of LangChain that proposes to Countersign. The model reads a ``ToolAnswer`` as JSON; the message's artifact is the same.

    :param propose: what a call comes to
    :param thread: the conversation, under a name that outlives this process. Default: the ``thread_id`` of the graph's config
    :param on_pending: default ``pause``: LangGraph's ``interrupt``, which needs a checkpointer
    :param timeout: how long a call waits for an outcome, or to know that people are needed. Seconds
    """
    # The model does not see it: LangChain puts the id of the call there.
    injected: Any = (Annotated[str, InjectedToolCallId], ...)
    schema = create_model(args_schema.__name__, __base__=args_schema, tool_call_id=injected)
    made = CountersignTool(name=name, description=description, args_schema=schema)
    if isinstance(cs, Countersign):
        made._sync = cs
    else:
        made._async = cs
    made._given = args_schema
    made._propose = propose
    made._thread = thread
    made._on_pending = on_pending
    made._timeout = timeout
    return made

"""
Tools for CrewAI. Needs the extra ``crewai``.

CrewAI cannot pause a crew in the middle of a tool call, and does not tell a tool which call it is. So a call whose action waits for people
waits, or the model is told; and within a thread the same tool with the same arguments is one action: a crew that is run again finds what
became of it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from crewai.tools import BaseTool, ToolFailure
from pydantic import BaseModel, PrivateAttr

from .client import Countersign
from .for_model import ToolAnswer
from .guard import Guarded, Propose, call_as_tool, guard, wait_or_tell

Args = TypeVar("Args", bound=BaseModel)

_NO_FAILURE = frozenset({"success", "pending", "open"})


class CountersignTool(BaseTool):
    """Made by ``countersign_tool``."""

    _guarded: Guarded = PrivateAttr()
    _given: type[BaseModel] = PrivateAttr()
    _thread: str = PrivateAttr()
    _on_pending: Literal["wait", "tell"] = PrivateAttr()
    _timeout: float = PrivateAttr()

    def _run(self, **given: Any) -> str | ToolFailure:
        args = self._given.model_validate(given)
        answer = call_as_tool(
            lambda: self._guarded(args, call_id=self.name, thread=self._thread, timeout=self._timeout),
            lambda pending: wait_or_tell(pending, self._on_pending),
        )
        return str(answer) if answer.status in _NO_FAILURE else _failure_of(answer)


def _failure_of(answer: ToolAnswer) -> ToolFailure:
    """The model reads the same; the crew knows that the call failed, as its own policy for failures wants to."""
    return ToolFailure(message=str(answer), details={"status": answer.status, "action_id": answer.action_id})


def _not_kept(_args: Any = None, _result: Any = None) -> bool:
    """CrewAI would answer a call from its cache, and not know that people have decided meanwhile."""
    return False


def countersign_tool(
    cs: Countersign,
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
    A tool of CrewAI that proposes to Countersign. The model reads a ``ToolAnswer`` as JSON.

    :param propose: what a call comes to. Where the same arguments shall mean another action, give it an ``action_id`` of its own
    :param thread: the task that the crew works on, under a name that outlives this process
    :param on_pending: default ``wait``; with ``tell`` go on with ``cs.outcome`` and run the crew again
    :param timeout: how long a call waits for an outcome, or to know that people are needed. Seconds
    """
    made = CountersignTool(name=name, description=description, args_schema=args_schema, cache_function=_not_kept)
    made._guarded = guard(cs, propose)
    made._given = args_schema
    made._thread = thread
    made._on_pending = on_pending
    made._timeout = timeout
    return made

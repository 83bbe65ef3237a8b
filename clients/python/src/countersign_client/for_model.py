"""What a model is told of its call: enough to go on, and what not to try."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .errors import CountersignError
from .models import Outcome, OutcomeStatus, PendingView

ToolStatus: TypeAlias = OutcomeStatus | Literal["pending", "open", "refused"]


class ToolAnswer(BaseModel):
    """JSON for the model: ``str(answer)``."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    status: ToolStatus
    """An outcome's; ``pending``: it waits for people; ``open``: it goes on; ``refused``: it could not be proposed like this."""
    action_id: str | None = None
    """None where no answer named the action: it was refused, or the wait for it ended."""
    reason: str
    result: Any = None
    """What the tool returned."""
    code: str | None = None
    """Why it did not succeed: one of docs/errors.md."""
    field: str | None = None
    """Where it is wrong, as a path from the root: ``proposal.input.where``."""
    expected: str | None = None
    """What would have been right there."""
    fix: str | None = None
    """What can be done about it."""
    retry_after_ms: float | None = None
    """When trying again is of use. Milliseconds from now."""
    failed_checks: list[str] | None = None
    """The checks that did not hold."""
    waiting_for: list[list[str]] | None = None
    """Who must decide first: any one of these roles, each."""
    expires_at: str | None = None
    """Until when they may decide. RFC 3339 UTC."""
    advice: str | None = None
    """What to do, and what not to."""

    def __str__(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True)


class Pending(Protocol):
    """An action that waits for people, of either client."""

    @property
    def status(self) -> Literal["pending"]: ...
    @property
    def action_id(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def pending(self) -> PendingView: ...


_ERROR = {"code", "field", "expected", "fix", "retry_after_ms"}

_UNCHANGED = "Do not repeat the call unchanged: it is refused again."

_ADVICE: dict[str, str] = {
    "denied": f"Nothing was done. {_UNCHANGED} Do something that is allowed, or tell the user why this cannot be done.",
    "expired": "Nothing was done: nobody decided in time. Ask the user whether it is still wanted.",
    "cancelled": "Nothing was done: it was cancelled. Do not propose it again unless the user asks for it.",
    "mismatch": (
        "It was done, and the system is not as was promised. Do not repeat it: look at the state, and tell the user."
    ),
    "unknown": (
        "It cannot be known whether it was done, and a person looks into it. Do not repeat it, and do not report it as done."
    ),
    "pending": "Not done yet: people decide first, and then it is done without another call. Do not repeat the call.",
    "open": "Not done yet: it goes on. Do not repeat the call with other arguments, and do not report it as done.",
    "refused": f"Nothing was done. Correct what is named and call again. {_UNCHANGED}",
}


_EDIT_PREFIX = "edit:"
"""Ids that begin so are given to what a person made of a proposal, and to nothing else."""


def was_refused(outcome: Outcome) -> bool:
    """Nothing was done, and the frameworks' own word for it is that somebody said no."""
    return outcome.status in ("denied", "expired", "cancelled")


def for_model(answer: Outcome | Pending) -> ToolAnswer:
    """:param answer: what ``perform`` or ``outcome`` answered"""
    if not isinstance(answer, Outcome):
        missing, expires = answer.pending.missing, answer.pending.expires_at
        return ToolAnswer(
            status="pending",
            action_id=answer.action_id,
            reason=answer.reason,
            waiting_for=None if missing is None else [each.roles for each in missing],
            expires_at=None if expires is None else expires.isoformat(),
            advice=_as_edited(answer.action_id, _ADVICE["pending"]),
        )
    told = {} if answer.error is None else answer.error.model_dump(include=_ERROR, exclude_none=True)
    return ToolAnswer(
        status=answer.status,
        action_id=answer.action_id,
        reason=answer.reason,
        result=answer.result,
        failed_checks=[check.name for check in answer.checks or [] if not check.ok] or None,
        advice=_as_edited(answer.action_id, _advice_for(answer)),
        **told,
    )


def _as_edited(action_id: str, advice: str | None) -> str | None:
    if not action_id.startswith(_EDIT_PREFIX):
        return advice
    edited = "A person changed what you proposed: this is about what they made of it."
    return edited if advice is None else f"{edited} {advice}"


def _advice_for(outcome: Outcome) -> str | None:
    error = outcome.error
    if outcome.revised_by is not None:
        return (
            "Nothing was done as it was proposed. A person changed it, "
            f"and it goes on as the action {outcome.revised_by}. Do not propose it again."
        )
    if error is not None and error.code == "CHANGES_REQUESTED":
        return (
            "Nothing was done: a person wants it changed. "
            f"Propose what the reason asks for; it revises {outcome.action_id}."
        )
    if outcome.status == "denied" and error is not None and error.retry_after_ms is not None:
        seconds = math.ceil(error.retry_after_ms / 1000)
        return f"Nothing was done. It may be allowed later, in {seconds} s; not before."
    return _ADVICE.get(outcome.status)


def invalid_arguments(error: ValidationError) -> ToolAnswer:
    """What the model is told of arguments that do not fit the tool's schema."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ToolAnswer(
        status="refused",
        code="INVALID_INPUT",
        reason="The arguments do not fit the tool's schema.",
        field=".".join(str(part) for part in first["loc"]),
        expected=first["msg"],
        advice=_ADVICE["refused"],
    )


def error_for_model(error: CountersignError) -> ToolAnswer | None:
    """What the model itself can do something about, or must know. Anything else is for whoever runs the agent: None."""
    if error.code == "EFFECT_UNKNOWN":
        return ToolAnswer(status="unknown", code=error.code, reason=error.message, advice=_ADVICE["unknown"])
    if error.code == "TIMED_OUT":
        return ToolAnswer(status="open", code=error.code, reason=error.message, advice=_ADVICE["open"])
    if error.status not in (400, 409, 413) and error.code != "SCOPE_DENIED":
        return None
    return ToolAnswer(
        status="refused",
        code=error.code,
        reason=error.message,
        field=error.field,
        expected=error.expected,
        fix=error.fix,
        advice=_ADVICE["refused"],
    )

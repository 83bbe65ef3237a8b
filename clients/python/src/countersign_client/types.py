"""What the client's methods take by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from .models import ActionStatus, Effect, Expect, NamedExpect, Source


class ProposalFields(TypedDict, total=False):
    """The fields of a ``Proposal``."""

    tool: Required[str]
    input: Required[Mapping[str, Any]]
    action_id: str | None
    expect: str | Expect | list[NamedExpect] | None
    expected_outcome: str | None
    reasoning: str | None
    revises: str | None
    trace_id: str | None
    on_mismatch: Literal["compensate", "keep"] | None
    claims: Mapping[str, str] | None
    from_: list[Source] | None


# By the names that the API has: `from` can be none of Python's.
ListFilter = TypedDict(
    "ListFilter",
    {
        "status": ActionStatus | Sequence[ActionStatus],
        "tool": str,
        "agent": str,
        "environment": str,
        "effect": Effect,
        "policy": str,
        "text": str,
        "from": str,
        "to": str,
        "cursor": str,
        "limit": int,
    },
    total=False,
)
"""
Which actions are listed. ``from`` and ``to`` are RFC 3339 times, of the end of those that have ended and of the proposal of those that are
open; ``limit`` is 1 to 200, default 25.
"""

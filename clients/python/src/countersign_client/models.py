"""What is proposed and what comes back: the shapes of the gateway's OpenAPI document, with names as Python writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

OutcomeStatus: TypeAlias = Literal["success", "mismatch", "failed", "denied", "expired", "cancelled", "unknown"]
ActionStatus: TypeAlias = Literal[
    "open", "pending", "success", "mismatch", "failed", "denied", "expired", "cancelled", "unknown"
]
Phase: TypeAlias = Literal["preparing", "queued", "pending", "executing", "verifying", "ended"]
Effect: TypeAlias = Literal["allow", "deny", "require_approval"]
ActionType: TypeAlias = Literal["READ", "WRITE", "DELETE", "CALL_API"]


class _Given(BaseModel):
    """What is sent: nothing that the gateway does not know."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Expect(_Given):
    cel: str
    """CEL over ``pre``, ``post``, ``delta`` and ``result``."""
    within_ms: int | None = None
    """How long the real system may take to show it. Milliseconds, default 0."""


class NamedExpect(Expect):
    name: str


class Source(_Given):
    """What led to a proposal: a prompt, a document, the result of a tool."""

    source: str
    trust: Literal["trusted", "untrusted"]
    """``untrusted``: somebody else may have written it."""


class Proposal(_Given):
    """A proposal as agent code writes it."""

    tool: str
    input: Mapping[str, Any]
    """The tool's own input."""
    action_id: str | None = None
    """Your idempotency key. Give one whenever the same action may be asked for again. Default: a random UUID."""
    expect: str | Expect | list[NamedExpect] | None = None
    """What must be true afterwards."""
    expected_outcome: str | None = None
    reasoning: str | None = None
    """Your own words, shown to people as such."""
    revises: str | None = None
    """The action that this one is proposed instead of, after a person asked for changes."""
    trace_id: str | None = None
    """Groups the actions of one task."""
    on_mismatch: Literal["compensate", "keep"] | None = None
    claims: Mapping[str, str] | None = None
    from_: list[Source] | None = Field(default=None, alias="from")
    """What led to it. People see it, and policy may ask for more because of it."""


class _Told(BaseModel):
    """What is answered: a newer gateway may say more."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)


class ReceiptRef(_Told):
    tenant: str
    seq: int
    hash: str


class ErrorView(_Told):
    """Why an outcome is not ``success``."""

    code: str
    message: str
    field: str | None = None
    expected: str | None = None
    fix: str | None = None
    retry_after_ms: float | None = None


class Check(_Told):
    name: str
    ok: bool


class OutcomePreview(_Told):
    rows: float
    targets: list[str]
    summary: str


class OutcomeDecision(_Told):
    effect: Effect
    reason: str


class OutcomeApproval(_Told):
    verdict: Literal["approve", "deny", "request_changes"]
    at: datetime


class OutcomeDelta(_Told):
    operations: float
    latency_ms: float


class OutcomeResolution(_Told):
    verdict: Literal["happened", "did_not_happen"]
    at: datetime


class Compensation(_Told):
    status: Literal["running", "success", "nothing", "accepted", "needs_person"]
    action_id: str | None = None


class Outcome(_Told):
    """How an action ended."""

    status: OutcomeStatus
    reason: str
    tenant: str
    action_id: str
    proposal_digest: str
    tool: str
    error: ErrorView | None = None
    action_type: ActionType | None = None
    operation: str | None = None
    environment: str | None = None
    preview: OutcomePreview | None = None
    decision: OutcomeDecision | None = None
    approvals: list[OutcomeApproval] | None = None
    checks: list[Check] | None = None
    delta: OutcomeDelta | None = None
    result: Any = None
    """What the tool returned. It is no evidence of the effect."""
    resolution: OutcomeResolution | None = None
    compensation: Compensation | None = None
    revised_by: str | None = None
    receipt: ReceiptRef | None = None
    steps: dict[str, float] | None = None


class Missing(_Told):
    """People who must still decide: any one of these roles, so many of them."""

    roles: list[str]
    have: int
    need: int


class PendingView(_Told):
    """Who an action waits for, as an agent may know it."""

    reason: str | None = None
    expires_at: datetime | None = None
    missing: list[Missing] | None = None


class Action(_Told):
    """What is known of an action now. ``open``: it has no outcome, and does not wait for people."""

    tenant: str
    action_id: str
    status: ActionStatus
    tool: str
    proposal_digest: str | None = None
    phase: Phase | None = None
    agent: str | None = None
    environment: str | None = None
    summary: str | None = None
    effect: Effect | None = None
    reason: str | None = None
    code: str | None = None
    proposed_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    cancel_requested: bool | None = None
    pending: PendingView | None = None
    outcome: Outcome | None = None
    error: ErrorView | None = None
    """In a batch: why nothing more is known of it now."""
    receipt: ReceiptRef | None = None
    revises: str | None = None


class ActionPage(_Told):
    actions: list[Action]
    next: str | None = None
    """The ``cursor`` of the page after this one; None at the end."""


class ChangedRows(_Told):
    inserted: int
    updated: int
    deleted: int


class DryRunPreview(_Told):
    rows: int
    targets: list[str]
    summary: str
    tables: dict[str, ChangedRows] | None = None


class Constraint(_Told):
    name: str
    value: str | float | bool


class Waits(_Told):
    """A limit leaves no room now, and the action would wait for some."""

    reason: str
    retry_after_ms: float


class DryRun(_Told):
    """What would become of a proposal."""

    effect: Effect
    """``deny``: also where something else than policy would end it before its effect."""
    reason: str
    tool: str
    proposal_digest: str
    error: ErrorView | None = None
    action_type: ActionType | None = None
    operation: str | None = None
    environment: str | None = None
    preview: DryRunPreview | None = None
    constraints: list[Constraint] | None = None
    missing: list[Missing] | None = None
    waits: Waits | None = None


class NotBegun(_Told):
    """A proposal of a batch that was not begun, and what would have become of it by itself or beside the others."""

    status: Literal["not_begun"]
    action_id: str
    decided: DryRun


class Batch(_Told):
    """What became of each proposal of a batch."""

    begun: bool
    """False: none was begun that was not begun before."""
    actions: list[Outcome | Action | NotBegun]


class SagaStep(_Told):
    """One action of a saga. ``waiting``: not begun; ``skipped``: never will be, because a step before it did not succeed."""

    action_id: str
    tool: str
    status: Literal[
        "waiting",
        "running",
        "skipped",
        "success",
        "mismatch",
        "failed",
        "denied",
        "expired",
        "cancelled",
        "unknown",
    ]
    reason: str | None = None
    error: ErrorView | None = None
    receipt: ReceiptRef | None = None


class SagaCompensation(_Told):
    """How the undoing of one action stands."""

    cause: str
    """The action that is undone."""
    status: Literal["running", "needs_person", "success", "nothing", "accepted"]
    action_id: str | None = None
    """The action that undid it, or tried to last."""
    receipt: ReceiptRef | None = None


class WaitsFor(_Told):
    """The action that waits for an approval, is unknown, or could not be undone."""

    action_id: str
    kind: Literal["approval", "unknown", "compensation"]
    reason: str


class Saga(_Told):
    """Several actions that succeed together or are undone: how they stand."""

    status: Literal["running", "compensating", "needs_person", "success", "compensated", "compensation_failed"]
    tenant: str
    trace_id: str
    digest: str
    reason: str
    steps: list[SagaStep]
    compensations: list[SagaCompensation]
    """In the order in which they were begun: the last step's first."""
    waits_for: WaitsFor | None = None


class Auth(_Told):
    method: str
    by: str


class Me(_Told):
    """Who the gateway knows you as."""

    kind: Literal["agent", "person"]
    id: str
    tenant: str
    roles: list[str]
    auth: Auth
    jti: str
    """By which your authority is revoked."""
    scopes: list[str] | None = None
    owner: str | None = None
    name: str | None = None
    csrf: str | None = Field(default=None, repr=False)

"""What is proposed and what comes back: the shapes of the gateway's OpenAPI document, with names as Python writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

OutcomeStatus: TypeAlias = Literal["success", "mismatch", "failed", "denied", "expired", "cancelled", "unknown"]
"""Only ``success`` is an effect that was verified; of ``unknown`` nobody can tell yet whether it happened."""
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
    """What must be true after the effect, and by when."""

    cel: str
    """CEL over ``pre``, ``post``, ``delta`` and ``result``."""
    within_ms: int | None = None
    """How long the real system may take to show it. Milliseconds from 0 to 600,000, default 0."""


class NamedExpect(Expect):
    """One of several expectations. Each is a check of its own, ``expect.<name>``."""

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
    """The outcome in your own words. Compared by meaning where the operator has a model for it, else recorded."""
    reasoning: str | None = None
    """Your own words, shown to people as such."""
    revises: str | None = None
    """The action that this one is proposed instead of, after a person asked for changes."""
    trace_id: str | None = None
    """Groups the actions of one task."""
    on_mismatch: Literal["compensate", "keep"] | None = None
    """Whether an effect that is not what was promised is undone, or left for somebody to look at. Default ``keep``."""
    claims: Mapping[str, str] | None = None
    """What you believe about where you are. Recorded and shown, never trusted: no policy reads it."""
    from_: list[Source] | None = Field(default=None, alias="from")
    """What led to it. People see it, and policy may ask for more because of it."""


class _Told(BaseModel):
    """What is answered: a newer gateway may say more."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)


class ReceiptRef(_Told):
    """The action's place in its tenant's chain of receipts."""

    tenant: str
    seq: int
    """Its number in the chain: from 1, without gaps."""
    hash: str


class ErrorView(_Told):
    """Why an outcome is not ``success``."""

    code: str
    message: str
    field: str | None = None
    """Where it is wrong, as a path from the root: ``proposal.input.where``."""
    expected: str | None = None
    """What would have been right there."""
    fix: str | None = None
    """What can be done about it."""
    retry_after_ms: float | None = None
    """When trying again is of use. Milliseconds from when the error was raised."""


class Check(_Told):
    """One thing that was checked after the effect."""

    name: str
    ok: bool


class OutcomePreview(_Told):
    """What it would touch, as it was decided on."""

    rows: float
    """How many rows or objects it would change or return."""
    targets: list[str]
    summary: str


class OutcomeDecision(_Told):
    """What policy decided of it."""

    effect: Effect
    reason: str


class OutcomeApproval(_Told):
    """What one person decided, without their name."""

    verdict: Literal["approve", "deny", "request_changes"]
    at: datetime


class OutcomeDelta(_Told):
    """What the effect changed."""

    operations: float
    """How many operations the whole difference has (RFC 6902)."""
    latency_ms: float
    """From the effect's start until the expected state was read back, milliseconds."""


class OutcomeResolution(_Told):
    """What a person said of an effect that could not be known."""

    verdict: Literal["happened", "did_not_happen"]
    at: datetime


class Compensation(_Told):
    """What became of undoing a mismatch, as far as it was known when the outcome was told."""

    status: Literal["running", "success", "nothing", "accepted", "needs_person"]
    action_id: str | None = None
    """The action that undid it, or tried to. None where it did not come to one."""


class Outcome(_Told):
    """How an action ended."""

    status: OutcomeStatus
    reason: str
    tenant: str
    action_id: str
    proposal_digest: str
    tool: str
    error: ErrorView | None = None
    """Why the status is not ``success``."""
    action_type: ActionType | None = None
    operation: str | None = None
    """The tool's name for what was done."""
    environment: str | None = None
    preview: OutcomePreview | None = None
    decision: OutcomeDecision | None = None
    """The last decision on it. None where it ended before policy was asked, and of what was denied."""
    approvals: list[OutcomeApproval] | None = None
    """What people decided on it."""
    checks: list[Check] | None = None
    """What was checked after the effect."""
    delta: OutcomeDelta | None = None
    """What changed. None where there was no effect to look at."""
    result: Any = None
    """What the tool returned. It is no evidence of the effect."""
    resolution: OutcomeResolution | None = None
    """Where a person resolved what could not be known."""
    compensation: Compensation | None = None
    """Where a mismatch is compensated."""
    revised_by: str | None = None
    """The action that is done instead, where a person changed what was proposed."""
    receipt: ReceiptRef | None = None
    steps: dict[str, float] | None = None
    """Milliseconds of each step."""


class Missing(_Told):
    """People who must still decide: any one of these roles, so many of them."""

    roles: list[str]
    have: int
    """How many different people have approved."""
    need: int
    """How many it takes."""


class PendingView(_Told):
    """Who an action waits for, as an agent may know it."""

    reason: str | None = None
    """Why people are asked."""
    expires_at: datetime | None = None
    """Until when they may decide."""
    missing: list[Missing] | None = None
    """Whose approval is missing."""


class Action(_Told):
    """What is known of an action now. ``open``: it has no outcome, and does not wait for people."""

    tenant: str
    action_id: str
    status: ActionStatus
    tool: str
    proposal_digest: str | None = None
    phase: Phase | None = None
    """Where it stands. None in lists."""
    agent: str | None = None
    """Who proposed it. None where it ended before that was known."""
    environment: str | None = None
    summary: str | None = None
    """One line on what it would touch. None where it ended before that was known."""
    effect: Effect | None = None
    """Of the decision, once it has ended or people are asked."""
    reason: str | None = None
    """Why it ended as it did, or why people are asked. None before."""
    code: str | None = None
    """Why it did not succeed, once it has ended: one of docs/errors.md."""
    proposed_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    cancel_requested: bool | None = None
    """Whether it was asked to stop. None in lists."""
    pending: PendingView | None = None
    outcome: Outcome | None = None
    """Once it has ended. None in lists."""
    error: ErrorView | None = None
    """In a batch: why nothing more is known of it now."""
    receipt: ReceiptRef | None = None
    revises: str | None = None
    """The action that it is proposed instead of, where people were asked about it."""


class ActionPage(_Told):
    """One page of actions."""

    actions: list[Action]
    next: str | None = None
    """The ``cursor`` of the page after this one; None at the end."""


class ChangedRows(_Told):
    """How many rows of a table it changed when it was tried and rolled back."""

    inserted: int
    updated: int
    deleted: int


class DryRunPreview(_Told):
    """What it would touch, by names and numbers."""

    rows: int
    """How many rows or objects it would change or return."""
    targets: list[str]
    summary: str
    tables: dict[str, ChangedRows] | None = None
    """By table, where the tool rehearses."""


class Constraint(_Told):
    """An obligation that a decision puts on execution."""

    name: str
    value: str | float | bool
    """In the name's unit: ``maxRows`` counts rows."""


class Waits(_Told):
    """A limit leaves no room now, and the action would wait for some."""

    reason: str
    retry_after_ms: float
    """When there may be room. Milliseconds from now."""


class DryRun(_Told):
    """What would become of a proposal."""

    effect: Effect
    """``deny``: also where something else than policy would end it before its effect."""
    reason: str
    tool: str
    proposal_digest: str
    error: ErrorView | None = None
    """Of a ``deny``: what the outcome would be refused with."""
    action_type: ActionType | None = None
    """What the tool makes of the input. This and what is below it is told only where it is no ``deny``."""
    operation: str | None = None
    """The tool's name for what would be done."""
    environment: str | None = None
    preview: DryRunPreview | None = None
    constraints: list[Constraint] | None = None
    missing: list[Missing] | None = None
    """Of a ``require_approval``: who would have to approve. Empty where standing approvals are enough."""
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
    """In the order of the proposals: its outcome, the action as it stands, or why it was not begun."""


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
    """That of its outcome. None until it has one."""
    error: ErrorView | None = None
    """Why it did not succeed."""
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
    """Of which proposals it consists of."""
    reason: str
    steps: list[SagaStep]
    compensations: list[SagaCompensation]
    """In the order in which they were begun: the last step's first."""
    waits_for: WaitsFor | None = None


class Auth(_Told):
    """How the gateway knows, and by whom."""

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
    """Of agents: the tools, and operations of tools, that they may name."""
    owner: str | None = None
    """Of agents: the person who answers for them, if any."""
    name: str | None = None
    """Of people: for people to read."""
    csrf: str | None = Field(default=None, repr=False)
    """Of people: to be sent with whatever changes something."""

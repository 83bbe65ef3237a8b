"""
What the client does, without doing it: generators that yield requests and pauses. The sync and the async client carry them out, so that
both do the same.
"""

from __future__ import annotations

import email.utils
import random
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

import httpx

from .errors import CLIENT_CODES, CountersignError
from .models import Action, Batch, NotBegun, Outcome, Proposal, Saga

T = TypeVar("T")

POLL_SECONDS = 30
"""The longest that one request asks to wait: what stands between may close what is silent for a minute."""

_LEAST_PAUSE = 1.0
"""A gateway that is being stopped answers sooner than it was asked to: it is not asked at once again."""

_BEGINS_WITHIN = 10.0

_PASSING = frozenset({429, 502, 503, 504})
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    json: Any = None
    params: Mapping[str, str] | None = None
    wait_seconds: int = 0


@dataclass(frozen=True)
class Pause:
    seconds: float


Step: TypeAlias = "Request | Pause"
Sent: TypeAlias = "httpx.Response | httpx.TransportError | None"
Flow: TypeAlias = "Generator[Step, Sent, T]"


def send(request: Request, retries: int, deadline: float = float("inf")) -> Flow[tuple[int, Any]]:
    """Sends it until it is answered, or will not be. Whatever is sent must be safe to send twice."""
    failures = 0
    while True:
        sent = yield request
        try:
            return _answer_of(sent)
        except CountersignError as error:
            failures += 1
            if not error.retryable or failures > retries:
                raise
            pause = error.retry_after if error.retry_after is not None else _back_off(failures)
            if time.monotonic() + pause >= deadline:
                raise
            yield Pause(pause)


@dataclass(frozen=True)
class Waiting:
    deadline: float
    """By ``time.monotonic()``."""
    retries: int
    follow_edits: bool


def perform(proposal: Proposal, waiting: Waiting) -> Flow[Outcome | Action]:
    """Answers with the outcome, or with the action that waits for people."""
    body = body_of(proposal)
    action_id = body["actionId"]
    while True:
        # Proposing it again tells of people that it waits for as well, which waiting for its outcome does not.
        asked_at = time.monotonic()
        request = Request("POST", "/v1/actions", json=body, wait_seconds=_wait_until(waiting.deadline))
        status, answer = yield from send(request, waiting.retries, waiting.deadline)
        if status == 200:
            return (yield from _ended(Outcome.model_validate(answer), waiting))
        action = Action.model_validate(answer)
        if action.status == "pending":
            return action
        yield from _pause(asked_at, action_id, waiting.deadline)


def perform_all(proposals: list[Proposal], waiting: Waiting) -> Flow[tuple[bool, list[Outcome | Action | NotBegun]]]:
    """Answers whether they were begun, and with each one's outcome, the action that goes on or waits, or why it was not begun."""
    body = {"proposals": [body_of(proposal) for proposal in proposals]}
    while True:
        asked_at = time.monotonic()
        request = Request("POST", "/v1/batches", json=body, wait_seconds=_wait_until(waiting.deadline))
        _, answer = yield from send(request, waiting.retries, waiting.deadline)
        batch = Batch.model_validate(answer)
        if any(one.status == "open" for one in batch.actions):
            yield from _breathe(asked_at, waiting.deadline)
            if time.monotonic() < waiting.deadline:
                continue
        actions: list[Outcome | Action | NotBegun] = []
        for one in batch.actions:
            actions.append((yield from _ended(one, waiting)) if isinstance(one, Outcome) else one)
        return batch.begun, actions


def saga(trace_id: str, steps: list[Proposal], waiting: Waiting) -> Flow[Saga]:
    """Answers when it has ended, or as soon as it waits for a person."""
    body = {"traceId": trace_id, "steps": [_body(step) for step in steps]}
    while True:
        # Proposing it again tells that it waits for a person as well, which waiting for its end does not.
        asked_at = time.monotonic()
        request = Request("POST", "/v1/sagas", json=body, wait_seconds=_wait_until(waiting.deadline))
        status, answer = yield from send(request, waiting.retries, waiting.deadline)
        told = Saga.model_validate(answer)
        if status == 200 or told.status == "needs_person":
            return told
        yield from _pause(asked_at, trace_id, waiting.deadline)


def saga_outcome(trace_id: str, waiting: Waiting) -> Flow[Saga]:
    """Answers with the end, however long people take."""
    while True:
        asked_at = time.monotonic()
        request = Request("GET", saga_path(trace_id), wait_seconds=_wait_until(waiting.deadline))
        status, answer = yield from send(request, waiting.retries, waiting.deadline)
        if status == 200:
            return Saga.model_validate(answer)
        yield from _pause(asked_at, trace_id, waiting.deadline)


def outcome(action_id: str, waiting: Waiting) -> Flow[Outcome]:
    """Answers with the outcome, however long people take."""
    while True:
        asked_at = time.monotonic()
        request = Request("GET", f"{path_of(action_id)}/outcome", wait_seconds=_wait_until(waiting.deadline))
        status, answer = yield from send(request, waiting.retries, waiting.deadline)
        if status == 200:
            ended = yield from _ended(Outcome.model_validate(answer), waiting)
            if isinstance(ended, Outcome):
                return ended
            action_id = ended.action_id
        yield from _pause(asked_at, action_id, waiting.deadline)


def _ended(ended: Outcome, waiting: Waiting) -> Flow[Outcome | Action]:
    """Where a person changed it, and that is followed: what is done in the end, or the action that waits for people."""
    while waiting.follow_edits and ended.revised_by is not None:
        begun = yield from _begun(ended.revised_by, waiting)
        if begun is None:
            return ended
        if isinstance(begun, Action):
            return begun
        ended = begun
    return ended


def _begun(action_id: str, waiting: Waiting) -> Flow[Outcome | Action | None]:
    """
    The end of the first action is recorded before the other begins, so it may not be there yet. None where it never begins, because the
    first one's workflow was ended from outside.
    """
    given_up = time.monotonic() + _BEGINS_WITHIN
    wait_seconds = 0
    while True:
        asked_at = time.monotonic()
        request = Request("GET", f"{path_of(action_id)}/outcome", wait_seconds=wait_seconds)
        try:
            status, answer = yield from send(request, waiting.retries, waiting.deadline)
        except CountersignError as error:
            if error.code != "NOT_FOUND":
                raise
            if time.monotonic() >= given_up:
                return None
            yield Pause(_FIRST_PAUSE)
            continue
        if status == 200:
            return Outcome.model_validate(answer)
        action = Action.model_validate(answer)
        if action.status == "pending":
            return action
        if wait_seconds > 0:
            yield from _pause(asked_at, action_id, waiting.deadline)
        # Whether it waits for people is told no sooner than the time to wait is over.
        wait_seconds = 1


def path_of(action_id: str) -> str:
    return f"/v1/actions/{quote(action_id, safe='')}"


def body_of(proposal: Proposal) -> dict[str, Any]:
    body = _body(proposal)
    body.setdefault("actionId", str(uuid.uuid4()))
    return body


def _body(proposal: Proposal) -> dict[str, Any]:
    return proposal.model_dump(mode="json", by_alias=True, exclude_none=True) | {"input": dict(proposal.input)}


def _breathe(asked_at: float, deadline: float) -> Flow[None]:
    """Before it is asked again."""
    now = time.monotonic()
    seconds = min(_LEAST_PAUSE - (now - asked_at), deadline - now)
    if seconds > 0:
        yield Pause(seconds)


def saga_path(trace_id: str) -> str:
    return f"/v1/sagas/{quote(trace_id, safe='')}"


def _pause(asked_at: float, id: str, deadline: float) -> Flow[None]:
    """Before it is asked again. :raises CountersignError: TIMED_OUT"""
    yield from _breathe(asked_at, deadline)
    if time.monotonic() >= deadline:
        raise _timed_out(id)


def _wait_until(deadline: float) -> int:
    return int(max(0, min(POLL_SECONDS, deadline - time.monotonic())))


def _back_off(failures: int) -> float:
    """Doubles with every failure; the jitter keeps many clients from coming back at once."""
    most = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1))
    return float(most / 2 + most / 2 * random.random())


def _answer_of(sent: Sent) -> tuple[int, Any]:
    if not isinstance(sent, httpx.Response):
        raise CountersignError(
            "GATEWAY_UNAVAILABLE",
            CLIENT_CODES["GATEWAY_UNAVAILABLE"],
            field="url",
            fix="Check COUNTERSIGN_GATEWAY_URL and the network. The same call with the same action_id is safe to repeat.",
            retryable=True,
        ) from sent
    status = sent.status_code
    body = _json_of(sent)
    if 200 <= status < 300 and isinstance(body, dict):
        return status, body
    after = _retry_after(sent.headers.get("retry-after"))
    retryable = status in _PASSING or after is not None
    if status >= 400 and isinstance(body, dict) and isinstance(body.get("code"), str):
        told = {
            name: body[name] for name in ("field", "expected", "fix", "instance") if isinstance(body.get(name), str)
        }
        message = str(body.get("detail", body["code"]))
        raise CountersignError(body["code"], message, status=status, retryable=retryable, retry_after=after, **told)
    code = "GATEWAY_UNAVAILABLE" if retryable else "UNEXPECTED_ANSWER"
    raise CountersignError(
        code,
        f"{CLIENT_CODES[code]} It answered with HTTP status {status}.",
        field="url",
        expected="the address of a gateway",
        fix="Check COUNTERSIGN_GATEWAY_URL, and what stands between: a proxy may have answered.",
        status=status,
        retryable=retryable,
        retry_after=after,
    )


def _json_of(response: httpx.Response) -> Any:
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        return response.json()
    except ValueError:
        return None


def _retry_after(header: str | None) -> float | None:
    """Seconds or a date (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        at = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _timed_out(id: str) -> CountersignError:
    return CountersignError(
        "TIMED_OUT",
        f"No answer on {id} in time; it goes on regardless.",
        fix=f"Ask again with the same id ({id}): that is safe.",
        retryable=True,
    )

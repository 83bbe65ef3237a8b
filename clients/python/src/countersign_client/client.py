"""What agent code imports: propose an action and get its outcome, or learn that people are needed first."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeGuard, TypeVar, Unpack

import httpx

from . import _flow
from ._flow import Flow, Pause, Request, Waiting
from ._settings import AsyncToken, ClientOptions, Token, authorization_of, settings_of
from .models import Action, ActionPage, DryRun, Me, NotBegun, Outcome, PendingView, Proposal, Saga
from .types import ListFilter, ProposalFields

T = TypeVar("T")


@dataclass(frozen=True)
class _Pending:
    tenant: str
    action_id: str
    reason: str
    pending: PendingView
    follow_edits: bool = False
    """Whether ``outcome`` follows to what a person made of it."""
    status: Literal["pending"] = "pending"


@dataclass(frozen=True)
class PendingAction(_Pending):
    """An action that waits for people."""

    _client: Countersign | None = None

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Waits for the end, however long people take. Raises TIMED_OUT after ``timeout`` seconds, if given."""
        assert self._client is not None
        return self._client.outcome(self.action_id, timeout=timeout, follow_edits=self.follow_edits)


@dataclass(frozen=True)
class AsyncPendingAction(_Pending):
    """An action that waits for people."""

    _client: AsyncCountersign | None = None

    async def outcome(self, timeout: float | None = None) -> Outcome:
        """Waits for the end, however long people take. Raises TIMED_OUT after ``timeout`` seconds, if given."""
        assert self._client is not None
        return await self._client.outcome(self.action_id, timeout=timeout, follow_edits=self.follow_edits)


@dataclass(frozen=True)
class BatchAnswer:
    """What became of a batch: of each of its actions, in the order of the proposals."""

    begun: bool
    """False: none was begun that was not begun before."""
    actions: list[Outcome | PendingAction | Action | NotBegun]
    """An ``Action`` goes on (``open``): ask for its outcome."""


@dataclass(frozen=True)
class AsyncBatchAnswer:
    """What became of a batch: of each of its actions, in the order of the proposals."""

    begun: bool
    """False: none was begun that was not begun before."""
    actions: list[Outcome | AsyncPendingAction | Action | NotBegun]
    """An ``Action`` goes on (``open``): ask for its outcome."""


def _is_pending(one: Outcome | Action | NotBegun) -> TypeGuard[Action]:
    return isinstance(one, Action) and one.status == "pending"


def _proposals(given: Iterable[ProposalFields]) -> list[Proposal]:
    return [Proposal.model_validate(fields) for fields in given]


def _dry_run(fields: ProposalFields) -> Request:
    return Request("POST", "/v1/dry-runs", json=_flow.body_of(Proposal.model_validate(fields)))


def _told(action: Action, follow_edits: bool) -> dict[str, Any]:
    pending = action.pending or PendingView()
    return {
        "tenant": action.tenant,
        "action_id": action.action_id,
        "reason": pending.reason or action.reason or "It waits for people.",
        "pending": pending,
        "follow_edits": follow_edits,
    }


class _Client:
    def __init__(self, token: AsyncToken | None, options: ClientOptions) -> None:
        self._settings = settings_of(token, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(url={self._settings.url!r})"

    def _request(self, request: Request, token: str) -> dict[str, Any]:
        params = dict(request.params or {})
        if request.wait_seconds:
            params["wait"] = str(request.wait_seconds)
        headers = httpx.Headers(dict(self._settings.headers()))
        headers["accept"] = "application/json, application/problem+json"
        headers["authorization"] = authorization_of(token)
        return {
            "method": request.method,
            "url": f"{self._settings.url}{request.path}",
            "params": params,
            "json": request.json,
            "headers": headers,
            "timeout": request.wait_seconds + self._settings.request_timeout,
            # Whoever redirects is no gateway, and the token is not for wherever it leads.
            "follow_redirects": False,
        }

    @property
    def _retries(self) -> int:
        return self._settings.retries

    def _waiting(self, timeout: float | None, follow_edits: bool) -> Waiting:
        return Waiting(time.monotonic() + (float("inf") if timeout is None else timeout), self._retries, follow_edits)


def _listing(filter: Mapping[str, Any]) -> Request:
    given = {name: value for name, value in filter.items() if value is not None}
    params = {name: value if isinstance(value, str) else _joined(value) for name, value in given.items()}
    return Request("GET", "/v1/actions", params=params)


def _joined(value: Any) -> str:
    return ",".join(value) if isinstance(value, (list, tuple)) else str(value)


class Countersign(_Client):
    """The gateway, as one agent uses it. Safe to use from several threads."""

    def __init__(
        self, *, token: Token | None = None, http: httpx.Client | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        """
        :param token: an API key (``csa_…``) or a token of an issuer that the gateway knows; a function is asked before every request.
            Default: COUNTERSIGN_API_KEY
        :param http: default: a client of its own, which ``close`` closes
        :param options: ``url`` and others
        :raises CountersignError: CONFIG_INVALID
        """
        super().__init__(token, options)
        self._own = http is None
        self._http = http or httpx.Client()

    def perform(
        self, *, timeout: float = 60, follow_edits: bool = False, **fields: Unpack[ProposalFields]
    ) -> Outcome | PendingAction:
        """
        Proposes an action and waits for its outcome, or until it is known that people are needed first. Calling it again with the same
        proposal and ``action_id`` returns the recorded outcome and has no second effect; after a failure of the network that is done here.

        A refusal is an outcome (``denied``), not an exception.

        :param timeout: seconds
        :param follow_edits: where a person changed the proposal (``revised_by``), answers with what became of the action that is done
            instead, which has its own ``action_id``
        :raises CountersignError: INVALID_PROPOSAL and its kin; ACTION_CONFLICT; UNAUTHENTICATED; TIMED_OUT, GATEWAY_UNAVAILABLE and
            what else is ``retryable``: the same call is safe to repeat
        """
        answer = self._run(_flow.perform(Proposal.model_validate(fields), self._waiting(timeout, follow_edits)))
        return answer if isinstance(answer, Outcome) else PendingAction(**_told(answer, follow_edits), _client=self)

    def perform_all(
        self, proposals: Iterable[ProposalFields], *, timeout: float = 60, follow_edits: bool = False
    ) -> BatchAnswer:
        """
        Proposes up to 20 actions that are decided together: where policy denies one of them, or limits have no room for all, none is begun,
        and the answer says of each what would have become of it (``not_begun``). Else all are begun at once, in no order, and each has its
        own outcome, waits for people (``pending``) or goes on when the time is over (``open``). Nothing is held until each is authorized, so
        one of them may still be denied then.

        What was begun before is not decided again: calling it again with the same proposals and ``action_id``s is safe.

        :param timeout: seconds
        :param follow_edits: as for ``perform``
        :raises CountersignError: as ``perform`` does
        """
        begun, actions = self._run(_flow.perform_all(_proposals(proposals), self._waiting(timeout, follow_edits)))
        told: list[Outcome | PendingAction | Action | NotBegun] = [
            PendingAction(**_told(one, follow_edits), _client=self) if _is_pending(one) else one for one in actions
        ]
        return BatchAnswer(begun, told)

    def dry_run(self, **fields: Unpack[ProposalFields]) -> DryRun:
        """
        Tells what would become of a proposal if it were made now. It has no effect and leaves nothing behind, and the answer holds nothing.
        What would be refused is an answer (``deny``), not an exception.

        :raises CountersignError: INVALID_PROPOSAL and its kin; UNAUTHENTICATED; TIMED_OUT, GATEWAY_UNAVAILABLE and what else is ``retryable``
        """
        return DryRun.model_validate(self._send(_dry_run(fields)))

    def outcome(self, action_id: str, *, timeout: float | None = None, follow_edits: bool = False) -> Outcome:
        """
        Waits for an action's end, however long people take.

        :param timeout: seconds, default none
        :param follow_edits: as for ``perform``
        :raises CountersignError: NOT_FOUND, TIMED_OUT
        """
        return self._run(_flow.outcome(action_id, self._waiting(timeout, follow_edits)))

    def saga(self, trace_id: str, steps: Iterable[ProposalFields], *, timeout: float = 60) -> Saga:
        """
        Proposes several actions that shall succeed together. They are done in order; when one does not succeed, those that were done are
        undone in reverse order, each as an action of its own. Answers when it has ended, or as soon as it waits for a person
        (``needs_person``): then ``saga_outcome`` waits for its end. It goes on without this process; calling it again with the same steps
        and ``trace_id``, from any process, returns what became of it.

        :param steps: proposals without ``trace_id`` and ``on_mismatch``. Default of an ``action_id``: ``<trace_id>:<n>``
        :param timeout: seconds
        :raises CountersignError: INVALID_PROPOSAL and its kin; ACTION_CONFLICT for other steps; UNAUTHENTICATED; TIMED_OUT,
            GATEWAY_UNAVAILABLE and what else is ``retryable``: the same call is safe to repeat
        """
        return self._run(_flow.saga(trace_id, _proposals(steps), self._waiting(timeout, False)))

    def saga_outcome(self, trace_id: str, *, timeout: float | None = None) -> Saga:
        """
        Waits for a saga's end, however long people take.

        :param timeout: seconds, default none
        :raises CountersignError: NOT_FOUND, TIMED_OUT
        """
        return self._run(_flow.saga_outcome(trace_id, self._waiting(timeout, False)))

    def saga_view(self, trace_id: str) -> Saga:
        """How a saga stands now. :raises CountersignError: NOT_FOUND"""
        return Saga.model_validate(self._send(Request("GET", _flow.saga_path(trace_id))))

    def cancel_saga(self, trace_id: str) -> None:
        """Asks a saga to stop: the next step is not done, and what was done is undone. :raises CountersignError: NOT_FOUND"""
        self._send(Request("POST", f"{_flow.saga_path(trace_id)}/cancel"))

    def view(self, action_id: str) -> Action:
        """What is known of an action now. :raises CountersignError: NOT_FOUND"""
        return Action.model_validate(self._send(Request("GET", _flow.path_of(action_id))))

    def list(self, **filter: Unpack[ListFilter]) -> ActionPage:
        """One page of your actions, and of those of agents below you: open ones first, the latest first."""
        return ActionPage.model_validate(self._send(_listing(filter)))

    def cancel(self, action_id: str) -> None:
        """Asks an action to stop. Before its effect it is ``cancelled``; during it, the truth is found out; after it nothing happens."""
        self._send(Request("POST", f"{_flow.path_of(action_id)}/cancel"))

    def me(self) -> Me:
        """Who the gateway knows you as. :raises CountersignError: UNAUTHENTICATED"""
        return Me.model_validate(self._send(Request("GET", "/v1/me")))

    def close(self) -> None:
        """Closes the HTTP client, unless it was given."""
        if self._own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, request: Request) -> Any:
        return self._run(_flow.send(request, self._retries))[1]

    def _run(self, flow: Flow[T]) -> T:
        sent: _flow.Sent = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                sent = None
            else:
                sent = self._once(step)

    def _once(self, request: Request) -> httpx.Response | httpx.TransportError:
        token = self._settings.token
        known = token if isinstance(token, str) else token()
        assert isinstance(known, str)
        try:
            return self._http.request(**self._request(request, known))
        except httpx.TransportError as error:
            return error


class AsyncCountersign(_Client):
    """The gateway, as one agent uses it, for asyncio."""

    def __init__(
        self,
        *,
        token: AsyncToken | None = None,
        http: httpx.AsyncClient | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """As ``Countersign``; the function that tells the token may be async."""
        super().__init__(token, options)
        self._own = http is None
        self._http = http or httpx.AsyncClient()

    async def perform(
        self, *, timeout: float = 60, follow_edits: bool = False, **fields: Unpack[ProposalFields]
    ) -> Outcome | AsyncPendingAction:
        """As ``Countersign.perform``."""
        answer = await self._run(_flow.perform(Proposal.model_validate(fields), self._waiting(timeout, follow_edits)))
        return (
            answer if isinstance(answer, Outcome) else AsyncPendingAction(**_told(answer, follow_edits), _client=self)
        )

    async def perform_all(
        self, proposals: Iterable[ProposalFields], *, timeout: float = 60, follow_edits: bool = False
    ) -> AsyncBatchAnswer:
        """As ``Countersign.perform_all``."""
        begun, actions = await self._run(_flow.perform_all(_proposals(proposals), self._waiting(timeout, follow_edits)))
        told: list[Outcome | AsyncPendingAction | Action | NotBegun] = [
            AsyncPendingAction(**_told(one, follow_edits), _client=self) if _is_pending(one) else one for one in actions
        ]
        return AsyncBatchAnswer(begun, told)

    async def dry_run(self, **fields: Unpack[ProposalFields]) -> DryRun:
        """As ``Countersign.dry_run``."""
        return DryRun.model_validate(await self._send(_dry_run(fields)))

    async def outcome(self, action_id: str, *, timeout: float | None = None, follow_edits: bool = False) -> Outcome:
        """As ``Countersign.outcome``."""
        return await self._run(_flow.outcome(action_id, self._waiting(timeout, follow_edits)))

    async def saga(self, trace_id: str, steps: Iterable[ProposalFields], *, timeout: float = 60) -> Saga:
        """As ``Countersign.saga``."""
        return await self._run(_flow.saga(trace_id, _proposals(steps), self._waiting(timeout, False)))

    async def saga_outcome(self, trace_id: str, *, timeout: float | None = None) -> Saga:
        """As ``Countersign.saga_outcome``."""
        return await self._run(_flow.saga_outcome(trace_id, self._waiting(timeout, False)))

    async def saga_view(self, trace_id: str) -> Saga:
        """As ``Countersign.saga_view``."""
        return Saga.model_validate(await self._send(Request("GET", _flow.saga_path(trace_id))))

    async def cancel_saga(self, trace_id: str) -> None:
        """As ``Countersign.cancel_saga``."""
        await self._send(Request("POST", f"{_flow.saga_path(trace_id)}/cancel"))

    async def view(self, action_id: str) -> Action:
        """As ``Countersign.view``."""
        return Action.model_validate(await self._send(Request("GET", _flow.path_of(action_id))))

    async def list(self, **filter: Unpack[ListFilter]) -> ActionPage:
        """As ``Countersign.list``."""
        return ActionPage.model_validate(await self._send(_listing(filter)))

    async def cancel(self, action_id: str) -> None:
        """As ``Countersign.cancel``."""
        await self._send(Request("POST", f"{_flow.path_of(action_id)}/cancel"))

    async def me(self) -> Me:
        """As ``Countersign.me``."""
        return Me.model_validate(await self._send(Request("GET", "/v1/me")))

    async def close(self) -> None:
        """As ``Countersign.close``."""
        if self._own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, request: Request) -> Any:
        return (await self._run(_flow.send(request, self._retries)))[1]

    async def _run(self, flow: Flow[T]) -> T:
        sent: _flow.Sent = None
        while True:
            try:
                step = flow.send(sent)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                sent = None
            else:
                sent = await self._once(step)

    async def _once(self, request: Request) -> httpx.Response | httpx.TransportError:
        token = self._settings.token
        known = token if isinstance(token, str) else token()
        if inspect.isawaitable(known):
            known = await known
        try:
            return await self._http.request(**self._request(request, known))
        except httpx.TransportError as error:
            return error

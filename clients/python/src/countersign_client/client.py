"""What agent code imports: propose an action and get its outcome, or learn that people are needed first."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

import httpx

from . import _flow
from ._flow import Flow, Pause, Request, Waiting
from ._settings import AsyncToken, ClientOptions, Token, authorization_of, settings_of
from .models import Action, ActionPage, Me, Outcome, PendingView, Proposal
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

    def outcome(self, action_id: str, *, timeout: float | None = None, follow_edits: bool = False) -> Outcome:
        """
        Waits for an action's end, however long people take.

        :param timeout: seconds, default none
        :param follow_edits: as for ``perform``
        :raises CountersignError: NOT_FOUND, TIMED_OUT
        """
        return self._run(_flow.outcome(action_id, self._waiting(timeout, follow_edits)))

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

    async def outcome(self, action_id: str, *, timeout: float | None = None, follow_edits: bool = False) -> Outcome:
        """As ``Countersign.outcome``."""
        return await self._run(_flow.outcome(action_id, self._waiting(timeout, follow_edits)))

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

"""The client against a real gateway: what it asks for and answers, and what it does when the network, the gateway or its caller fails."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from countersign_client import (
    AsyncCountersign,
    AsyncPendingAction,
    Countersign,
    CountersignError,
    NotBegun,
    Outcome,
    PendingAction,
    ProposalFields,
)

from .conftest import GATEWAY, TOKEN, count, decide, edit_to, rows_of, sql


def noted(id: int, action_id: str | None = None) -> ProposalFields:
    row = {"id": id, "note": "seen"}
    return {"tool": "shop-db", "input": {"op": "insert", "table": "notes", "rows": [row]}, "action_id": action_id}


def stale(note: str) -> ProposalFields:
    rows_of("sessions", note, 120)
    delete = {"op": "delete", "table": "sessions", "where": {"note": note}}
    return {"tool": "shop-db", "input": delete, "action_id": note}


def test_an_action_is_done_and_the_same_call_again_returns_what_is_recorded(cs: Countersign) -> None:
    first: ProposalFields = {**noted(9001, "py-note-1"), "trace_id": "py-task", "reasoning": "It was seen."}
    again: ProposalFields = {**noted(9001, "py-note-1"), "reasoning": "In other words."}
    one = cs.perform(**first)
    assert isinstance(one, Outcome)
    assert one.status == "success"
    assert one.receipt is not None
    assert cs.perform(**again) == one
    assert cs.outcome("py-note-1") == one
    assert cs.view("py-note-1").outcome == one
    assert [action.action_id for action in cs.list(text="py-note-1", status=["success", "failed"]).actions] == [
        "py-note-1"
    ]


def test_a_denial_is_an_outcome(cs: Countersign) -> None:
    answer = cs.perform(tool="shop-db", input={"op": "delete", "table": "users", "where": {"note": "x"}})
    assert isinstance(answer, Outcome)
    assert answer.status == "denied"
    assert answer.error is not None
    assert answer.error.code == "POLICY_DENIED"


def test_an_action_waits_for_people_and_ends_when_they_decide(cs: Countersign) -> None:
    answer = cs.perform(**stale("py-wait-1"))
    assert isinstance(answer, PendingAction)
    assert answer.pending.missing is not None
    assert answer.pending.missing[0].roles == ["dba"]
    with pytest.raises(CountersignError) as late:
        answer.outcome(timeout=0.3)
    assert (late.value.code, late.value.retryable) == ("TIMED_OUT", True)
    decide("approve")
    assert answer.outcome().status == "success"
    assert count("sessions", "py-wait-1") == 0


async def test_the_async_client_does_the_same(acs: AsyncCountersign) -> None:
    assert (await acs.me()).id == "agent-1"
    answer = await acs.perform(**stale("py-wait-2"))
    assert isinstance(answer, AsyncPendingAction)
    waiting = asyncio.create_task(answer.outcome())
    await asyncio.to_thread(decide, "deny", reason="They are still needed.")
    outcome = await waiting
    assert outcome.status == "denied"
    assert "They are still needed." in outcome.reason
    assert (await acs.view("py-wait-2")).status == "denied"
    assert len((await acs.list(limit=1)).actions) == 1


def test_what_a_person_changed_is_followed_where_that_is_asked_for(cs: Countersign) -> None:
    fields = stale("py-edit")
    answer = cs.perform(**fields)
    assert isinstance(answer, PendingAction)
    instead = decide("request_changes", reason="Not all of them.", edit=edit_to(115, "py-edit"))
    assert (answer.outcome().status, answer.outcome().revised_by) == ("denied", instead)
    changed = cs.perform(**fields, follow_edits=True)
    assert isinstance(changed, PendingAction)
    assert changed.action_id == instead
    decide("approve")
    outcome = changed.outcome()
    assert (outcome.status, outcome.action_id) == ("success", instead)
    assert cs.outcome("py-edit", follow_edits=True) == outcome
    assert count("sessions", "py-edit") == 5


def test_a_dry_run_says_what_would_become_of_it(cs: Countersign) -> None:
    told = cs.dry_run(**stale("py-dry"))
    assert told.effect == "require_approval"
    assert told.missing is not None
    assert told.missing[0].roles == ["dba"]
    assert told.preview is not None
    assert told.preview.rows == 120
    with pytest.raises(CountersignError):
        cs.view("py-dry")


def test_a_batch_is_begun_as_a_whole(cs: Countersign) -> None:
    proposals = [noted(9020, "py-batch-1"), stale("py-batch-2")]
    answer = cs.perform_all(proposals)
    done, waits = answer.actions
    assert answer.begun
    assert isinstance(done, Outcome)
    assert done.status == "success"
    assert isinstance(waits, PendingAction)
    decide("approve")
    assert waits.outcome().status == "success"
    assert [one.status for one in cs.perform_all(proposals).actions] == ["success", "success"]


async def test_a_batch_of_which_one_would_be_denied_is_not_begun(acs: AsyncCountersign) -> None:
    denied: ProposalFields = {"tool": "shop-db", "input": {"op": "delete", "table": "users", "where": {"note": "x"}}}
    answer = await acs.perform_all([noted(9021, "py-batch-3"), denied])
    first, second = answer.actions
    assert not answer.begun
    assert isinstance(first, NotBegun)
    assert isinstance(second, NotBegun)
    assert (first.decided.effect, second.decided.effect) == ("allow", "deny")
    assert second.decided.error is not None
    assert second.decided.error.code == "POLICY_DENIED"
    assert sql("SELECT FROM notes WHERE id = 9021") == []


def _saga(prefix: int, last: ProposalFields) -> list[ProposalFields]:
    return [noted(prefix), noted(prefix + 1), last]


def test_a_saga_is_done_in_order_and_the_same_again_returns_what_became_of_it(cs: Countersign) -> None:
    steps = _saga(9100, noted(9102))
    done = cs.saga("py-saga-1", steps)
    assert done.status == "success"
    assert [(step.action_id, step.status) for step in done.steps] == [(f"py-saga-1:{n}", "success") for n in (1, 2, 3)]
    assert cs.saga("py-saga-1", steps) == done
    assert cs.saga_view("py-saga-1") == done
    with pytest.raises(CountersignError) as conflict:
        cs.saga("py-saga-1", steps[:1])
    assert conflict.value.code == "ACTION_CONFLICT"
    with pytest.raises(CountersignError) as none:
        cs.saga_view("py-saga-none")
    assert none.value.code == "NOT_FOUND"


async def test_a_saga_is_undone_when_a_person_denies_a_step(acs: AsyncCountersign) -> None:
    steps = _saga(9110, stale("py-saga-step"))
    waits = await acs.saga("py-saga-2", steps)
    assert waits.status == "needs_person"
    assert waits.waits_for is not None
    assert (waits.waits_for.kind, waits.waits_for.action_id) == ("approval", "py-saga-step")
    # Whoever asks next may be another process: it needs the name alone.
    async with AsyncCountersign() as later:
        end = asyncio.create_task(later.saga_outcome("py-saga-2"))
        await asyncio.to_thread(decide, "deny", reason="They are still needed.")
        done = await end
    assert done.status == "compensated"
    assert [step.status for step in done.steps] == ["success", "success", "denied"]
    assert [(undone.cause, undone.status) for undone in done.compensations] == [
        ("py-saga-2:2", "success"),
        ("py-saga-2:1", "success"),
    ]
    assert sql("SELECT FROM notes WHERE id IN (9110, 9111)") == []


def test_a_saga_is_cancelled(cs: Countersign) -> None:
    cs.saga("py-saga-3", _saga(9120, stale("py-saga-cancelled")))
    cs.cancel_saga("py-saga-3")
    assert cs.saga_outcome("py-saga-3", timeout=30).status == "compensated"
    assert sql("SELECT FROM notes WHERE id IN (9120, 9121)") == []


def test_an_action_is_cancelled_before_its_effect(cs: Countersign) -> None:
    answer = cs.perform(**stale("py-cancel"))
    cs.cancel(answer.action_id)
    assert cs.outcome(answer.action_id, timeout=20).status == "cancelled"


@pytest.mark.parametrize(
    ("call", "code", "status", "field"),
    [
        (lambda cs: cs.perform(tool="shop db", input={}), "INVALID_PROPOSAL", 400, "proposal.tool"),
        (lambda cs: cs.perform(**noted(1, "py-note-1")), "ACTION_CONFLICT", 409, "actionId"),
        (lambda cs: cs.view("nobodys"), "NOT_FOUND", 404, "actionId"),
        (lambda cs: Countersign(token="csa_none").me(), "UNAUTHENTICATED", 401, "authorization"),
        (lambda cs: Countersign(url="http://127.0.0.1:9", retries=1).me(), "GATEWAY_UNAVAILABLE", None, "url"),
    ],
)
def test_an_error_says_what_to_do(
    cs: Countersign, call: Callable[[Countersign], object], code: str, status: int | None, field: str | None
) -> None:
    with pytest.raises(CountersignError) as refused:
        call(cs)
    assert (refused.value.code, refused.value.status, refused.value.field) == (code, status, field)
    assert refused.value.retryable == (code == "GATEWAY_UNAVAILABLE")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "http://gateway.example"}, "url"),
        ({"url": "https://a:b@gateway.example"}, "url"),
        ({"token": ""}, "token"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(options: dict[str, Any], field: str) -> None:
    with pytest.raises(CountersignError) as refused:
        Countersign(**options)
    assert (refused.value.code, refused.value.field) == ("CONFIG_INVALID", field)
    Countersign(url="http://gateway.internal:8787", allow_http=True).close()


@contextmanager
def meddling(*meddles: tuple[int, dict[str, str]] | None) -> Iterator[tuple[str, list[str | None]]]:
    """
    A proxy before the gateway that answers the first requests by itself, one after the other, and passes on the rest. None: it passes the
    request on, and loses the answer.
    """
    left = list(meddles)
    seen: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            seen.append(self.headers.get("traceparent"))
            meddle = left.pop(0) if left else (0, {})
            if meddle is not None and meddle[0] != 0:
                self._answer(meddle[0], {**meddle[1], "content-type": "text/plain"}, b"busy")
                return
            headers = {name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers}
            answer = httpx.request(self.command, f"{GATEWAY}{self.path}", headers=headers, content=body, timeout=60)
            if meddle is None:
                self.close_connection = True
                return
            self._answer(answer.status_code, {"content-type": answer.headers["content-type"]}, answer.content)

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _handle  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing of it belongs in the output of the tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()


def test_what_passes_is_tried_again_under_the_same_id() -> None:
    with meddling((503, {}), None, (429, {"retry-after": "1"})) as (url, seen), Countersign(url=url) as cs:
        answer = cs.perform(**noted(9010))
    assert answer.status == "success"
    assert len(seen) == 4
    assert len(sql("SELECT FROM notes WHERE id = 9010")) == 1


def test_nothing_is_tried_again_sooner_than_is_asked_for() -> None:
    with meddling((429, {"retry-after": "3600"})) as (url, seen), Countersign(url=url) as cs:
        with pytest.raises(CountersignError) as refused:
            cs.perform(**noted(9011))
        assert (refused.value.status, refused.value.retry_after, len(seen)) == (429, 3600, 1)


async def test_the_async_client_tries_again_as_well() -> None:
    with meddling((502, {}), None) as (url, seen):
        async with AsyncCountersign(url=url) as cs:
            assert (await cs.perform(**noted(9012))).status == "success"
        assert len(seen) == 3


def test_the_key_is_in_no_error_and_not_to_be_seen_in_the_client(cs: Countersign) -> None:
    shown = [repr(cs), str(vars(cs))]
    for options in ({"url": "http://127.0.0.1:9", "retries": 0}, {"token": f"{TOKEN}\n"}):
        with pytest.raises(CountersignError) as refused:
            Countersign(**options).me()
        shown += [repr(refused.value), str(vars(refused.value)), repr(refused.value.__cause__)]
    assert refused.value.field == "token"
    assert all(TOKEN not in text for text in shown)


def test_a_page_in_the_place_of_the_gateway_is_no_answer() -> None:
    with meddling((200, {})) as (url, _), Countersign(url=url) as cs, pytest.raises(CountersignError) as refused:
        cs.me()
    assert (refused.value.code, refused.value.status, refused.value.retryable) == ("UNEXPECTED_ANSWER", 200, False)


def test_a_redirect_is_not_followed() -> None:
    with (
        meddling((307, {"location": f"{GATEWAY}/v1/me"})) as (url, seen),
        Countersign(url=url) as cs,
        pytest.raises(CountersignError) as refused,
    ):
        cs.me()
    assert (refused.value.code, refused.value.status, len(seen)) == ("UNEXPECTED_ANSWER", 307, 1)


def test_the_token_is_asked_for_anew_with_each_request() -> None:
    tokens = ["csa_expired", TOKEN]
    with Countersign(token=lambda: tokens.pop(0)) as cs:
        with pytest.raises(CountersignError):
            cs.me()
        assert cs.me().kind == "agent"


async def test_the_async_client_awaits_its_token() -> None:
    async def token() -> str:
        return TOKEN

    async with AsyncCountersign(token=token) as cs:
        assert (await cs.me()).kind == "agent"


def test_headers_of_the_caller_go_along() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with (
        meddling() as (url, seen),
        Countersign(url=url, headers=lambda: {"traceparent": trace, "Authorization": "Bearer other"}) as cs,
    ):
        assert cs.me().kind == "agent"
    assert seen == [trace]

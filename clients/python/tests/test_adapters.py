"""
The adapters, each in a real loop of its framework, against a real gateway and worker: allowed, denied, approved after a restart of the agent,
approved with a mismatch, and the same call sent twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from countersign_client import Countersign

from .conftest import count, decide, edit_to, rows_of
from .loops import LOOPS, WAITING, OpenAiAgentsLoop
from .ran import Loop, Ran, WaitingLoop

each_loop = pytest.mark.parametrize(("name", "loop"), LOOPS, ids=[name for name, _ in LOOPS])
each_waiting_loop = pytest.mark.parametrize(("name", "loop"), WAITING, ids=[name for name, _ in WAITING])


async def decided(loop: Loop, thread: str, order: str, verdict: str, **more: Any) -> tuple[Ran, str]:
    """Runs it until people must decide, decides, and lets it go on in a new agent."""
    paused = await loop.start(thread, order)
    assert paused.said is None
    assert paused.kept is not None
    action_id = await asyncio.to_thread(decide, verdict, **more)
    return await loop.resume(thread, paused.kept), action_id


@each_loop
async def test_what_is_allowed_is_done_and_the_model_is_told(name: str, loop: Loop, cs: Countersign) -> None:
    note = f"few-{name}"
    rows_of("sessions", note, 3)
    ran = await loop.start(f"py-allowed-{name}", f"delete sessions {note}")
    assert ran.told()["status"] == "success"
    assert count("sessions", note) == 0
    assert cs.view(ran.told()["actionId"]).status == "success"


@each_loop
async def test_what_is_denied_is_not_done_and_the_model_does_something_else(
    name: str, loop: Loop, cs: Countersign
) -> None:
    note = f"old-{name}"
    rows_of("users", note, 2)
    ran = await loop.start(f"py-denied-{name}", f"delete users {note}")
    assert ran.told()["status"] == "success"
    assert count("users", f"archived {note}") == 2
    denied = cs.list(status="denied", limit=1).actions[0]
    assert denied.code == "POLICY_DENIED"


@each_loop
async def test_what_waits_for_people_is_done_once_they_agree(name: str, loop: Loop) -> None:
    note = f"stale-{name}"
    rows_of("sessions", note, 120)
    ran, action_id = await decided(loop, f"py-approved-{name}", f"delete sessions {note}", "approve")
    assert (ran.told()["status"], ran.told()["actionId"]) == ("success", action_id)
    assert count("sessions", note) == 0


@each_loop
async def test_what_people_deny_is_not_done_and_the_model_reads_why(name: str, loop: Loop) -> None:
    note = f"kept-{name}"
    rows_of("sessions", note, 120)
    ran, _ = await decided(
        loop, f"py-refused-{name}", f"delete sessions {note}", "deny", reason="They are still needed."
    )
    assert ran.said is not None
    assert "They are still needed." in ran.said
    assert "Do not repeat the call unchanged" in ran.said
    assert count("sessions", note) == 120


@each_loop
async def test_what_a_person_changed_is_done_as_changed_and_the_model_is_told_of_that(name: str, loop: Loop) -> None:
    note = f"some-{name}"
    rows_of("sessions", note, 120)
    edit = edit_to(3, note)
    ran, instead = await decided(loop, f"py-edited-{name}", f"delete sessions {note}", "request_changes", edit=edit)
    assert (ran.told()["status"], ran.told()["actionId"]) == ("success", instead)
    assert "A person changed what you proposed" in ran.told()["advice"]
    assert count("sessions", note) == 117


@each_waiting_loop
async def test_a_call_can_wait_for_people(name: str, loop: WaitingLoop) -> None:
    note = f"waits-{name}"
    rows_of("sessions", note, 120)
    running = asyncio.create_task(loop.run(f"py-waits-{name}", f"delete sessions {note}", "wait"))
    action_id = await asyncio.to_thread(decide, "approve")
    assert ((await running).told()["status"], (await running).told()["actionId"]) == ("success", action_id)
    assert count("sessions", note) == 0


@each_loop
async def test_a_mismatch_is_told_as_such_also_after_an_approval(name: str, loop: Loop) -> None:
    note = f"broken-{name}"
    rows_of("sessions", note, 120)
    ran, _ = await decided(loop, f"py-mismatch-{name}", f"delete sessions {note}", "approve")
    assert (ran.told()["status"], ran.told()["failedChecks"]) == ("mismatch", ["expect"])
    assert "Do not repeat it" in ran.told()["advice"]


@each_loop
async def test_the_same_call_sent_twice_is_one_action(name: str, loop: Loop) -> None:
    id = 8000 + [each for each, _ in LOOPS].index(name)
    order = f"note {id} twice-{name}"
    first = await loop.start(f"py-twice-{name}", order)
    assert first.told()["status"] == "success"
    # A run whose state was lost: the framework makes the same calls again.
    await loop.forget(f"py-twice-{name}")
    again = await loop.start(f"py-twice-{name}", order)
    assert again.told() == first.told()
    assert count("notes", f"twice-{name}") == 1
    # The model numbers its calls anew in another conversation.
    other = await loop.start(f"py-other-{name}", order)
    assert other.told()["actionId"] != first.told()["actionId"]


async def test_a_yes_that_is_not_of_countersign_decides_nothing(cs: Countersign) -> None:
    rows_of("sessions", "forged", 120)
    loop = OpenAiAgentsLoop()
    paused = await loop.start("py-forged", "delete sessions forged")
    assert paused.kept is not None
    ran = await loop.approve_itself("py-forged", paused.kept)
    assert (ran.told()["status"], ran.told()["waitingFor"]) == ("pending", [["dba"]])
    assert count("sessions", "forged") == 120
    cs.cancel(ran.told()["actionId"])

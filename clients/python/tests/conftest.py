"""What the tests run against: a real gateway and worker, a database, and a scripted model, started by test/python/client.ts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from countersign_client import AsyncCountersign, Countersign

GATEWAY = os.environ["COUNTERSIGN_GATEWAY_URL"]
TOKEN = os.environ["COUNTERSIGN_API_KEY"]
CONTROL = os.environ["CONTROL_URL"]
MODEL = os.environ["OPENAI_BASE_URL"]


@pytest.fixture
def cs() -> Iterator[Countersign]:
    with Countersign() as client:
        yield client


@pytest.fixture
async def acs() -> AsyncIterator[AsyncCountersign]:
    async with AsyncCountersign() as client:
        yield client


def sql(text: str) -> list[dict[str, Any]]:
    """Runs it on the database that the tool acts on: the judge of what really happened."""
    answer = httpx.post(f"{CONTROL}/sql", content=text)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return rows


def rows_of(table: str, note: str, count: int) -> None:
    sql(f"INSERT INTO {table} (note) SELECT '{note}' FROM generate_series(1, {count})")  # noqa: S608


def count(table: str, note: str) -> int:
    return int(sql(f"SELECT count(*)::int AS n FROM {table} WHERE note = '{note}'")[0]["n"])  # noqa: S608


def edit_to(count: int, note: str) -> dict[str, Any]:
    """What a person makes of it: only the first rows of a note are deleted."""
    [after] = sql(f"SELECT id FROM sessions WHERE note = '{note}' ORDER BY id OFFSET {count} LIMIT 1")  # noqa: S608
    return {"input": {"op": "delete", "table": "sessions", "where": {"note": note, "id": {"lt": after["id"]}}}}


def decide(verdict: str, **more: Any) -> str:
    """A dba decides on the one action that waits. Answers with its id, or that of what is done instead."""
    headers = {"cookie": os.environ["PERSON_COOKIE"], "x-csrf-token": os.environ["PERSON_CSRF"]}
    with httpx.Client(base_url=GATEWAY, headers=headers) as person:
        asked: list[dict[str, Any]] = []
        deadline = time.monotonic() + 60
        while not asked and time.monotonic() < deadline:
            time.sleep(0.05)
            asked = person.get("/v1/approvals").json()["approvalRequests"]
        [one] = asked
        body = {"shownDigest": one["shownDigest"], "verdict": verdict, **more}
        answer = person.post(f"/v1/actions/{one['actionId']}/decision", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json().get("revisedBy", one["actionId"]))

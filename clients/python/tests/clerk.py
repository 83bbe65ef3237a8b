"""The agent that the adapters are tried with: a clerk with three tools over a database. Its model is test/support/clerk.ts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from countersign_client import ProposalFields


class Rows(BaseModel):
    table: str
    note: str


class Entry(BaseModel):
    id: int
    note: str


def delete_rows(args: Rows) -> ProposalFields:
    fields: ProposalFields = {
        "tool": "shop-db",
        "input": {"op": "delete", "table": args.table, "where": {"note": args.note}},
        "reasoning": f"The user wants no {args.note}.",
    }
    # A promise that is not kept.
    return {**fields, "expect": "size(post.sessions) == -1"} if args.note.startswith("broken") else fields


def archive_rows(args: Rows) -> ProposalFields:
    archived = {"note": f"archived {args.note}"}
    return {
        "tool": "shop-db",
        "input": {"op": "update", "table": args.table, "set": archived, "where": {"note": args.note}},
    }


def add_note(args: Entry) -> ProposalFields:
    row = {"id": args.id, "note": args.note}
    return {"tool": "shop-db", "input": {"op": "insert", "table": "notes", "rows": [row]}}


TOOLS: list[dict[str, Any]] = [
    {
        "name": "delete_rows",
        "description": "Deletes the rows with this note.",
        "args_schema": Rows,
        "propose": delete_rows,
    },
    {
        "name": "archive_rows",
        "description": "Marks the rows with this note as archived.",
        "args_schema": Rows,
        "propose": archive_rows,
    },
    {"name": "add_note", "description": "Adds a note.", "args_schema": Entry, "propose": add_note},
]

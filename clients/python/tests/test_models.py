"""The models have the shapes of the gateway's OpenAPI document: what it adds, removes or renames fails here."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from countersign_client import Action, ActionPage, DryRun, Me, NotBegun, Outcome, Proposal, Saga

from .conftest import GATEWAY

DOCUMENT: dict[str, Any] = httpx.get(f"{GATEWAY}/openapi.json").json()

MODELS: list[tuple[str, type[BaseModel]]] = [
    ("Proposal", Proposal),
    ("Outcome", Outcome),
    ("Action", Action),
    ("Actions", ActionPage),
    ("DryRun", DryRun),
    ("NotBegun", NotBegun),
    ("Saga", Saga),
    ("Me", Me),
]


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is not None:
        at: Any = root
        for key in reference.removeprefix("#/").split("/"):
            at = at[key]
        return _resolved(at, root)
    # Of what may be absent, pydantic says that it may be null.
    others = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    return _resolved(others[0], root) if len(others) == 1 else schema


def _shape(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Names, which of them are required, and what enumerations hold, however deep."""
    at = _resolved(schema, root)
    if "properties" in at:
        required = set(at.get("required", []))
        properties = at["properties"].items()
        return {name + ("" if name in required else "?"): _shape(each, root) for name, each in properties}
    if at.get("type") == "array":
        return [_shape(at.get("items", {}), root)]
    if "enum" in at or "const" in at:
        return sorted(at.get("enum", [at.get("const")]))
    if "anyOf" in at or "oneOf" in at:
        return "any"
    kind = at.get("type", "any")
    return "number" if kind == "integer" else kind


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_a_model_has_the_shape_of_the_document(name: str, model: type[BaseModel]) -> None:
    ours = model.model_json_schema(by_alias=True)
    theirs = DOCUMENT["components"]["schemas"][name]
    assert _shape(ours, ours) == _shape(theirs, DOCUMENT)

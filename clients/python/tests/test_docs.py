"""docs/clients.md: every snippet in Python runs, and waits for a person who agrees."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import count, decide, rows_of

PAGE = (Path(__file__).parents[3] / "docs" / "clients.md").read_text()
SNIPPETS: list[tuple[str, str]] = re.findall(r"^```python (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

CHAT = """import agents
agents.set_default_openai_api("chat_completions")
agents.set_tracing_disabled(True)
"""
"""The scripted model speaks the chat API, which the OpenAI Agents SDK uses when it is told to."""


@pytest.mark.parametrize(("name", "code"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_a_snippet_runs(name: str, code: str, tmp_path: Path) -> None:
    rows_of("sessions", "stale", 120)
    file = tmp_path / name
    file.write_text(f"{CHAT}{code}" if "from agents import" in code else code)
    with subprocess.Popen(
        [sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        decide("approve")
        told, _ = child.communicate(timeout=60)
    assert "success" in told, told
    assert count("sessions", "stale") == 0


def test_there_is_a_snippet_for_the_client_and_for_what_pauses() -> None:
    assert len(SNIPPETS) == 4


def test_the_readme_of_the_package_begins_with_the_same() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert f"```python\n{dict(SNIPPETS)['propose.py']}```" in readme

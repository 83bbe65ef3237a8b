"""A crew of one agent, with the scripted model behind CrewAI's own client of the OpenAI API."""

from __future__ import annotations

from typing import Literal

from crewai import LLM, Agent, Crew, Task

from countersign_client import Countersign
from countersign_client.crewai import countersign_tool

from .clerk import TOOLS
from .conftest import MODEL
from .ran import Ran, WaitingLoop


class CrewAiLoop(WaitingLoop):
    async def run(self, thread: str, order: str, on_pending: Literal["wait", "tell"]) -> Ran:
        with Countersign() as cs:
            agent = Agent(
                role="clerk",
                goal="Do what is asked.",
                backstory="You keep a database in order.",
                llm=LLM(model="openai/scripted", base_url=MODEL, api_key="none"),
                tools=[countersign_tool(cs, thread=thread, on_pending=on_pending, **tool) for tool in TOOLS],
            )
            task = Task(description=order, expected_output="What came of it.", agent=agent)
            output = await Crew(agents=[agent], tasks=[task]).kickoff_async()
        return Ran(said=str(output))

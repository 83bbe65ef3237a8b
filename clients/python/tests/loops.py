"""
One agent of each framework, with a scripted model behind the framework's own client of the OpenAI API. Every call makes a new agent, as a
process that was started anew does.
"""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from countersign_client import AsyncCountersign, Countersign, Outcome, PendingAction, for_model, guard

from .clerk import TOOLS
from .conftest import MODEL
from .ran import Loop, Ran, Stateless, WaitingLoop

KEPT = Path(tempfile.mkdtemp(prefix="countersign-loops-"))


class OwnLoop(Stateless):
    """A loop of one's own over the chat API."""

    async def start(self, thread: str, order: str) -> Ran:
        return self._run(thread, [{"role": "user", "content": order}])

    async def resume(self, thread: str, kept: str) -> Ran:
        return self._run(thread, json.loads(kept))

    def _run(self, thread: str, messages: list[Any]) -> Ran:
        import openai

        tools = {tool["name"]: tool for tool in TOOLS}
        with Countersign() as cs, openai.OpenAI() as client:
            while True:
                for call in messages[-1].get("tool_calls") or []:
                    tool = tools[call["function"]["name"]]
                    args = tool["args_schema"].model_validate_json(call["function"]["arguments"])
                    answer: Outcome | PendingAction = guard(cs, tool["propose"])(
                        args, call_id=call["id"], thread=thread
                    )
                    if answer.status == "pending":
                        return Ran(kept=json.dumps(messages))
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(for_model(answer))})
                message = client.chat.completions.create(model="scripted", messages=messages).choices[0].message
                if not message.tool_calls:
                    return Ran(said=message.content)
                messages.append(message.model_dump(exclude_none=True))


class LangChainLoop:
    async def start(self, thread: str, order: str) -> Ran:
        return await self._run(thread, {"messages": [{"role": "user", "content": order}]})

    async def resume(self, thread: str, kept: str) -> Ran:
        from langgraph.types import Command

        return await self._run(thread, Command(resume="look again"))

    async def forget(self, thread: str) -> None:
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(str(KEPT / "langchain.sqlite")) as checkpointer:
            await checkpointer.adelete_thread(thread)

    async def _run(self, thread: str, given: Any) -> Ran:
        from langchain.agents import create_agent
        from langchain_openai import ChatOpenAI
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        from countersign_client.langchain import countersign_tool

        async with (
            AsyncSqliteSaver.from_conn_string(str(KEPT / "langchain.sqlite")) as checkpointer,
            AsyncCountersign() as cs,
        ):
            tools = [countersign_tool(cs, **tool) for tool in TOOLS]
            agent: Any = create_agent(ChatOpenAI(model="scripted"), tools=tools, checkpointer=checkpointer)
            state = await agent.ainvoke(given, {"configurable": {"thread_id": thread}})
            if state.get("__interrupt__"):
                return Ran(kept=state["__interrupt__"][0].value["action_id"])
            return Ran(said=state["messages"][-1].content)


class SyncLangChainLoop:
    """The same without asyncio."""

    async def start(self, thread: str, order: str) -> Ran:
        return self._run(thread, {"messages": [{"role": "user", "content": order}]})

    async def resume(self, thread: str, kept: str) -> Ran:
        from langgraph.types import Command

        return self._run(thread, Command(resume="look again"))

    async def forget(self, thread: str) -> None:
        from langgraph.checkpoint.sqlite import SqliteSaver

        with SqliteSaver.from_conn_string(str(KEPT / "sync.sqlite")) as checkpointer:
            checkpointer.delete_thread(thread)

    def _run(self, thread: str, given: Any) -> Ran:
        from langchain.agents import create_agent
        from langchain_openai import ChatOpenAI
        from langgraph.checkpoint.sqlite import SqliteSaver

        from countersign_client.langchain import countersign_tool

        with (
            SqliteSaver.from_conn_string(str(KEPT / "sync.sqlite")) as checkpointer,
            Countersign() as cs,
        ):
            tools = [countersign_tool(cs, **tool) for tool in TOOLS]
            agent: Any = create_agent(ChatOpenAI(model="scripted"), tools=tools, checkpointer=checkpointer)
            state = agent.invoke(given, {"configurable": {"thread_id": thread}})
            if state.get("__interrupt__"):
                return Ran(kept=state["__interrupt__"][0].value["action_id"])
            return Ran(said=state["messages"][-1].content)


class OpenAiAgentsLoop(Stateless):
    async def start(self, thread: str, order: str) -> Ran:
        async with AsyncCountersign() as cs:
            return await self._run(self._agent(cs, thread), order)

    async def resume(self, thread: str, kept: str) -> Ran:
        from agents import RunState

        from countersign_client.openai_agents import settle_interruptions

        async with AsyncCountersign() as cs:
            agent = self._agent(cs, thread)
            state = await RunState.from_string(agent, kept)
            await settle_interruptions(state)
            return await self._run(agent, state)

    async def approve_itself(self, thread: str, kept: str) -> Ran:
        """As an application does that asks its own user, and not Countersign."""
        from agents import RunState

        async with AsyncCountersign() as cs:
            agent = self._agent(cs, thread)
            state = await RunState.from_string(agent, kept)
            for item in state.get_interruptions():
                state.approve(item)
            return await self._run(agent, state)

    def _agent(self, cs: AsyncCountersign, thread: str) -> Any:
        import openai
        from agents import Agent, OpenAIChatCompletionsModel

        from countersign_client.openai_agents import countersign_tool

        model = OpenAIChatCompletionsModel(model="scripted", openai_client=openai.AsyncOpenAI())
        return Agent(name="clerk", model=model, tools=[countersign_tool(cs, thread=thread, **tool) for tool in TOOLS])

    async def _run(self, agent: Any, given: Any) -> Ran:
        from agents import RunConfig, Runner

        result = await Runner.run(agent, given, run_config=RunConfig(tracing_disabled=True))
        if result.interruptions:
            return Ran(kept=result.to_state().to_string())
        return Ran(said=str(result.final_output))


class PydanticAiLoop(Stateless):
    async def start(self, thread: str, order: str) -> Ran:
        async with AsyncCountersign() as cs:
            return await self._run(cs, thread, order)

    async def resume(self, thread: str, kept: str) -> Ran:
        from pydantic import TypeAdapter
        from pydantic_ai import DeferredToolRequests, ModelMessagesTypeAdapter

        from countersign_client.pydantic_ai import deferred_results

        parts = json.loads(kept)
        requests = TypeAdapter(DeferredToolRequests).validate_python(parts["requests"])
        async with AsyncCountersign() as cs:
            return await self._run(
                cs,
                thread,
                None,
                message_history=ModelMessagesTypeAdapter.validate_python(parts["messages"]),
                deferred_tool_results=await deferred_results(cs, requests),
            )

    async def _run(self, cs: AsyncCountersign, thread: str, order: str | None, **more: Any) -> Ran:
        from pydantic import TypeAdapter
        from pydantic_ai import Agent, DeferredToolRequests
        from pydantic_ai.models.openai import OpenAIChatModel

        from countersign_client.pydantic_ai import countersign_tool

        agent = Agent(
            OpenAIChatModel("scripted"),
            tools=[countersign_tool(cs, thread=thread, **tool) for tool in TOOLS],
            output_type=[str, DeferredToolRequests],
        )
        result = await agent.run(order, **more)
        if not isinstance(result.output, DeferredToolRequests):
            return Ran(said=result.output)
        requests = TypeAdapter(DeferredToolRequests).dump_python(result.output, mode="json")
        return Ran(kept=json.dumps({"requests": requests, "messages": json.loads(result.all_messages_json())}))


class AutoGenLoop(WaitingLoop):
    async def run(self, thread: str, order: str, on_pending: Literal["wait", "tell"]) -> Ran:
        from autogen_agentchat.agents import AssistantAgent
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        from countersign_client.autogen import countersign_tool

        info: Any = {
            "vision": False,
            "function_calling": True,
            "json_output": False,
            "family": "unknown",
            "structured_output": False,
        }
        model = OpenAIChatCompletionClient(model="scripted", base_url=MODEL, api_key="none", model_info=info)
        async with AsyncCountersign() as cs:
            tools: list[Any] = [countersign_tool(cs, thread=thread, on_pending=on_pending, **tool) for tool in TOOLS]
            result = await AssistantAgent("clerk", model, tools=tools, max_tool_iterations=5).run(task=order)
            await model.close()
        return Ran(said=str(getattr(result.messages[-1], "content", "")))


LOOPS: list[tuple[str, Loop]] = [
    ("guard", OwnLoop()),
    ("langchain", LangChainLoop()),
    ("langchain-sync", SyncLangChainLoop()),
    ("openai-agents", OpenAiAgentsLoop()),
    ("pydantic-ai", PydanticAiLoop()),
    ("autogen", AutoGenLoop()),
]
WAITING: list[tuple[str, WaitingLoop]] = [("autogen", AutoGenLoop())]

if find_spec("crewai") is not None:
    # It wants other versions of what the others stand on, so it has an environment of its own.
    from .crewai_loop import CrewAiLoop

    LOOPS = [("crewai", CrewAiLoop())]
    WAITING = [("crewai", CrewAiLoop())]

"""A newcomer's session: the playground as a process of its own, its page's protocol instead of a browser."""

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest

pytest.importorskip("simcord", reason="The extra `playground` isn't installed.")

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 120  # the first start makes a database
ANSWER_TIMEOUT = 30


class Page:
    """What the preview's page does: open a view as somebody, read the state, send actions."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._sequence = 0
        self.state: dict[str, Any] = {}

    async def open(self, *, viewer: int | None = None) -> None:
        self.state = await self._call("POST", "/api/pages", {} if viewer is None else {"viewer_id": str(viewer)})
        self._sequence = 0

    async def refresh(self) -> None:
        self.state = await self._call("GET", "/api/state")

    async def act(self, kind: str, **fields: Any) -> dict[str, Any]:
        await self.refresh()
        receipt = await self._call(
            "POST",
            "/api/action",
            {
                "protocol_version": 3,
                "sequence": self._sequence + 1,
                "request_id": str(uuid.uuid4()),
                "generation": self.state["context"]["generation"],
                "bot_generation": self.state["botGeneration"],
                "published_revision": self.state["publishedRevision"],
                "kind": kind,
                **fields,
            },
        )
        self._sequence = receipt["expectedSequence"]
        await self.refresh()
        assert receipt["settlement"] == "settled", receipt
        return receipt

    async def say(self, text: str, *, reply_to: str | None = None) -> dict[str, Any]:
        """Send `text` and give back the message as the channel shows it."""
        receipt = await self.act("send_message", content=text, target_id=self.state["targetId"], reply_to_id=reply_to)
        message: dict[str, Any] = self.state["messages"][receipt["target"]["messageId"]]
        return message

    async def ask(self, text: str) -> str:
        """Send `text` and wait for Clara's answer."""
        question = await self.say(text)
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while not (answers := self.lines("Clara", after=question["id"])):
                await asyncio.sleep(0.2)
                await self.refresh()
        return "\n".join(answers)

    def lines(self, author: str, *, after: str = "0") -> list[str]:
        return [
            message["content"]
            for message in self.state["messages"].values()
            if message["author"]["name"] == author and int(message["id"]) > int(after)
        ]

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        context = {"X-Simcord-Context": self.state["context"]["id"]} if self.state and path != "/api/pages" else {}
        async with self._session.request(method, path, json=body, headers=context) as response:
            assert response.status == 200, f"{method} {path}: {response.status} {await response.text()}"
            payload: dict[str, Any] = await response.json()
            return payload


async def start(data: Path, **environment: str) -> asyncio.subprocess.Process:
    """Start the playground in an empty folder, so that no settings of this machine take part."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CORTEX_", "DISCORD_", "PLACE", "PORT"))
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "playground.py"),
        cwd=data,
        env={**inherited, "CORTEX_EMBEDDED__DATA_DIR": str(data / "servers"), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def playground(data: Path, *, stop: signal.Signals = signal.SIGTERM, **environment: str) -> AsyncIterator[Page]:
    """Run the playground, give a page of it, and see it end cleanly and without a word."""
    process = await start(data, **environment)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT):
            line = (await process.stdout.readline()).decode()
        if not line.startswith("Playground: http://127.0.0.1:"):
            process.kill()
            _, errors = await process.communicate()
            pytest.fail(f"The playground printed {line!r} and said: {errors.decode()}")
        address, _, capability = line.removeprefix("Playground: ").strip().partition("#")
        async with aiohttp.ClientSession(address, headers={"X-Simcord-Capability": capability}) as session:
            page = Page(session)
            await page.open()
            yield page
        process.send_signal(stop)
        async with asyncio.timeout(START_TIMEOUT):
            output, errors = await process.communicate()
        assert (process.returncode, output.decode(), errors.decode()) == (0, "", "")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_clara_remembers_across_a_restart(tmp_path: Path) -> None:
    async with playground(tmp_path, stop=signal.SIGINT) as page:
        assert "Clara" in page.lines("Clara")[0], "a newcomer is told what to try"
        said = await page.say("My cat is called Miso and she hates the vacuum cleaner.")
        first_answer = await page.ask("Clara, what is my cat called?")
        before = time.monotonic()
        await page.say("She is asleep now.")
        assert time.monotonic() - before < 2, "no task or timer of the bot keeps the page waiting"
    async with playground(tmp_path) as page:
        answer = await page.ask("Clara, what is my cat called?")
        said_again = await page.say("Thank you.")

    assert "Miso" in first_answer
    assert "Miso" in answer
    assert int(said_again["id"]) > int(said["id"]), "the simulated clock goes on"
    assert abs(discord.utils.snowflake_time(int(said_again["id"])) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_page_counts_from_now(tmp_path: Path) -> None:
    async with playground(tmp_path) as page:
        said = await page.say("My cat is called Miso.")
        await asyncio.sleep(3)
        await page.ask("Clara, what is my cat called?")

    age = datetime.fromisoformat(page.state["profile"]["presentationTime"]) - datetime.fromisoformat(said["timestamp"])
    assert age >= timedelta(seconds=3), "a time in the past is shown as one"


async def test_what_is_said_in_a_dm_comes_up_in_no_channel(tmp_path: Path) -> None:
    async with playground(tmp_path, PLACE="dm") as page:
        await page.say("The surprise for the party is a chocolate fountain.")
        assert "chocolate" in await page.ask("What is the surprise for the party?")
    async with playground(tmp_path, PLACE="general") as page:
        assert "chocolate" not in await page.ask("Clara, what is the surprise for the party?")


async def test_a_reply_with_the_name_of_a_message_menu_uses_the_menu(tmp_path: Path) -> None:
    async with playground(tmp_path) as page:
        said = await page.say("My cat is called Miso.")
        shown = await page.say("Remember this", reply_to=said["id"])

        assert shown["id"] == said["id"], "nothing was said"
        assert "I'll remember that" in page.lines("Clara", after=said["id"])[-1]


@pytest.mark.parametrize(("place", "viewers"), [("general", 3), ("staff", 1), ("dm", 1)])
async def test_only_readers_of_the_place_are_offered_as_viewers(tmp_path: Path, place: str, viewers: int) -> None:
    async with playground(tmp_path, PLACE=place) as page:
        assert len(page.state["viewers"]) == viewers
        assert page.lines("Clara")


@pytest.mark.parametrize(
    ("environment", "word"),
    [({"PLACE": "nowhere"}, "nowhere"), ({"PORT": "http"}, "http"), ({"PORT": "70000"}, "70000")],
)
async def test_a_wrong_setting_is_answered_with_a_sentence(
    tmp_path: Path, environment: dict[str, str], word: str
) -> None:
    process = await start(tmp_path, **environment)
    output, errors = await process.communicate()

    assert process.returncode == 1
    assert output == b""
    assert word in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        process = await start(tmp_path, PORT=str(port))
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert str(port) in errors.decode()

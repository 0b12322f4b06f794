"""The `cortex` program as a person or a script runs it: output, exit codes, and sentences when something is wrong."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cortex_core import Memory, MemoryConfig, MemoryManager
from cortex_core.commands import console
from cortex_core.ingestion.intake import memory_id_of
from cortex_core.models import utc_now
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.redis import _write_payload
from tests.harness import Connect, eventually

ROOT = Path(__file__).parents[2]
NEWEST_SCHEMA = len([*(ROOT / "migrations").glob("*.sql")])
NOBODY_LISTENS = "redis://127.0.0.1:1"
SECONDS = 60


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Cortex:
    """Runs the program in a folder of its own, against given servers."""

    folder: Path
    settings: dict[str, str]

    def having(self, **settings: str) -> "Cortex":
        return replace(self, settings={**self.settings, **settings})

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "cortex_core", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.settings},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *arguments: str, typed: str = "") -> Finished:
        return await finish(await self.start(*arguments), typed)


async def finish(process: asyncio.subprocess.Process, typed: str = "") -> Finished:
    try:
        out, err = await asyncio.wait_for(process.communicate(typed.encode()), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Finished(process.returncode, out.decode(), err.decode())


@pytest.fixture
def cortex(tmp_path: Path, memory_config: MemoryConfig) -> Cortex:
    redis, postgres = memory_config.redis, memory_config.postgres
    settings = {
        "CORTEX_REDIS__URL": redis.url,
        "CORTEX_REDIS__TIMEOUT_SECONDS": str(redis.timeout_seconds),
        "CORTEX_POSTGRES__URL": postgres.url,
        "CORTEX_POSTGRES__ACQUIRE_TIMEOUT_SECONDS": str(postgres.acquire_timeout_seconds),
        "CORTEX_POSTGRES__STATEMENT_TIMEOUT_SECONDS": str(postgres.statement_timeout_seconds),
    }
    return Cortex(tmp_path, settings)


def write_log(file: Path, texts: Sequence[str]) -> None:
    said = {"time": "2023-05-08T13:56:00Z", "author_id": "ana", "author_name": "Ana", "channel": "general"}
    lines = [json.dumps({**said, "text": text, "id": f"m{n}"}) for n, text in enumerate(texts)]
    file.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    write_log(file, ["My cat is called Miso.", "I play the cello.", "We move to Lisbon in June."])
    return file


class TestReplayToForget:
    async def test_the_life_of_a_log(self, cortex: Cortex, log: Path):
        first = await cortex("replay", str(log))
        assert first.code == 0
        assert first.out.startswith("3 lines: 3 stored, 0 already known, 0 refused in ")
        assert first.err == ""
        again = (await cortex("replay", str(log), "--json")).json
        assert (again["lines"], again["stored"], again["known"], again["refused"]) == (3, 0, 3, [])

        found = (await cortex("search", "ana", "What is the name of my cat?", "--limit", "1", "--json")).json
        assert [memory["content"] for memory in found["memories"]] == ["My cat is called Miso."]
        shown = await cortex("search", "ana", "cello")
        assert "I play the cello." in shown.out
        assert "2023-05-08" in shown.out

        cat = str(memory_id_of("m0"))
        declined = await cortex("forget", "ana", "--memory", cat, typed="n\n")
        assert (declined.code, "Nothing was forgotten" in declined.err) == (1, True)
        unanswered = await cortex("forget", "ana", "--memory", cat)
        assert (unanswered.code, "--yes" in unanswered.err) == (1, True)
        receipt = await cortex("forget", "ana", "--memory", cat, typed="y\n")
        assert receipt.out.startswith("Forgotten: 1 in long-term memory")
        unknown = await cortex("forget", "ana", "--memory", cat, "--yes")
        assert (unknown.code, cat in unknown.err) == (1, True)
        everything = (await cortex("forget", "ana", "--everything", "--yes", "--json")).json
        assert everything["long_term"] == 2
        assert (await cortex("search", "ana", "cello", "--json")).json["memories"] == []

    async def test_stats_tell_what_other_runs_did(self, cortex: Cortex, log: Path):
        await cortex("replay", str(log))
        await cortex("search", "ana", "cello")

        told = await cortex("stats", "--hours", "48")
        for_programs = (await cortex("stats", "--json")).json

        assert (told.code, told.err) == (0, "")
        lines = {line[:22].strip(): line[23:] for line in told.out.splitlines()}
        assert (lines["users"], lines["memories"], lines["episodic"]) == ("1", "3", "3")
        assert lines["stored"].startswith("3, p50 ")
        assert lines["recalled"].startswith("4, p50 ")
        assert lines["found something"].endswith("%")
        assert lines["language model"].startswith("0 calls, $0.00 since ")
        assert (for_programs["memories_stored"], for_programs["retrievals"], for_programs["error_count"]) == (3, 4, 0)
        assert len(for_programs["timeline"]) == 24
        assert (await cortex("stats", "--hours", "721")).code == 2

    async def test_bad_lines_are_told_on_stderr_and_by_the_exit_code(self, cortex: Cortex, log: Path):
        with log.open("a") as file:
            file.write("Secret\n")
        result = await cortex("replay", str(log), "--owner", "clara")
        assert result.code == 1
        assert "3 stored, 0 already known, 1 refused" in result.out
        assert result.err == "line 4: It is not JSON in UTF-8.\n"

    async def test_an_interrupted_replay_goes_on(self, cortex: Cortex, log: Path, memory: MemoryManager):
        write_log(log, ["My cat is called Miso."] * 2000)
        process = await cortex.start("replay", str(log))
        await eventually(lambda: memory.count_memories("ana"))
        process.send_signal(signal.SIGINT)
        assert (await finish(process)).code == 130
        kept = await memory.count_memories("ana")
        assert 0 < kept < 2000
        write_log(log, ["My cat is called Miso."] * (kept + 5))
        report = (await cortex("replay", str(log), "--json")).json
        assert (report["stored"], report["known"]) == (5, kept)

    async def test_what_to_forget_has_to_be_named(self, cortex: Cortex):
        result = await cortex("forget", "ana", "--yes")
        assert (result.code, "--everything" in result.err) == (1, True)


async def test_locomo_is_converted_and_can_be_replayed(cortex: Cortex, tmp_path: Path):
    turns = [{"speaker": "Ana", "dia_id": "D1:1", "text": "Hi"}, {"speaker": "Ben", "dia_id": "D1:2", "text": "Hello"}]
    session = {"session_1": turns, "session_1_date_time": "1:56 pm on 8 May, 2023"}
    asked = [{"question": "Who greets?", "evidence": ["D1:1"], "category": 4}]
    (tmp_path / "data.json").write_text(json.dumps([{"sample_id": "c", "conversation": session, "qa": asked}]))
    converted = await cortex("convert", "locomo", "data.json", "--output", "c.jsonl")
    assert converted.out == "c.jsonl: 2 messages\nc.questions.jsonl: 1 questions\n"
    question = json.loads((tmp_path / "c.questions.jsonl").read_text())
    assert question == {"question": "Who greets?", "evidence": ["c:D1:1"], "category": "single-hop"}
    assert (await cortex("replay", "c.jsonl", "--owner", "clara")).code == 0

    missing = await cortex("convert", "locomo", "data.json", "--conversation", "2")
    assert (missing.code, "the file has 1" in missing.err) == (1, True)
    unwritable = await cortex("convert", "locomo", "data.json", "--output", "nowhere/c.jsonl")
    assert (unwritable.code, "--output" in unwritable.err) == (1, True)


class TestUndo:
    async def test_runs_are_listed_and_undone(self, cortex: Cortex, memory: MemoryManager):
        for hour in range(12):
            said_at = datetime(2026, 1, 6, hour, tzinfo=UTC)
            await memory.postgres.store(Memory(user_id="ana", content=f"Tea at {hour}.", created_at=said_at))
        whole = await memory.consolidation.run_for_user("ana")

        listed = await cortex("runs", "ana")
        assert f"{whole.id}  {whole.started_at:%Y-%m-%d %H:%M}  consolidation succeeded · 1 summaries" in listed.out
        assert listed.out.endswith("5 runs\n")

        undone = await cortex("undo", "ana", str(whole.id))
        assert undone.out == "Taken back: 12 memories are recalled again, 1 aren't any more, 0 facts changed.\n"
        again = await cortex("undo", "ana", str(whole.id))
        assert (again.code, again.err) == (1, "This run was undone already.\n")
        assert all(entry["undone_at"] for entry in (await cortex("runs", "ana", "--json")).json)


class TestCheck:
    async def test_everything_is_there(self, cortex: Cortex):
        result = await cortex("check")
        assert result.code == 0
        lines = result.out.splitlines()
        assert [line.split()[1] for line in lines] == ["config", "redis", "postgres", "embedding", "llm", "dead"]
        assert "pgvector 0." in lines[2]
        assert f"schema {NEWEST_SCHEMA} of {NEWEST_SCHEMA}" in lines[2]
        assert "384 dimensions" in lines[3]

    async def test_a_server_that_is_away_does_not_hide_the_others(self, cortex: Cortex):
        result = await cortex.having(CORTEX_REDIS__URL=NOBODY_LISTENS)("check", "--json")
        assert result.code == 1
        assert result.json["ok"] is False
        status = {check["name"]: check["status"] for check in result.json["checks"]}
        assert status == {
            "config": "ok",
            "redis": "failed",
            "postgres": "ok",
            "embedding": "ok",
            "llm": "ok",
            "dead letters": "ok",
        }
        [redis] = [check for check in result.json["checks"] if check["name"] == "redis"]
        assert "redis.url" in redis["detail"]

        result = await cortex.having(CORTEX_POSTGRES__URL="postgresql://u:secret@127.0.0.1:1/x")("check", "--json")
        checks = {check["name"]: check for check in result.json["checks"]}
        assert (result.code, checks["postgres"]["status"], checks["redis"]["status"]) == (1, "failed", "ok")
        assert "postgres.url" in checks["postgres"]["detail"]
        assert "secret" not in result.out + result.err

    async def test_a_wrong_setting_is_the_first_failure(self, cortex: Cortex):
        result = await cortex.having(CORTEX_REDIS__PORT="1")("check", "--json")
        assert result.code == 1
        assert "redis.port" in result.json["checks"][0]["detail"].lower()

    async def test_the_language_model_is_asked_on_demand_only(self, cortex: Cortex):
        configured = cortex.having(CORTEX_LLM__BASE_URL="http://127.0.0.1:1/v1")
        assert (await configured("check")).code == 0
        asked = await configured("check", "--llm")
        assert asked.code == 1
        assert "failed   llm" in asked.out

    async def test_it_tells_which_config_file_it_read(self, cortex: Cortex, tmp_path: Path):
        (tmp_path / "mine.toml").write_text("[clara]\nname = 'Ada'\n")
        assert str(tmp_path / "mine.toml") in (await cortex("--config", "mine.toml", "check")).out


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"CORTEX_REDIS__URL": NOBODY_LISTENS}, "redis.url"),
            ({"CORTEX_REDIS__URL": "localhost:6379"}, "redis://"),
            ({"CORTEX_POSTGRES__URL": "postgresql://cortex:secret@127.0.0.1:1/cortex"}, "postgres.url"),
            ({"CORTEX_POSTGRES__URL": "mysql://localhost"}, "postgresql://"),
        ],
    )
    async def test_a_wrong_url_says_which_in_one_line(self, cortex: Cortex, settings: dict[str, str], told: str):
        result = await cortex.having(**settings)("search", "ana", "tea")
        assert result.code == 1
        assert told in result.err
        assert "secret" not in result.err
        assert result.err.count("\n") == 1

    async def test_a_missing_config_file_is_named(self, cortex: Cortex):
        result = await cortex("--config", "nowhere.toml", "migrate")
        assert (result.code, "nowhere.toml" in result.err) == (1, True)

    async def test_an_unusable_data_folder_is_named(self, cortex: Cortex, tmp_path: Path):
        (tmp_path / "file").touch()
        place = str(tmp_path / "file" / "data")
        embedded = {"CORTEX_REDIS__URL": "", "CORTEX_POSTGRES__URL": "", "CORTEX_EMBEDDED__DATA_DIR": place}
        result = await cortex.having(**embedded)("migrate")
        assert result.code == 1
        assert place in result.err
        assert "embedded.data_dir" in result.err

        checked = await cortex.having(**embedded)("check", "--json")
        failed = [check["name"] for check in checked.json["checks"] if check["status"] == "failed"]
        assert failed == ["redis", "postgres"]

    async def test_a_taken_port_is_named(self, cortex: Cortex):
        pytest.importorskip("simcord")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            result = await cortex("playground", "--port", port)
        assert (result.code, port in result.err) == (1, True)

    async def test_an_unknown_place_is_named(self, cortex: Cortex):
        pytest.importorskip("simcord")
        result = await cortex("playground", "--place", "garden")
        assert (result.code, "garden" in result.err) == (1, True)


async def test_run_starts_the_bot_with_the_same_settings(cortex: Cortex):
    result = await cortex.having(DISCORD_TOKEN="none")("--config", "mine.toml", "run")  # noqa: S106  it is none
    assert (result.code, "There is no config file mine.toml" in result.err) == (1, True)


async def test_migrate_tells_what_it_applied(cortex: Cortex, connect: Connect):
    async with connect() as connection:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert f"schema 0 of {NEWEST_SCHEMA}" in (await cortex("check")).out
    assert (await cortex("migrate")).out.startswith("applied 0001_initial\n")
    assert (await cortex("migrate")).out == "The database has every migration of this version.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_writes_what_others_acknowledge_until_it_is_told_to_stop(
    cortex: Cortex, memory_config: MemoryConfig, number: signal.Signals
):
    silent = memory_config.ingestion.model_copy(update={"consumers": 0, "drain_seconds": 0.1})
    async with MemoryManager(memory_config.model_copy(update={"ingestion": silent})) as memory:
        await memory.store("ana", "My cat is called Miso.", source_id="m0")
        assert await memory.get("ana", memory_id_of("m0")) is None
        worker = await cortex.start("worker")
        await eventually(lambda: memory.get("ana", memory_id_of("m0")))
        worker.send_signal(number)
        result = await finish(worker)
    assert (result.code, result.out) == (0, "")


async def test_what_redis_holds_can_be_seen(cortex: Cortex, memory: MemoryManager):
    stored = await memory.store("ana", "My cat \x1b[31m猫 is called Miso.")
    await memory.update_session("ana", {"topic": "cats"})
    await memory.redis.set_identity("ana", {"name": "Ana"})
    assert (await cortex("redis", "get-identity", "ana")).json["name"] == "Ana"
    assert (await cortex("redis", "get-session", "ana")).json["topic"] == "cats"
    assert (await cortex("redis", "get-recent", "ana")).json == [stored.memory_id]
    working = await cortex("redis", "get-working", "ana")
    assert [memory["id"] for memory in working.json] == [stored.memory_id]
    assert "\x1b" not in working.out
    assert (await cortex("redis", "get-working", "nobody")).json == []


async def test_dead_letters_are_listed_and_delivered(cortex: Cortex, memory: MemoryManager):
    await memory.store("ana", "My cat is called Miso.", source_id="m0")
    await memory.flush()
    stored = await memory.get("ana", memory_id_of("m0"))
    assert stored is not None
    lost = stored.model_copy(update={"id": memory_id_of("m1"), "source_id": "m1", "content": "Secret"})
    contradicting = stored.model_copy(update={"content": "Secret"})
    for n, payload in enumerate([_write_payload(lost), _write_payload(contradicting), "garbage", "Secret"]):
        letter = DeadLetter(
            f"{utc_now().timestamp() * 1000:.0f}-{n}", ascii(payload), "It failed.", 3, utc_now(), "ana"
        )
        await memory.postgres.dead_letters.add(letter, acknowledged_at=letter.first_failed_at)

    listed = await cortex("dead-letters", "list")
    assert listed.out.endswith("4 dead letters\n")
    assert "Secret" not in listed.out
    replayed = await cortex("dead-letters", "replay", "--json")
    assert (replayed.code, replayed.json) == (1, {"delivered": 1, "left": 3})
    assert (await memory.get("ana", memory_id_of("m1"))) is not None
    assert len((await cortex("dead-letters", "list", "--json")).json) == 3


def test_text_can_not_command_a_terminal():
    assert console.printable("a\x1b]0;x\x07\x9b1m\r\nb") == "a ]0;x  1m \nb"

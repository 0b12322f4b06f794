"""The export: all of one person's, nothing of anybody else's, and nothing in it that is more than text."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cortex_core import Audience, InvalidInputError, Memory, MemoryConfig, MemoryManager, MemoryStatus
from cortex_core.forgetting.export import Export
from cortex_core.forgetting.markdown import MarkdownExport, escape
from cortex_core.models import utc_now
from cortex_core.providers.local import LocalEmbedder
from cortex_core.sql import load_queries
from cortex_core.stores.postgres import export as module
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.postgres.store import PendingWrite
from tests.harness import Connect, ScriptedEmbedder, flag_contradiction

ROOT = Path(__file__).parents[2]
MARCH, APRIL = datetime(2026, 3, 5, 12, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
CANARY = "xylocanary"


@pytest.fixture
async def memory(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        yield memory


def read(export: Export) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Return the head and the entries by kind."""
    head, *entries = map(json.loads, export.jsonl.splitlines())
    kinds: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        kinds.setdefault(entry.pop("kind"), []).append(entry)
    return head, kinds


async def fill(memory: MemoryManager, user_id: str, word: str) -> UUID:
    """Leave the word wherever something of a person is kept, and return the id of a project of theirs."""
    projects = memory.project_memory
    project = await projects.create_project(None, f"project {word}", user_id)
    other = await projects.create_project(None, f"archived {word}", user_id)
    await projects.archive(other.id, by=user_id)
    host = await projects.create_project(None, f"invites {word}", f"host of {user_id}")
    await projects.invite(host.id, user_id, by=f"host of {user_id}")
    await memory.store(user_id, f"first {word}", created_at=MARCH, source_id=f"m-{user_id}", tags=["pinned"])
    await memory.store(
        user_id, f"second {word}", created_at=APRIL, project_id=project.id, audience=Audience.channel(7, 1)
    )
    await memory.update_identity(user_id, "city", f"Lisbon {word}")
    await memory.update_identity(user_id, "city", f"Porto {word}")
    await memory.start_session(user_id, {"topic": word})
    await memory.redis.update_meta(user_id, {"note": word})
    await memory.change_preferences(user_id, keeps_private=True)
    await memory.leave_guild(7, user_id, now=MARCH + timedelta(days=3650))
    await memory.flush()
    [one, two, *_] = await memory.list_memories(user_id)
    await flag_contradiction(memory.postgres.pool, user_id, one.id, two.id, f"why {word}")
    letter = DeadLetter(f"{uuid4()}", f"payload {word}", f"reason {word}", 1, utc_now(), user_id, one.id)
    await memory.postgres.dead_letters.add(letter, acknowledged_at=utc_now())
    return one.id


async def test_it_holds_all_that_is_kept(memory: MemoryManager):
    await fill(memory, "ann", CANARY)

    export = await memory.export("ann")

    head, kinds = read(export)
    assert (head["format"], head["version"], head["user_id"]) == ("cortex-export", 1, "ann")
    assert datetime.fromisoformat(head["exported_at"]) <= utc_now()
    assert {kind: len(entries) for kind, entries in kinds.items()} == {
        "preferences": 1,
        "fact": 2,
        "membership": 2,
        "invitation": 1,
        "session": 1,
        "contradiction": 1,
        "dead_letter": 1,
        "departure": 1,
        "notes": 1,
        "memory": 4,
    }
    assert export.memory_count == 4
    assert kinds["preferences"] == [
        {"opted_out": False, "paused_until": None, "keeps_private": True, "wants_digest": False}
    ]
    first, second, *identity = kinds["memory"]
    assert (first["content"], first["status"], first["tags"]) == (f"first {CANARY}", "active", ["pinned"])
    assert (first["source"], first["source_id"], first["audience"]) == ("conversation", "m-ann", "owner")
    assert second["project_id"] in {project["id"] for project in kinds["membership"]}
    assert [m["status"] for m in identity] == ["superseded", "active"]
    assert [fact["evidence"] for fact in kinds["fact"]] == [[m["id"]] for m in identity]
    assert kinds["fact"][0]["valid_to"] == kinds["fact"][1]["valid_from"]
    assert kinds["session"][0]["state"]["topic"] == CANARY
    assert "payload" not in export.jsonl.decode()
    assert not {"embedding", "signs", "terms", "score"} & first.keys()


async def test_every_text_is_in_the_markdown_too(memory: MemoryManager):
    await fill(memory, "ann", CANARY)

    export = await memory.export("ann")

    text = export.markdown.decode()
    assert text.index("### 2026-03") < text.index(f"> first {CANARY}") < text.index("### 2026-04")
    assert text.index("### 2026-04") < text.index(f"> second {CANARY}")
    assert text.count(CANARY) == export.jsonl.decode().count(CANARY)
    assert text.endswith("\nMemories: 4\n")


async def test_it_holds_nothing_of_anybody_else(memory: MemoryManager):
    for person in ("ben", "*", "{}", "ann "):
        await fill(memory, person, f"foreign-{CANARY}")
    await fill(memory, "ann", "own")
    shared = await memory.project_memory.create_project(None, "shared", "ben", ["ann"])
    await memory.project_memory.store_project_memory(shared.id, f"foreign-{CANARY}", "ben")

    export = await memory.export("ann")

    assert CANARY not in (export.jsonl + export.markdown).decode()
    assert export.memory_count == 4


async def test_what_was_just_said_is_in_it(memory: MemoryManager):
    await memory.store("ann", "just now")

    assert (await memory.export("ann")).memory_count == 1


async def test_of_nobody_it_is_empty(memory: MemoryManager):
    export = await memory.export("nobody")

    assert read(export)[1].keys() == {"preferences"}
    assert export.memory_count == 0
    with pytest.raises(InvalidInputError):
        await memory.export("a\0b")


async def test_what_was_forgotten_is_not_in_it(memory: MemoryManager):
    await fill(memory, "ann", CANARY)
    await memory.forget_everything("ann")

    export = await memory.export("ann")

    _, kinds = read(export)
    assert kinds.keys() == {"preferences", "membership", "invitation", "departure"}  # these are no memories


@pytest.mark.parametrize("page", [1, 3, 7])
async def test_pages_neither_lose_nor_repeat(memory: MemoryManager, monkeypatch: pytest.MonkeyPatch, page: int):
    monkeypatch.setattr(module, "_PAGE", page)
    many = [
        Memory(user_id="ann", content=f"{n}", created_at=MARCH + timedelta(minutes=n // 5), status=status)
        for n, status in enumerate([*MemoryStatus] * 7)
    ]
    await memory.postgres.write([PendingWrite(m) for m in many])

    _, kinds = read(await memory.export("ann"))

    expected = sorted(many, key=lambda m: (m.created_at, m.id))
    assert [m["id"] for m in kinds["memory"]] == [str(m.id) for m in expected]


async def test_a_page_is_found_by_its_place(memory: MemoryManager, connect: Connect):
    """However far down: not by going through all that stand above."""
    async with connect() as connection:
        await connection.execute(
            "INSERT INTO memories (user_id, id, audience, memory_type, content, content_hash, emotional_score, "
            "importance, confidence, created_at, valid_from, source) "
            "SELECT 'ann', gen_random_uuid(), 'owner', 'episodic', 'x', '', 0, 0, 1, "
            "timestamptz '2026-01-01Z' + n * interval '1 s', now(), 'test' FROM generate_series(1, 20000) AS n"
        )
        await connection.execute("ANALYZE memories; SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE page AS {load_queries('export')['memories']}")
        async with connection.transaction():
            await connection.execute(load_queries("connection")["read_as"], "ann")
            plan = await connection.fetch(
                "EXPLAIN (ANALYZE, FORMAT TEXT) EXECUTE page('ann', '2026-01-01T05:00:00Z', gen_random_uuid(), 200)"
            )
    [condition] = [row[0] for row in plan if "Index Cond" in row[0]]
    assert "created_at" in condition
    assert (await memory.export("ann")).memory_count == 20_000


NASTY = [
    "<script>alert(1)</script>",
    "</blockquote><img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "![a](http://a/b.png)",
    "<https://example.org>",
    "# heading",
    "a\n===",
    "a\n---",
    "***",
    "```\ncode",
    "    code",
    "\tcode",
    "- list",
    "1. list",
    "1) list",
    "> deeper",
    "| a | b |\n|---|---|",
    "[x]: http://a",
    "&lt;b&gt; &amp; &#60;",
    "a\\",
    "\\*a\\*",
    "a\r# b",
    "a\u2028# b",
    "a\x0b# b",
    "\u202egnihtemos",
    "~~~\nx",
    "a  \nb",
    "`a` **b** __c__ ~~d~~",
    "<!-- a",
    "-->",
    "+ a",
    "\n\n# a",
    ":::note",
    "猫 *が* 好き",
]


def said(content: str, **more: Any) -> Memory:
    return Memory(user_id="ann", content=content, created_at=MARCH, **more)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1) | st.sampled_from(NASTY))
@settings(deadline=None, max_examples=400)
@example("\n".join(NASTY))
def test_whatever_is_said_stays_text(content: str):
    page = MarkdownExport(content, MARCH)
    page.add("session", {"state": {content: content}})
    page.add_memory(said(content, author_name=content, tags=(content,), channel_id=content))
    page.add_memory(said("the next"))
    text = page.finish(2).decode()

    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text)

    blocks = [token.type for token in tokens]
    quotes = [n for n, kind in enumerate(blocks) if kind == "blockquote_open"]
    assert len(quotes) == 2
    assert {token.level for token in tokens if token.type == "blockquote_open"} == {0}
    assert set(blocks) <= {
        f"{kind}_{side}"
        for kind in ("heading", "paragraph", "blockquote", "bullet_list", "list_item")
        for side in ("open", "close")
    } | {"inline", "hr"}
    assert blocks.count("heading_open") == 4
    assert blocks.count("bullet_list_open") == blocks.count("list_item_open") == 1
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "text_special", "softbreak", "strong_open", "strong_close"}
    assert sum(child.type == "strong_open" for token in tokens for child in token.children or ()) == 2
    assert "<" not in text


@pytest.mark.parametrize("text", NASTY)
def test_it_reads_as_it_was_said(text: str):
    for line in text.splitlines():
        [_, inline, _] = MarkdownIt("gfm-like", {"linkify": False}).parse(escape(line)) or [None, None, None]
        shown = "".join(child.content for child in inline.children) if inline else ""
        assert shown == line.replace("\u202e", "").strip()


async def test_the_command_writes_two_files_for_ones_own_eyes(
    memory_config: MemoryConfig, embedder: LocalEmbedder, tmp_path: Path
):
    async with MemoryManager(memory_config, embedder=embedder) as memory:
        await fill(memory, "../ann", CANARY)
    command = [sys.executable, "-m", "cortex_core", "export", "../ann", "--output", str(tmp_path)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CORTEX_REDIS__URL": memory_config.redis.url,
        "CORTEX_POSTGRES__URL": memory_config.postgres.url,
    }

    for _ in range(2):  # the second replaces what the first wrote
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0

    names = ["cortex-..%2Fann.jsonl", "cortex-..%2Fann.md"]
    assert [(tmp_path / name).exists() for name in names] == [True, True]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names} == {0o600}
    assert "4 memories" in out.decode()
    head, kinds = read(Export((tmp_path / names[0]).read_bytes(), b"", 4))
    assert head["user_id"] == "../ann"
    assert len(kinds["memory"]) == 4

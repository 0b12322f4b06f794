"""Contradictions against real servers: each is flagged once, decided by whom it concerns, once, and can be reopened."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
import uuid_utils.compat as uuid7
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cortex_core import Memory, MemoryStatus, MemoryType, PostgresConfig, PostgresStore, RedisStore
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.clustering import cluster_by_similarity
from cortex_core.consolidation.contradictions import ContradictionDetector, Resolution
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.errors import (
    AccessDeniedError,
    InvalidInputError,
    NotFoundError,
    ProviderUnavailableError,
    StoreUnavailableError,
    UnreadableAnswerError,
)
from cortex_core.late_interaction import Embedding
from cortex_core.models import RunStatus
from cortex_core.providers.analysis import Analysis, Claim, KnownFact, Statement
from cortex_core.providers.openai_llm import OpenAIChat
from cortex_core.stores.postgres.contradictions import Contradiction
from tests.harness import Connect, flag_contradiction
from tests.integration.test_compaction import Crash
from tests.openai_server import Answer, ScriptedOpenAI

WHEN = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class PlainRules:
    """Understands "I live in …" and "My sister lives in …", and nothing else."""

    name = "rules"

    async def analyse(self, statements: Sequence[Statement], _known: Sequence[KnownFact], *, account: str) -> Analysis:
        assert account == ""
        claims = []
        for statement in statements:
            for start, subject in (("I live in ", None), ("My sister lives in ", "sister")):
                if statement.text.startswith(start):
                    value = statement.text.removeprefix(start).removesuffix(".")
                    claims.append(
                        Claim(
                            attribute="location",
                            value=value,
                            subject=subject,
                            confidence=0.9,
                            evidence=(statement.number,),
                        )
                    )
        return Analysis(claims=tuple(claims))


@pytest.fixture
async def store(postgres: PostgresStore) -> PostgresStore:
    await postgres.vectors.open_space("plane", 2)
    return postgres


@pytest.fixture
async def server(server: ScriptedOpenAI) -> ScriptedOpenAI:
    finds(server)
    return server


@pytest.fixture
def woken() -> list[bool]:
    return []


@pytest.fixture
def detector(store: PostgresStore, redis: RedisStore, chat: OpenAIChat, woken: list[bool]) -> ContradictionDetector:
    return ContradictionDetector(ConsolidationConfig(), redis, store, chat, PlainRules(), lambda: woken.append(True))


@pytest.fixture
def rules_alone(store: PostgresStore, redis: RedisStore) -> ContradictionDetector:
    return ContradictionDetector(ConsolidationConfig(), redis, store, None, PlainRules(), lambda: None)


def finds(server: ScriptedOpenAI, *conflicts: tuple[int, int], reason: str = "Both can't be.") -> None:
    server.reply = json.dumps({"conflicts": [{"a": a, "b": b, "reason": reason} for a, b in conflicts]})


async def know(store: PostgresStore, content: str, degrees: float = 0.0, **fields) -> Memory:
    memory = Memory(
        **{
            "user_id": "ann",
            "content": content,
            "memory_type": MemoryType.SEMANTIC,
            "created_at": WHEN,
            "emotional_score": 0.0,
            **fields,
        }
    )
    angle = np.radians(degrees)
    await store.store(memory, Embedding(np.array([np.cos(angle), np.sin(angle)], dtype=np.float32), None))
    return memory


async def a_project(connect: Connect, **roles: str) -> str:
    async with connect() as connection, connection.transaction():
        [owner] = [person for person, role in roles.items() if role == "owner"]
        await connection.execute("INSERT INTO projects (id, name, owner_id) VALUES ('p', 'P', $1)", owner)
        for person, role in roles.items():
            await connection.execute(
                "INSERT INTO project_members (project_id, user_id, role) VALUES ('p', $1, $2)", person, role
            )
    return "p"


async def detect(store: PostgresStore, detector: ContradictionDetector, owner: str = "ann") -> int:
    keeper = RunKeeper(store)
    async with keeper.holding(owner) as lease, keeper.running(lease, detector.name) as run:
        await detector.work(run)
        return run.counts["contradictions_found"]


async def status(store: PostgresStore, *memories: Memory) -> list[MemoryStatus]:
    return [(await store.get(memory.user_id, memory.id)).status for memory in memories]


class TestClusters:
    def test_what_is_close_on_average_is_together(self):
        def at(degrees: float):
            return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], dtype=np.float32)

        vectors = [at(degrees) for degrees in (0, 90, 3, 95, 180, 6)]

        assert cluster_by_similarity(vectors, 0.8) == [[0, 2, 5], [1, 3]]
        assert cluster_by_similarity(vectors[:1], 0.8) == []
        assert cluster_by_similarity([], 0.8) == []

    @given(st.lists(st.floats(0, 360), min_size=2, max_size=25), st.floats(0.5, 0.99))
    def test_clusters_are_disjoint_and_similar_on_average(self, angles: list[float], threshold: float):
        vectors = [np.array([np.cos(np.radians(a)), np.sin(np.radians(a))], dtype=np.float32) for a in angles]

        clusters = cluster_by_similarity(vectors, threshold)

        places = [place for cluster in clusters for place in cluster]
        assert len(places) == len(set(places)) <= len(angles)
        for cluster in clusters:
            matrix = np.stack([vectors[place] for place in cluster])
            assert len(cluster) > 1
            assert (matrix @ matrix.T).max(axis=1).min() > threshold - 1e-6
        left = [place for place in range(len(angles)) if place not in places]
        similarity = np.stack(vectors) @ np.stack(vectors).T
        assert all(similarity[a, b] <= threshold + 1e-6 for a in left for b in left if a < b)


class TestFinding:
    async def test_a_model_compares_what_is_similar(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        older = await know(store, "The cat is called Miso.", 0)
        newer = await know(store, "The cat is called Tofu.", 5, created_at=WHEN + DAY)
        await know(store, "It rains.", 120)
        await know(store, "An episode of a cat.", 2, memory_type=MemoryType.EPISODIC)
        await know(store, "A week with the cat.", 2, source="compaction")
        finds(server, (1, 2), reason="A cat has one name.")

        assert await detect(store, detector) == 1

        [found] = await store.contradictions.list_open("ann")
        assert {found.memory_a, found.memory_b} == {older.id, newer.id}
        assert (found.explanation, found.found_by, found.project_id) == ("A cat has one name.", "scripted", None)
        [request] = server.requests
        told = json.loads(request.body["messages"][1]["content"])["statements"]
        assert [statement["text"] for statement in told] == [newer.content, older.content]
        assert await status(store, older, newer) == [MemoryStatus.ACTIVE] * 2

    async def test_each_is_flagged_once_and_what_didn_t_change_isn_t_asked_again(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        for content in ("one", "other", "third"):
            await know(store, content)
        finds(server, (1, 2), (2, 1), (1, 2))
        assert await detect(store, detector) == 1

        assert await detect(store, detector) == 0
        assert len(server.requests) == 1

        await know(store, "fourth")
        assert await detect(store, detector) == 1  # among four, the first two are others
        assert len(server.requests) == 2

    @pytest.mark.parametrize("pair", [(0, 1), (1, 3), (-1, 2), (1, 1), (99, 100)])
    async def test_what_was_not_offered_is_not_found(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, pair: tuple[int, int]
    ):
        await know(store, "one")
        await know(store, "other")
        finds(server, pair)

        assert await detect(store, detector) == 0

    async def test_a_cluster_is_asked_about_three_times_until_it_changes(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        for content, degrees in {"one": 0, "other": 2, "Poison.": 90, "More poison.": 92}.items():
            await know(store, content, degrees)
        found = json.dumps({"conflicts": [{"a": 1, "b": 2, "reason": "Both can't be."}]})
        server.answer_with(lambda body: Answer.chat("All true!" if "Poison" in json.dumps(body) else found))

        with pytest.raises(UnreadableAnswerError):
            await detect(store, detector)
        assert len(await store.contradictions.list_open("ann")) == 1  # the other cluster's, which is settled
        for _ in range(2):
            with pytest.raises(UnreadableAnswerError):
                await detect(store, detector)
        server.requests.clear()
        assert await detect(store, detector) == 0
        assert server.requests == []

        await know(store, "An antidote.", 91)
        with pytest.raises(UnreadableAnswerError):
            await detect(store, detector)

    async def test_another_model_is_asked_anew(
        self, store: PostgresStore, redis: RedisStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        await know(store, "one")
        await know(store, "other")
        await detect(store, detector)
        chat = OpenAIChat.open(model="better", base_url=server.base_url, api_key=SecretStr(""), timeout_seconds=5)
        finds(server, (1, 2))
        better = ContradictionDetector(ConsolidationConfig(), redis, store, chat, None, lambda: None)

        assert await detect(store, better) == 1
        await chat.close()

    async def test_an_absent_model_is_an_error_and_counts_for_nothing(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        await know(store, "one")
        await know(store, "other")
        server.answer_with(lambda _: Answer.error(500))
        for _ in range(4):
            with pytest.raises(ProviderUnavailableError):
                await detect(store, detector)

        server.answer_with(None)
        finds(server, (1, 2))
        assert await detect(store, detector) == 1

    async def test_a_project_that_can_t_be_compared_keeps_no_other_from_it(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, connect: Connect
    ):
        for project in ("p", "q"):
            async with connect() as connection, connection.transaction():
                await connection.execute("INSERT INTO projects (id, name, owner_id) VALUES ($1, $1, 'ann')", project)
                await connection.execute(
                    "INSERT INTO project_members (project_id, user_id, role) VALUES ($1, 'ann', 'owner')", project
                )
            for number in range(2):
                await know(store, f"{number} of {project}", project_id=project)
        found = json.dumps({"conflicts": [{"a": 1, "b": 2, "reason": "Both can't be."}]})
        server.answer_with(lambda body: Answer.chat("?" if "of p" in json.dumps(body["messages"]) else found))

        with pytest.raises(UnreadableAnswerError):
            await detect(store, detector)

        assert [c.project_id for c in await store.contradictions.list_open("ann")] == ["q"]
        outcomes = {run.job: run.status for run in await store.runs.list_runs()}
        assert outcomes == {
            "contradictions": RunStatus.FAILED,
            "contradictions in p": RunStatus.FAILED,
            "contradictions in q": RunStatus.SUCCEEDED,
        }

    async def test_the_rules_compare_attributes_of_one_value(
        self, store: PostgresStore, rules_alone: ContradictionDetector
    ):
        lyon = await know(store, "I live in Lyon.", 0)
        oslo = await know(store, "I live in Oslo.", 90)
        await know(store, "I live in Oslo, Norway.", 90)  # says the same and more
        await know(store, "My sister lives in Rome.", 0)
        await know(store, "I like tea.", 0)

        assert await detect(store, rules_alone) == 2  # Lyon against either

        found = await store.contradictions.list_open("ann")
        assert frozenset((lyon.id, oslo.id)) in {frozenset((c.memory_a, c.memory_b)) for c in found}
        assert "The location can't be both" in found[0].explanation
        assert found[0].found_by == "rules"
        assert await detect(store, rules_alone) == 0

    @pytest.mark.parametrize("answer", [None, "kept", "expired"])
    async def test_what_its_owner_is_asked_about_isn_t_flagged_too(
        self,
        store: PostgresStore,
        detector: ContradictionDetector,
        server: ScriptedOpenAI,
        connect: Connect,
        answer: str | None,
    ):
        lyon = await know(store, "I live in Lyon.")
        oslo = await know(store, "I live in Oslo.")
        await know(store, "I live in Oslo!")
        other = await know(store, "I live in Rome.")
        await ask(connect, lyon, oslo, answer)
        finds(server, (1, 2), (4, 3))  # Rome and Oslo, Lyon and Oslo
        await detect(store, detector)

        pairs = {frozenset((c.memory_a, c.memory_b)) for c in await store.contradictions.list_open("ann")}
        assert len(pairs) == 3
        assert all(other.id in pair for pair in pairs)

    async def test_a_question_takes_the_place_of_what_was_flagged(
        self, store: PostgresStore, rules_alone: ContradictionDetector, connect: Connect
    ):
        lyon = await know(store, "I live in Lyon.")
        oslo = await know(store, "I live in Oslo.")
        assert await detect(store, rules_alone) == 1

        await ask(connect, lyon, oslo)

        assert await store.contradictions.list_open("ann") == []
        assert await store.contradictions.list_pending(limit=9) == []

    async def test_who_opted_out_is_not_looked_at(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, connect: Connect
    ):
        await know(store, "I live in Lyon.")
        await know(store, "I live in Oslo.")
        async with connect() as connection:
            await connection.execute("UPDATE owners SET opted_out_at = now()")

        assert await detect(store, detector) == 0
        assert server.requests == []

    async def test_a_project_is_compared_across_people_and_apart_from_what_is_personal(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, connect: Connect
    ):
        project = await a_project(connect, ann="owner", ben="member", cleo="admin")
        friday = await know(store, "We ship on Friday.", project_id=project, audience="guild:1")
        monday = await know(store, "We ship on Monday.", user_id="ben", project_id=project, audience="guild:1")
        await know(store, "A secret about shipping.")
        await know(store, "Somebody else's secret about shipping.", user_id="ben")
        finds(server, (1, 2))

        assert await detect(store, detector) == 1

        told = [
            statement
            for r in server.requests
            for statement in json.loads(r.body["messages"][1]["content"])["statements"]
        ]
        assert {statement["text"] for statement in told} == {friday.content, monday.content}
        assert "ann" not in json.dumps(told)
        for person, count in {"ann": 1, "ben": 0, "cleo": 1, "dora": 0}.items():
            found = await store.contradictions.list_open(person)
            assert len(found) == count, person
        assert await store.contradictions.list_open("ann", project_id="another") == []
        assert len(await store.contradictions.list_pending(limit=9)) == 1
        assert await detect(store, detector, "ben") == 0  # it was looked at


async def ask(connect: Connect, held: Memory, said: Memory, answer: str | None = None) -> None:
    """Let Ann be asked which of two places she lives in."""
    values = [json.dumps(memory.content.removeprefix("I live in ").rstrip(".")) for memory in (held, said)]
    async with connect() as connection, connection.transaction():
        fact_id = await add_fact(connection, "location", held.id)
        await connection.execute("UPDATE identity_facts SET value = $2::jsonb WHERE id = $1", fact_id, values[0])
        await connection.execute(
            "INSERT INTO corrections "
            "(user_id, id, fact_id, memory_id, value, value_key, valid_from, answer, answered_at) "
            "VALUES ('ann', gen_random_uuid(), $1, $2, $3::jsonb, 'x', $4, $5, CASE WHEN $5 <> '' THEN now() END)",
            fact_id, said.id, values[1], WHEN, answer,
        )  # fmt: skip


async def flagged(
    store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, **newer_fields
) -> tuple[Contradiction, Memory, Memory]:
    """Two memories of Ann's, the older one first, that contradict each other."""
    older = await know(store, "The cat is called Miso.")
    newer = await know(store, "The cat is called Tofu.", created_at=WHEN + 9 * DAY, **newer_fields)
    finds(server, (1, 2))
    await detect(store, detector)
    [found] = await store.contradictions.list_open("ann")
    return found, older, newer


class TestDeciding:
    @pytest.mark.parametrize("wins", [Resolution.A_WINS, Resolution.B_WINS])
    async def test_one_wins(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, wins: Resolution
    ):
        found, *_ = await flagged(store, detector, server)
        loser = found.memory_b if wins is Resolution.A_WINS else found.memory_a

        decided = await detector.resolve_contradiction(found.id, wins, "so she said", by="ann")

        assert (decided.resolution, decided.resolved_by, decided.note) == (wins, "ann", "so she said")
        kept = {memory_id: await store.get("ann", memory_id) for memory_id in (found.memory_a, found.memory_b)}
        assert [m.id for m in kept.values() if m.status is MemoryStatus.SUPERSEDED] == [loser]
        assert kept[loser].valid_to is not None
        assert await store.contradictions.list_open("ann") == []

    async def test_facts_that_rest_on_the_loser_alone_end(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, connect: Connect
    ):
        found, *_ = await flagged(store, detector, server)
        async with connect() as connection:
            alone = await add_fact(connection, "cat", found.memory_b)
            both = await add_fact(connection, "pets", found.memory_a, found.memory_b)

        await detector.resolve_contradiction(found.id, Resolution.A_WINS, by="ann")
        assert await current(connect) == {both}
        await detector.reopen(found.id, by="ann")
        assert await current(connect) == {both, alone}

    async def test_both_may_be_valid(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        found, older, newer = await flagged(store, detector, server)

        await detector.resolve_contradiction(found.id, Resolution.BOTH_VALID, by="ann")

        assert await status(store, older, newer) == [MemoryStatus.ACTIVE] * 2
        assert await store.contradictions.list_open("ann") == []
        await know(store, "One more.")
        await detect(store, detector)
        assert found.id not in {c.id for c in await store.contradictions.list_open("ann")}

    @pytest.mark.parametrize("on", [None, WHEN + 3 * DAY])
    async def test_it_changed_on_a_date(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, on: datetime | None
    ):
        found, older, newer = await flagged(store, detector, server)

        await detector.resolve_contradiction(found.id, Resolution.CHANGED, by="ann", changed_on=on)

        date = on or newer.created_at
        was, now = await store.get("ann", older.id), await store.get("ann", newer.id)
        assert (was.status, was.valid_to) == (MemoryStatus.SUPERSEDED, date)
        assert (now.status, now.valid_from, now.valid_to) == (MemoryStatus.ACTIVE, date, None)

    @pytest.mark.parametrize("on", [datetime(2126, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)])  # noqa: DTZ001
    async def test_a_date_lies_in_the_past(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, on: datetime
    ):
        found, *_ = await flagged(store, detector, server)
        with pytest.raises(InvalidInputError, match="in the past"):
            await detector.resolve_contradiction(found.id, Resolution.CHANGED, by="ann", changed_on=on)

    @pytest.mark.parametrize("words", ["The cat is called Miso, or Tofu.", None])
    async def test_two_are_merged(
        self,
        store: PostgresStore,
        detector: ContradictionDetector,
        server: ScriptedOpenAI,
        woken: list[bool],
        words: str | None,
    ):
        found, older, newer = await flagged(store, detector, server, audience="guild:1")
        server.reply = json.dumps({"content": "Miso was renamed Tofu."})

        await detector.resolve_contradiction(found.id, Resolution.MERGE, "renamed", by="ann", merged=words)

        [merged] = [m for m in await store.get_memories("ann") if m.source == "contradiction_merge"]
        assert merged.content == (words or "Miso was renamed Tofu.")
        assert (merged.audience, merged.memory_type) == ("owner", MemoryType.SEMANTIC)
        assert await status(store, older, newer) == [MemoryStatus.SUPERSEDED] * 2
        assert {m.id for m in await store.derivations.list_sources("ann", merged.id)} == {older.id, newer.id}
        assert merged.id in {missing.id for missing in await store.vectors.list_missing(10)}
        assert woken == [True]

    async def test_without_a_model_the_words_have_to_be_given(
        self, store: PostgresStore, rules_alone: ContradictionDetector
    ):
        await know(store, "I live in Lyon.")
        await know(store, "I live in Oslo.")
        await detect(store, rules_alone)
        [found] = await store.contradictions.list_open("ann")
        for words in (None, "  "):
            with pytest.raises(InvalidInputError, match="in words"):
                await rules_alone.resolve_contradiction(found.id, Resolution.MERGE, by="ann", merged=words)

    @pytest.mark.parametrize("resolution", Resolution)
    async def test_every_decision_can_be_taken_back(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, resolution: Resolution
    ):
        found, older, newer = await flagged(store, detector, server)
        before = [await store.get("ann", memory.id) for memory in (older, newer)]
        await detector.resolve_contradiction(found.id, resolution, by="ann", merged="Both.")

        await detector.reopen(found.id, by="ann")

        after = [await store.get("ann", memory.id) for memory in (older, newer)]
        assert [m.model_copy(update={"updated_at": None}) for m in after] == [
            m.model_copy(update={"updated_at": None}) for m in before
        ]
        assert [c.id for c in await store.contradictions.list_open("ann")] == [found.id]
        assert {m.content for m in await store.get_memories("ann")} == {older.content, newer.content}
        with pytest.raises(InvalidInputError, match="Nobody has decided"):
            await detector.reopen(found.id, by="ann")
        await detector.resolve_contradiction(found.id, resolution, by="ann", merged="Both.")

    async def test_undoing_its_run_reopens_it(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        found, *_ = await flagged(store, detector, server)
        decided = await detector.resolve_contradiction(found.id, Resolution.A_WINS, by="ann")

        await store.runs.undo("ann", decided.run_id)

        assert [c.id for c in await store.contradictions.list_open("ann")] == [found.id]

    async def test_of_many_at_once_one_decides(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        found, older, newer = await flagged(store, detector, server)

        results = await asyncio.gather(
            *[
                detector.resolve_contradiction(found.id, [Resolution.A_WINS, Resolution.B_WINS][number % 2], by="ann")
                for number in range(8)
            ],
            return_exceptions=True,
        )

        assert sum(isinstance(result, Contradiction) for result in results) == 1
        assert sum(isinstance(result, InvalidInputError) for result in results) == 7
        assert sorted(await status(store, older, newer)) == [MemoryStatus.ACTIVE, MemoryStatus.SUPERSEDED]

    async def test_what_holds_no_more_is_not_to_be_decided(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        found, older, _ = await flagged(store, detector, server)
        await store.update_status("ann", older.id, MemoryStatus.SUPERSEDED)

        assert await store.contradictions.list_open("ann") == []
        with pytest.raises(InvalidInputError, match="doesn't hold any more"):
            await detector.resolve_contradiction(found.id, Resolution.A_WINS, by="ann")

    async def test_forgetting_one_takes_it_along(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        found, older, newer = await flagged(store, detector, server)
        await detector.resolve_contradiction(found.id, Resolution.MERGE, by="ann", merged="Both.")

        await store.erasure.erase("ann", [older.id])

        assert [memory.id for memory in await store.get_memories("ann", status=None)] == [newer.id]
        with pytest.raises(NotFoundError):
            await store.contradictions.get("ann", found.id)


class TestCrashes:
    @pytest.mark.parametrize("resolution", [Resolution.A_WINS, Resolution.MERGE, Resolution.CHANGED])
    async def test_a_crash_at_any_step_decides_all_or_nothing(
        self,
        store: PostgresStore,
        redis: RedisStore,
        postgres_config: PostgresConfig,
        connect: Connect,
        resolution: Resolution,
    ):
        at, crashed, broken = 0, True, []
        while crashed:
            at += 1
            for after in (False, True):
                a, b = await know(store, f"one {at} {after}"), await know(store, f"other {at} {after}")
                await flag_contradiction(store.pool, "ann", a.id, b.id, "why")
                async with connect() as connection:
                    await add_fact(connection, f"fact {at} {after}", b.id)
                open_ones = await store.contradictions.list_open("ann", limit=1000)
                [found] = [c for c in open_ones if {c.memory_a, c.memory_b} == {a.id, b.id}]
                before = await state(connect, found)
                victim = PostgresStore(postgres_config)
                await victim.connect()
                await victim.vectors.open_space("plane", 2)
                decider = ContradictionDetector(ConsolidationConfig(), redis, victim, None, None, lambda: None)
                with pytest.MonkeyPatch.context() as monkeypatch:
                    crash = Crash(monkeypatch, at, after=after)
                    crash.arm()
                    with suppress(StoreUnavailableError):
                        await decider.resolve_contradiction(found.id, resolution, by="ann", merged="Both.")
                crashed = crash.steps >= at
                await victim.close()
                now = await state(connect, found)
                if now not in (before, DECIDED[resolution]):
                    broken.append((at, after, now))
        assert at > 8
        assert broken == []


DECIDED: dict[Resolution, tuple[object, ...]] = {
    Resolution.A_WINS: (Resolution.A_WINS, ["active", "superseded"], 0, 0),
    Resolution.MERGE: (Resolution.MERGE, ["superseded", "superseded"], 1, 1),
    Resolution.CHANGED: (Resolution.CHANGED, ["active", "superseded"], 0, 1),
}


async def state(connect: Connect, found: Contradiction) -> tuple[object, ...]:
    """The decision, the two memories, how many were drawn from them, and how many facts rest on them."""
    ids = [found.memory_a, found.memory_b]
    async with connect() as connection:
        resolution = await connection.fetchval("SELECT resolution FROM contradictions WHERE id = $1", found.id)
        statuses = await connection.fetch("SELECT status FROM memories WHERE id = ANY($1)", ids)
        drawn = await connection.fetchval(
            "SELECT count(DISTINCT derived_id) FROM derivations WHERE source_id = ANY($1)", ids
        )
        facts = await connection.fetchval(
            "SELECT count(*) FROM identity_facts AS f JOIN evidence AS e ON e.fact_id = f.id "
            "WHERE f.valid_to IS NULL AND e.memory_id = ANY($1)",
            ids,
        )
    return resolution, sorted(row["status"] for row in statuses), drawn, facts


class TestRights:
    async def test_what_is_personal_is_its_owner_s_alone(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI
    ):
        found, older, newer = await flagged(store, detector, server)
        for person, contradiction_id in (("ben", found.id), ("", found.id), ("ann", uuid7.uuid7())):
            for act in acts(detector, contradiction_id, person):
                with pytest.raises(NotFoundError):
                    await act()
        assert await status(store, older, newer) == [MemoryStatus.ACTIVE] * 2

    async def test_what_a_project_knows_is_decided_by_its_owner_and_admins(
        self, store: PostgresStore, detector: ContradictionDetector, server: ScriptedOpenAI, connect: Connect
    ):
        project = await a_project(connect, ann="owner", ben="member", cleo="admin")
        friday = await know(store, "We ship on Friday.", project_id=project)
        monday = await know(store, "We ship on Monday.", user_id="ben", project_id=project)
        finds(server, (1, 2))
        await detect(store, detector)
        [found] = await store.contradictions.list_open("cleo")

        for act in acts(detector, found.id, "ben"):
            with pytest.raises(AccessDeniedError):
                await act()
        for act in acts(detector, found.id, "dora"):
            with pytest.raises(NotFoundError):
                await act()
        with pytest.raises(InvalidInputError, match="two people"):
            await detector.resolve_contradiction(found.id, Resolution.MERGE, by="cleo", merged="Some day.")

        await detector.resolve_contradiction(found.id, Resolution.CHANGED, by="cleo", changed_on=WHEN + DAY)
        assert sorted(await status(store, friday, monday)) == [MemoryStatus.ACTIVE, MemoryStatus.SUPERSEDED]
        await detector.reopen(found.id, by="ann")
        assert await status(store, friday, monday) == [MemoryStatus.ACTIVE] * 2

        async with connect() as connection:
            await connection.execute("UPDATE project_members SET role = 'member' WHERE user_id = 'cleo'")
        with pytest.raises(AccessDeniedError):
            await detector.resolve_contradiction(found.id, Resolution.A_WINS, by="cleo")
        async with connect() as connection:
            await connection.execute("UPDATE memories SET project_id = NULL WHERE user_id = 'ben'")
        assert await store.contradictions.list_open("ann") == []  # what left the project is no business of its admins
        with pytest.raises(NotFoundError):
            await detector.resolve_contradiction(found.id, Resolution.A_WINS, by="ann")


def acts(detector: ContradictionDetector, contradiction_id: UUID, person: str) -> list[Callable]:
    return [
        lambda: detector.resolve_contradiction(contradiction_id, Resolution.A_WINS, by=person),
        lambda: detector.resolve_contradiction(contradiction_id, Resolution.MERGE, by=person, merged="x"),
        lambda: detector.reopen(contradiction_id, by=person),
    ]


async def add_fact(connection, attribute: str, *evidence: UUID) -> UUID:
    fact_id = uuid7.uuid7()
    await connection.execute(
        "INSERT INTO identity_facts (user_id, id, attribute, value, confidence, audience, source, valid_from) "
        "VALUES ('ann', $1, $2, '1', 1, 'owner', 'rules', $3)",
        fact_id,
        attribute,
        WHEN,
    )
    for memory_id in evidence:
        await connection.execute(
            "INSERT INTO evidence (user_id, fact_id, memory_id) VALUES ('ann', $1, $2)", fact_id, memory_id
        )
    return fact_id


async def current(connect: Connect) -> set[UUID]:
    async with connect() as connection:
        rows = await connection.fetch("SELECT id FROM identity_facts WHERE valid_to IS NULL")
    return {row["id"] for row in rows}

"""The benchmarks run and keep their JSON keys; how fast anything is, no test asserts."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks._answers import Answer, summarise
from benchmarks._corpora import Conversation, Question, Turn, load_own_set
from benchmarks._crowd import MEMORY_COLUMNS, Crowd, Phrases, plan_owners
from benchmarks._gate import judge
from benchmarks._report import Direction, Target
from cortex_core.models import utc_now

SCALE_CALLS = ("first_search", "floor_embedding", "floor_query", "search")
SCALE_OWNERS = ("usual", "tiny", "big", "huge")
DISTRIBUTIONS = {
    "learning": {"rules"},
    "latency": {
        "floor_redis",
        "floor_embedding",
        "floor_postgres",
        "get_context_query",
        "get_context",
        "search",
        "why_reject",
        "hear",
        "store_ack",
        "visible_in_postgres",
    },
    "recall": {"search"},
    "ingest": {"cortex_memory"},
    "rejection": {"quick_reject", "decide"},
    "scale": {
        *(f"{what}_{table}_table" for what in SCALE_CALLS for table in ("small", "medium", "large")),
        *(f"search_{owner}_owner" for owner in SCALE_OWNERS),
        "write",
    },
}
RATIOS = {
    "latency": {"get_context_p50_over_floor", "ingest_ms_per_memory"},
    "recall": {"own_set_formula_cost_points"},
    "ingest": {"cortex_ms_per_memory"},
    "rejection": {"rejection_f1"},
    "learning": set(),
    "scale": {
        *(f"{what}_p95_large_over_small_table" for what in SCALE_CALLS[1:]),
        "first_search_p95_large_over_search_p95_small_table",
        *(f"search_{rank}_{owner}_over_usual_owner" for rank in ("p50", "p95") for owner in SCALE_OWNERS[1:]),
    },
}
TARGETS = {
    "latency": {
        "store_ack_p95_ms",
        "visible_in_postgres_p99_ms",
        "get_context_query_p95_ms",
        "why_reject_p99_ms",
        "get_context_p50_over_floor",
    },
    "recall": {"own_set_formula_cost_points"},
    "ingest": set(),
    "rejection": {"rejection_f1", "rejection_decision_p99_ms"},
    "learning": {"learning_precision", "learning_precision_held_out"},
    "scale": {
        "search_p95_large_over_small_table",
        "search_p95_big_over_usual_owner",
        "search_p95_huge_over_usual_owner",
        "pooled_recall_big_owner",
        "pooled_recall_huge_owner",
    },
}
TABLES = {
    "latency": set(),
    "recall": {"own set", "own set by kind", "own set by language", "gate"},
    "ingest": set(),
    "rejection": {"rejection", "rejection held out", "rejection by chat", "rejection by kind"},
    "learning": {
        "learning",
        "learning by category",
        "learning by category, held out",
        "learning by language",
        "corrections asked about",
    },
    "scale": {"growth", "candidates", "row-level security", "disk"},
}


def run_benchmarks(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_quick_run_writes_every_figure(tmp_path):
    figures = tmp_path / "figures.json"
    run = run_benchmarks("--quick", "--json", str(figures))
    assert run.returncode == 0, run.stderr
    assert "LoCoMo is left out" in run.stdout

    reports = json.loads(figures.read_text())
    assert reports.keys() == DISTRIBUTIONS.keys()
    for name, report in reports.items():  # a peer that is installed adds its own
        assert report["distributions"].keys() >= DISTRIBUTIONS[name]
        for distribution in report["distributions"].values():
            assert distribution.keys() == {"count", "p50_ms", "p95_ms", "p99_ms", "max_ms"}
        assert report["ratios"].keys() >= RATIOS[name]
        assert report["targets"].keys() >= TARGETS[name]
        for target in report["targets"].values():
            assert target.keys() == {"name", "limit", "measured", "direction", "holds"}
        assert report["tables"].keys() == TABLES[name]
        assert report["machine"].keys() >= {"cores", "load_before", "load_after"}


def test_a_benchmark_can_be_run_alone(tmp_path):
    figures = tmp_path / "figures.json"
    run = run_benchmarks("ingest", "--quick", "--json", str(figures))
    assert run.returncode == 0, run.stderr
    assert json.loads(figures.read_text()).keys() == {"ingest"}


@pytest.mark.parametrize(
    ("measured", "direction", "holds"),
    [
        (5.0, Direction.AT_MOST, True),
        (5.1, Direction.AT_MOST, False),
        (5.0, Direction.AT_LEAST, True),
        (4.9, Direction.AT_LEAST, False),
    ],
)
def test_a_target_has_a_direction(measured, direction, holds):
    assert Target("figure", 5.0, measured, direction).holds is holds


def test_a_crowd_has_the_owners_and_the_memories_that_were_asked_for():
    sizes = plan_owners(10_000, 150, usual=60, others={"big": 1_000}, seed=1)
    assert (len(sizes), sum(sizes.values())) == (150, 10_000)
    assert sizes["big"] == 1_000
    assert list(sizes.values()).count(60) > 50
    assert min(sizes.values()) > 0


def test_the_memories_of_a_crowd_lie_mixed_and_are_dense_in_their_channels():
    words = Phrases(["one", "two"], np.eye(2, 64, dtype=np.float32), [b"\0" * 8, b"\xff" * 8])
    (chunk,) = Crowd(words, words, model_id=1, seed=1).write({"a": 700, "b": 50})
    memories = [dict(zip(MEMORY_COLUMNS, row, strict=True)) for row in chunk.memories]
    assert Counter(memory["user_id"] for memory in memories) == {"a": 700, "b": 50}
    assert "b" in {memory["user_id"] for memory in memories[:400]} & {memory["user_id"] for memory in memories[400:]}
    assert len({memory["source_id"] for memory in memories}) == len({memory["id"] for memory in memories}) == 750
    places = defaultdict(list)
    for memory in sorted(memories, key=lambda memory: memory["created_at"]):
        places[memory["user_id"], memory["channel_id"]].append(memory["position"])
    assert all(positions == list(range(len(positions))) for positions in places.values())
    assert [row[:2] for row in chunk.pieces] == [(memory["user_id"], memory["id"]) for memory in memories]
    assert {len(row[2]) for row in chunk.pieces} == {16}


def answer(found, *, evidence=(), outdated=(), relevance=None):
    question = Question("?", "kind", frozenset(evidence), utc_now(), outdated=frozenset(outdated))
    return Answer(question, "en", found, seconds=0.0, relevance=relevance, is_weak=not found)


def test_recall_is_the_share_of_the_evidence():
    figures = summarise([answer(["x", "a", "y", "z", "w", "b"], evidence="ab"), answer(["c"], evidence="c")])
    assert (figures["R@5"], figures["R@10"], figures["MRR"]) == (75.0, 100.0, 0.75)
    assert "newest first" not in figures


@pytest.mark.parametrize(
    ("found", "percent"), [(["new", "old"], 100.0), (["old", "new"], 0.0), (["new"], 100.0), (["old"], 0.0)]
)
def test_the_newest_has_to_come_before_what_is_outdated(found, percent):
    assert summarise([answer(found, evidence=["new"], outdated=["old"])])["newest first"] == percent


def test_an_unanswerable_question_is_answered_with_nothing():
    figures = summarise([answer([]), answer(["x"])])
    assert figures == {"questions": 2, "rejected": 50.0, "rejected or weak": 50.0}


def test_the_gate_keeps_95_of_100_answerable_questions():
    answerable = [answer(["a"], evidence="a", relevance=number / 100) for number in range(100)]
    unanswerable = [answer(["x"], relevance=0.04), answer(["x"], relevance=0.05), answer([])]
    figures = judge(answerable, unanswerable)
    assert figures["threshold"] == 0.05
    assert figures["rejected"] == pytest.approx(200 / 3)
    assert figures["shipped rejects"] == pytest.approx(100 / 3)


def test_a_question_is_asked_before_the_conversation_goes_on():
    now = utc_now()
    first, second = (
        Turn(name, now + timedelta(hours=hours), "Robin", "c", "!") for name, hours in (("a", 0), ("b", 2))
    )
    early, late = (Question("?", "plain", frozenset(), now + timedelta(hours=hours)) for hours in (1, 3))
    conversation = Conversation("talk", "Robin", "en", [first, second], [late, early])
    assert list(conversation.chapters([late, early])) == [([first], [early]), ([second], [late])]
    assert list(conversation.chapters([early])) == [([first], [early]), ([second], [])]


def test_every_question_of_our_own_set_names_turns_that_exist():
    for conversation in load_own_set():
        turns = {turn.id for turn in conversation.turns}
        assert len(turns) == len(conversation.turns)
        for question in conversation.questions:
            assert question.evidence | question.outdated <= turns, (conversation.name, question.text)
            assert not question.evidence & question.outdated, (conversation.name, question.text)

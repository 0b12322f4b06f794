"""The benchmarks run and keep their JSON keys; how fast anything is, no test asserts."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks._answers import Answer, summarise
from benchmarks._corpora import Conversation, Question, Turn, load_own_set
from benchmarks._gate import judge
from benchmarks._report import Direction, Target
from cortex_core.models import utc_now

DISTRIBUTIONS = {
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
}
RATIOS = {
    "latency": {"get_context_p50_over_floor", "ingest_ms_per_memory"},
    "recall": {"own_set_formula_cost_points"},
    "ingest": {"cortex_ms_per_memory"},
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
}
TABLES = {"own set", "own set by kind", "own set by language", "gate"}


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
        assert report["machine"].keys() >= {"cores", "load_before", "load_after"}
    assert reports["recall"]["tables"].keys() == TABLES


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

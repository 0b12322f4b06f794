"""Learning which messages need a memory, through the real search: the shipped result, and the command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.rejection import DATA, HELD_OUT, HUIXIANGDOU_F1, load_chats
from cortex_core import InvalidInputError, RejectionPipeline
from cortex_core.commands.rejection import app, judge, search_chat, summarise
from cortex_core.recall.rejection_model import RejectionModel
from cortex_core.recall.rejection_training import Figures, decide

ROUNDING = 0.1
"""Processors round the model's vectors differently, and a weight follows."""


async def test_the_repositorys_data_gives_what_is_shipped_and_it_beats_the_published_figure(memory):
    found = [each for chat in load_chats() for each in await search_chat(memory, chat)]
    judged = [judge(each) for each in found]
    training = summarise(judged)
    shipped = RejectionModel.shipped()
    assert training.model.weights == pytest.approx(shipped.weights, abs=ROUNDING)
    assert training.model.threshold == pytest.approx(shipped.threshold, abs=ROUNDING)
    assert (training.model.messages, training.model.chats) == (shipped.messages, shipped.chats)
    assert training.unseen.f1 > HUIXIANGDOU_F1
    assert training.seen.f1 > HUIXIANGDOU_F1

    pipeline = RejectionPipeline()
    decisions = [
        pipeline.decide(each.label.message, relevance=each.relevance, memories=each.memories, is_addressed=False)
        is None
        for each in found
    ]
    assert decisions == [decide(shipped, example) for example in judged]
    assert pipeline.counts.total() == decisions.count(False)


async def test_what_is_shipped_beats_the_published_figure_on_chats_held_out(memory):
    judged = [judge(each) for chat in load_chats(HELD_OUT) for each in await search_chat(memory, chat)]
    decisions = [decide(RejectionModel.shipped(), example) for example in judged]
    assert Figures.of(decisions, [example.label.recall for example in judged]).f1 > HUIXIANGDOU_F1


def train(*arguments: str | Path):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def shortened(chats: int, folder: Path) -> Path:
    """A file with the memories and some messages of a few chats."""
    file = folder / "labelled.jsonl"
    lines = []
    for source in sorted(DATA.glob("*.jsonl"))[:chats]:
        lines += source.read_text("utf-8").splitlines()[:40]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def test_a_small_file_is_learned_from_and_written(tmp_path):
    output = tmp_path / "own.json"
    result = train(shortened(3, tmp_path), "--output", output, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    learned = RejectionModel.load(output)
    assert report["model"] == learned.model_dump(mode="json")
    assert (learned.chats, learned.messages) == (3, 120 - 52)
    assert report["unseen"].keys() == report["seen"].keys() == {"precision", "recall", "f1"}


def test_the_command_prints_its_figures(tmp_path):
    result = train(shortened(3, tmp_path), "--output", tmp_path / "own.json")
    assert result.exit_code == 0, result.output
    for part in ("precision", "recall", "F1", "threshold", "retrieval.rejection_file"):
        assert part in result.stdout


def test_what_can_not_be_learned_from_ends_in_a_sentence(tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"chat": "a", "by": "b", "remembered": "c"}\nsecret words\n', "utf-8")
    error = train(file).exception
    assert isinstance(error, InvalidInputError)
    assert str(error) == "Line 2 of bad.jsonl isn't JSON."


def test_too_few_chats_end_in_a_sentence(tmp_path):
    output = tmp_path / "own.json"
    error = train(shortened(2, tmp_path), "--output", output).exception
    assert isinstance(error, InvalidInputError)
    assert "three or more chats" in str(error)
    assert not output.exists()


def test_where_the_result_can_not_be_written_is_said(tmp_path):
    error = train(shortened(3, tmp_path), "--output", tmp_path / "nowhere" / "own.json").exception
    assert isinstance(error, InvalidInputError)
    assert "choose another --output" in str(error)

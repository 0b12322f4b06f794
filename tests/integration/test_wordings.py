"""How well paraphrases of a pattern are told from other patterns, measured with the model that Cortex ships."""

import tomllib
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import pytest

from cortex_core.consolidation.wordings import Wording, say_the_same
from cortex_core.providers.local import LocalEmbedder
from cortex_core.sql import load_queries
from tests.harness import Connect

GROUPS = tomllib.loads((Path(__file__).parent / "pattern_wordings.toml").read_text("utf-8"))["group"]
STEM = load_queries("derivations")["stem"]


@dataclass
class Pair:
    """Two wordings that the same memories show, and whether they are of one pattern."""

    one: Wording
    other: Wording
    said: frozenset[str]
    is_same: bool
    split: str

    def is_taken_for_same(self) -> bool:
        """Whether the rule says so, whichever of the two was there first."""
        verdicts = {
            say_the_same(known, new, is_named=False, shared=1.0, said=self.said)
            for known, new in ((self.one, self.other), (self.other, self.one))
        }
        assert len(verdicts) == 1
        return verdicts.pop()


@pytest.fixture
async def pairs(embedder: LocalEmbedder, connect: Connect) -> list[Pair]:
    texts = {text for group in GROUPS for pattern in group["patterns"] for text in pattern["wordings"]}
    vectors = dict(zip(texts, await embedder.embed_batch(list(texts)), strict=True))
    async with connect() as connection:
        said = texts | {text for group in GROUPS for text in group["said"]}
        stems = {text: frozenset(await connection.fetchval(STEM, text)) for text in said}
    found = []
    for group in GROUPS:
        patterns = [
            [Wording(pattern["category"], text, stems[text], vectors[text]) for text in pattern["wordings"]]
            for pattern in group["patterns"]
        ]
        evidence = frozenset().union(*(stems[text] for text in group["said"]))
        same = [pair for wordings in patterns for pair in combinations(wordings, 2)]
        others = [pair for some, more in combinations(patterns, 2) for pair in product(some, more)]
        found += [Pair(*pair, evidence, True, group["split"]) for pair in same]
        found += [Pair(*pair, evidence, False, group["split"]) for pair in others]
    return found


async def test_paraphrases_are_told_from_other_patterns(pairs: list[Pair]):
    for split, least, most in (("development", 0.8, 0.05), ("held-out", 0.8, 0.02)):
        same = [pair for pair in pairs if pair.split == split and pair.is_same]
        others = [pair for pair in pairs if pair.split == split and not pair.is_same]
        recognised = sum(pair.is_taken_for_same() for pair in same)
        confused = sum(pair.is_taken_for_same() for pair in others)
        print(  # noqa: T201  figures for whoever reads the run
            f"\n{split}: {recognised} of {len(same)} paraphrases recognised, {confused} of {len(others)} others "
            "taken for the same"
        )
        assert recognised >= least * len(same)
        assert confused <= most * len(others)


async def test_without_common_evidence_only_what_is_nearly_equal_is_the_same(pairs: list[Pair]):
    taken = [pair for pair in pairs if say_the_same(pair.one, pair.other, is_named=False, shared=0.0, said=frozenset())]

    assert {pair.is_same for pair in taken} == {True}
    assert len(taken) < 0.1 * sum(pair.is_same for pair in pairs)


async def test_what_a_model_names_is_the_same_unless_the_words_tell_otherwise(pairs: list[Pair]):
    def is_named(one: str, other: str) -> bool:
        [pair] = [pair for pair in pairs if {pair.one.text, pair.other.text} == {one, other}]
        return say_the_same(pair.one, pair.other, is_named=True, shared=1.0, said=pair.said)

    assert is_named("is vegetarian", "follows a vegetarian diet")
    assert is_named("sleeps badly", "is a night owl")
    assert not is_named("goes running before work", "goes running after work")
    assert not is_named("likes coffee", "doesn't like coffee")

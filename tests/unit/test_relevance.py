"""What makes a candidate an answer: its content, its neighbours, its words and its speaker."""

import zlib
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
import uuid_utils.compat as uuid7
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cortex_core.late_interaction import Embedding, Pieces
from cortex_core.recall.relevance import Relevance, standardise, weigh
from cortex_core.stores.postgres.candidates import Candidate
from cortex_core.words import split_words

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
SAME_WORD = 0.87
"""About what a piece and its own sign bits have in common."""
CHANCE = 0.3
"""More than what pieces of different words have."""

finite = st.floats(-1e6, 1e6)


def some_pieces(text: str) -> Pieces:
    """Every word a random direction, the same whenever it occurs."""
    words = split_words(text)
    vectors = [np.random.default_rng(zlib.crc32(word.encode())).standard_normal(384) for word in words]
    return Pieces.of(np.reshape(vectors, (-1, 384)).astype(np.float32), words, [1.0] * len(words))


def a_candidate(
    content: str = "something else",
    *,
    author: str | None = None,
    author_id: str | None = None,
    channel: str | None = None,
    position: int | None = None,
    minutes: float = 0,
    matched: int = 0,
    similarity: float | None = 0.0,
    has_pieces: bool = True,
) -> Candidate:
    return Candidate(
        row={},
        id=uuid7.uuid7(),
        content=content,
        author_id=author_id or author,
        author_name=author,
        place=(channel, position) if channel is not None and position is not None else None,
        created_at=WHEN + timedelta(minutes=minutes),
        emotional_score=0.0,
        access_count=0,
        similarity=similarity,
        matched=matched,
        signs=Embedding(np.ones(384, np.float32), some_pieces(content)).signs if has_pieces else b"",
        direction=None,
    )


def weighed(question: str, *candidates: Candidate) -> Relevance:
    return weigh(question, some_pieces(question), candidates)


def order_of(relevance: Relevance) -> list[int]:
    return np.argsort(-relevance.fused, kind="stable").tolist()


class TestStandardising:
    @given(st.lists(finite, min_size=2, max_size=30))
    def test_the_mean_becomes_0_and_the_deviation_1(self, values: list[float]):
        assume(max(values) - min(values) > 1e-6 * max(1.0, *map(abs, values)))  # more than rounding makes

        scores = standardise(np.array(values))

        assert scores.mean() == pytest.approx(0, abs=1e-6)
        assert scores.std() == pytest.approx(1)
        assert (np.diff(scores[np.argsort(values, kind="stable")]) >= 0).all()

    @given(finite, st.integers(0, 9), st.integers(0, 3))
    def test_equal_values_are_0_beside_unknown_ones_too(self, value: float, equal: int, unknown: int):
        scores = standardise(np.array([value] * equal + [np.nan] * unknown))

        assert scores.tolist() == [0.0] * (equal + unknown)

    @given(st.lists(finite, min_size=1, max_size=9), st.integers(1, 3))
    def test_what_is_not_a_number_lies_in_the_middle_and_changes_nothing(self, values: list[float], unknown: int):
        scores = standardise(np.array([*values, *[np.nan] * unknown]))

        np.testing.assert_array_equal(scores[: len(values)], standardise(np.array(values)))
        assert scores[len(values) :].tolist() == [0.0] * unknown

    def test_margins_stay_margins(self):
        scores = standardise(np.array([0.0, 0.1, 0.8]))

        assert (scores[2] - scores[1]) / (scores[1] - scores[0]) == pytest.approx(7)


class TestContent:
    def test_the_evidence_is_the_share_of_the_question_that_is_said(self):
        relevance = weighed(
            "zeppelin harbour",
            a_candidate("zeppelin over the harbour"),
            a_candidate("a zeppelin"),
            a_candidate("nothing of it"),
        )

        both, one, none = relevance.evidence
        assert both == pytest.approx(SAME_WORD, abs=0.03)
        assert one == pytest.approx(SAME_WORD / 2, abs=0.1)
        assert none < CHANCE
        assert order_of(relevance) == [0, 1, 2]

    def test_how_much_a_piece_says_weighs_it(self):
        pieces = some_pieces("zeppelin harbour")
        pieces.salience[:] = [7.0, 1.0]

        relevance = weigh("zeppelin harbour", pieces, [a_candidate("a harbour"), a_candidate("a zeppelin")])

        assert relevance.evidence[1] > 3 * relevance.evidence[0]

    @pytest.mark.parametrize(
        ("question", "stop_words"),
        [
            ("what was the zeppelin", "what was the"),
            ("wo ist der zeppelin", "wo ist der"),
            ("donde estaba el zeppelin", "dónde estaba el"),
            ("où était le zeppelin", "où était le"),
            ("где был мой zeppelin", "где был мой"),
        ],
    )
    def test_stop_words_are_no_content(self, question: str, stop_words: str):
        said, unsaid = weighed(question, a_candidate("ein Zeppelin"), a_candidate(stop_words)).evidence

        assert said == pytest.approx(SAME_WORD, abs=0.03)
        assert unsaid < CHANCE

    def test_the_names_of_speakers_are_no_content(self):
        said, named = weighed(
            "did José Núñez see a zeppelin",
            a_candidate("the zeppelin he must see", author="José Núñez"),
            a_candidate("jose nunez", author="ann"),
        ).evidence

        assert said == pytest.approx(SAME_WORD, abs=0.03)
        assert named < CHANCE

    def test_a_question_of_stop_words_and_names_alone_is_still_compared(self):
        relevance = weighed("where was ann", a_candidate("where was I", author="ann"), a_candidate("zeppelin"))

        assert relevance.evidence[0] > relevance.evidence[1]

    def test_what_has_no_pieces_yet_is_neutral(self):
        relevance = weighed(
            "zeppelin", a_candidate("zeppelin"), a_candidate("zeppelin", has_pieces=False), a_candidate("harbour")
        )

        assert np.isnan(relevance.evidence).tolist() == [False, True, False]
        assert np.isfinite(relevance.fused).all()
        assert order_of(relevance) == [0, 1, 2]

    def test_nobody_having_pieces_leaves_the_other_signals(self):
        relevance = weighed(
            "zeppelin",
            a_candidate("harbour", has_pieces=False),
            a_candidate("zeppelin", has_pieces=False, matched=2),
        )

        assert np.isnan(relevance.evidence).all()
        assert order_of(relevance) == [1, 0]

    def test_a_question_without_pieces_is_answered(self):
        relevance = weigh("\0", some_pieces(""), [a_candidate("zeppelin"), a_candidate("harbour", matched=2)])

        assert relevance.evidence.tolist() == [0.0, 0.0]
        assert order_of(relevance) == [1, 0]


class TestNeighbours:
    @staticmethod
    def lent(*, steps: int, minutes: float = 1, channel: str = "c") -> float:
        """How much evidence a turn has that says nothing itself, beside one that says everything."""
        relevance = weighed(
            "zeppelin",
            a_candidate("no idea", channel="c", position=10, minutes=100),
            a_candidate("zeppelin", channel=channel, position=10 + steps, minutes=100 + minutes),
        )
        assert relevance.evidence[1] == pytest.approx(SAME_WORD, abs=0.03)
        return float(relevance.evidence[0])

    def test_the_turns_beside_lend_their_match_the_nearer_the_more(self):
        before, after = self.lent(steps=-1, minutes=-1), self.lent(steps=1)
        two_before, two_after = self.lent(steps=-2, minutes=-1), self.lent(steps=2)

        assert before == after
        assert two_before == two_after
        assert CHANCE < two_after < after < SAME_WORD

    @pytest.mark.parametrize("steps", [-3, 3, 4])
    def test_turns_further_away_lend_nothing(self, steps: int):
        assert self.lent(steps=steps) < CHANCE

    def test_a_turn_of_another_channel_lends_nothing(self):
        assert self.lent(steps=1, channel="d") < CHANCE

    @pytest.mark.parametrize("minutes", [-60, 60])
    def test_a_turn_within_the_hour_belongs_to_the_conversation(self, minutes: float):
        assert self.lent(steps=1, minutes=minutes) > CHANCE

    @pytest.mark.parametrize("minutes", [-61, 61, 60 * 24 * 365])
    def test_a_turn_after_a_longer_pause_does_not(self, minutes: float):
        assert self.lent(steps=1, minutes=minutes) < CHANCE

    def test_memories_outside_of_conversations_have_no_neighbours(self):
        relevance = weighed("zeppelin", a_candidate("no idea"), a_candidate("zeppelin"))

        assert relevance.evidence[0] < CHANCE

    def test_a_neighbours_words_count_nearly_as_ones_own(self):
        relevance = weighed(
            "zeppelin",
            a_candidate("yes, at the harbour", channel="c", position=1, has_pieces=False),
            a_candidate("did you see one", channel="c", position=2, has_pieces=False, matched=2),
            a_candidate("yes, at the harbour", channel="d", position=1, has_pieces=False),
        )

        words = relevance.parts["words"]
        assert words[1] > words[0] > words[2]

    def test_what_says_it_itself_stands_before_what_stands_beside(self):
        relevance = weighed(
            "zeppelin",
            a_candidate("no idea", channel="c", position=1),
            a_candidate("a zeppelin", channel="c", position=2),
            a_candidate("well", channel="c", position=3),
        )

        assert order_of(relevance)[0] == 1


class TestWords:
    def test_rare_words_say_more_than_common_ones(self):
        common, rare = 0b010, 0b100
        relevance = weighed(
            "zeppelin", *[a_candidate(matched=common) for _ in range(5)], a_candidate(matched=rare), a_candidate()
        )

        words = relevance.parts["words"]
        assert words[5] > words[0] > words[6]

    def test_every_word_adds_to_the_others(self):
        relevance = weighed("zeppelin", a_candidate(matched=0b110), a_candidate(matched=0b010), a_candidate(matched=0))

        words = relevance.parts["words"]
        assert words[0] > words[1] > words[2]

    def test_the_sixteenth_word_counts_too(self):
        relevance = weighed("zeppelin", a_candidate(), a_candidate(matched=1 << 16))

        assert order_of(relevance) == [1, 0]


class TestSpeaker:
    @pytest.mark.parametrize("question", ["what did Ben cook", "what did BEN cook?", "Ben's dinner"])
    def test_the_one_who_is_named_is_believed_first(self, question: str):
        relevance = weighed(question, a_candidate("dinner", author="Ann"), a_candidate("dinner", author="Ben"))

        assert relevance.parts["speaker"][1] > relevance.parts["speaker"][0]
        assert order_of(relevance) == [1, 0]

    def test_any_word_of_a_name_names_them(self):
        relevance = weighed(
            "what did jose cook", a_candidate("dinner", author="Ann"), a_candidate("dinner", author="José Núñez")
        )

        assert order_of(relevance) == [1, 0]

    @pytest.mark.parametrize("question", ["what was for dinner", "did Ann or Ben cook dinner", "did Benjamin cook"])
    def test_nobody_or_several_named_makes_no_difference(self, question: str):
        relevance = weighed(
            question, a_candidate("dinner", author="Ann"), a_candidate("dinner", author="Ben"), a_candidate("dinner")
        )

        assert relevance.parts["speaker"].tolist() == [0.0, 0.0, 0.0]


class TestQuestions:
    @pytest.mark.parametrize("mark", ["?", "? ", "?!?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}"])
    def test_a_question_is_weak_evidence_for_its_answer(self, mark: str):
        relevance = weighed("zeppelin", a_candidate(f"zeppelin{mark}"), a_candidate("zeppelin"))

        assert relevance.parts["is_question"][0] < relevance.parts["is_question"][1]
        assert order_of(relevance) == [1, 0]

    def test_a_question_mark_within_makes_no_question(self):
        relevance = weighed("zeppelin", a_candidate("zeppelin? yes."), a_candidate("zeppelin"))

        assert relevance.parts["is_question"].tolist() == [0.0, 0.0]


class TestAnotherEmbedder:
    def test_cosines_stand_in_where_the_model_gives_no_pieces(self):
        candidates = [a_candidate("zeppelin", similarity=s, has_pieces=False) for s in (0.1, 0.7, None, 0.3)]

        relevance = weigh("zeppelin", None, candidates)

        assert np.isnan(relevance.evidence).all(), "cosines don't compare from one question to another"
        assert order_of(relevance)[0] == 1
        assert np.isfinite(relevance.fused).all()

    def test_without_vectors_words_decide(self):
        candidates = [a_candidate(similarity=None, matched=matched, has_pieces=False) for matched in (0, 6, 2)]

        relevance = weigh("zeppelin", None, candidates)

        assert np.isnan(relevance.evidence).all()
        assert order_of(relevance) == [1, 2, 0]


@st.composite
def any_candidates(draw: st.DrawFn) -> list[Candidate]:
    words = st.lists(st.sampled_from("zeppelin harbour cat the was ann ben".split()), max_size=4)  # noqa: SIM905
    positions = count()
    return [
        a_candidate(
            " ".join(draw(words)) + draw(st.sampled_from(["", "?"])),
            author=draw(st.sampled_from([None, "Ann", "Ben"])),
            channel=draw(st.sampled_from([None, "c", "d"])),
            position=next(positions),
            minutes=draw(st.integers(0, 200)),
            matched=draw(st.integers(0, 2**61 - 1)),
            similarity=draw(st.none() | st.floats(-1, 1)),
            has_pieces=draw(st.booleans()),
        )
        for _ in range(draw(st.integers(1, 12)))
    ]


@settings(deadline=None)
@given(any_candidates(), st.sampled_from(["what did ann say of the zeppelin?", "the", "harbour cat", "🙂"]))
def test_parts_sum_to_what_is_fused_whatever_the_candidates(candidates: list[Candidate], question: str):
    for pieces in (some_pieces(question), None):
        relevance = weigh(question, pieces, candidates)

        assert relevance.fused.shape == relevance.evidence.shape == (len(candidates),)
        assert np.isfinite(relevance.fused).all()
        assert np.sum(list(relevance.parts.values()), axis=0) == pytest.approx(relevance.fused, abs=1e-6)
        assert relevance.fused.mean() == pytest.approx(0, abs=1e-6)
        assert (np.nan_to_num(relevance.evidence) <= 1.0 + 1e-6).all()


@pytest.mark.parametrize("name", ["The Cat Lady", "Will"])
def test_a_name_with_a_stop_word_is_not_named_by_it(name: str):
    relevance = weighed("what will be the dinner", a_candidate("soup", author="Ann"), a_candidate("soup", author=name))

    assert relevance.parts["speaker"].tolist() == [0.0, 0.0]


def test_who_was_renamed_is_one_person_under_both_names():
    ann = a_candidate("dinner", author="Ann", author_id="1")
    ben = a_candidate("dinner", author="Ben", author_id="2")
    claus = a_candidate("dinner", author="Ben 🎄 Claus", author_id="2")

    speaker = weighed("what did Ben cook", ann, ben, claus).parts["speaker"]

    assert speaker[0] < speaker[1] == speaker[2]


def test_the_person_whose_name_fits_best_is_named():
    claus, smith = a_candidate("dinner", author="Ben Claus"), a_candidate("dinner", author="Ben Smith")

    speaker = weighed("what did Ben Claus cook", claus, smith).parts["speaker"]

    assert speaker[0] > speaker[1]


def test_two_who_are_named_are_nobody():
    speaker = weighed("Ann and Ben", a_candidate("x", author="Ann"), a_candidate("x", author="Ben")).parts["speaker"]

    assert speaker.tolist() == [0.0, 0.0]


def test_equal_candidates_are_equal_whatever_the_rounding():
    pieces = some_pieces(" ".join(f"word{n}" for n in range(23)))
    pieces.salience[:] = np.random.default_rng(0).random(23) * 8
    for number in (3, 5, 30):
        alike = [a_candidate("ok word1 word2 word7") for _ in range(number)]
        assert weigh("x", pieces, alike).fused.tolist() == [0.0] * number


def test_a_name_that_the_tokenizer_takes_apart_is_no_content():
    pieces = some_pieces("dark lord zeppelin")

    said, named = weigh(
        "dark_lord zeppelin", pieces, [a_candidate("zeppelin", author="dark_lord"), a_candidate("dark lord")]
    ).evidence

    assert named < 0.3 < said

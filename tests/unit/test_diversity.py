"""A context doesn't say one thing five times."""

import numpy as np
import pytest
import uuid_utils.compat as uuid7
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import Memory
from cortex_core.models import utc_now
from cortex_core.recall.diversity import choose_diverse, without_repeats
from cortex_core.stores.postgres.candidates import Candidate
from cortex_core.words import split_words

BITS = 80


def a_direction(*, of: int = 0, differing: int = 0) -> bytes:
    """One of several far directions, with so many of its 80 signs turned around."""
    signs = np.random.default_rng(of).integers(0, 2, BITS).astype(bool)
    signs[:differing] ^= True
    return np.packbits(signs).tobytes()


def a_candidate(content: str, direction: bytes | None = None) -> Candidate:
    return Candidate(
        row={},
        id=uuid7.uuid7(),
        content=content,
        author_id=None,
        author_name=None,
        place=None,
        created_at=utc_now(),
        emotional_score=0.0,
        access_count=0,
        similarity=None,
        matched=0,
        signs=b"",
        direction=direction,
    )


def chosen(candidates: list[Candidate], *, limit: int = 100, shown: tuple[Memory, ...] = ()) -> list[str]:
    places = choose_diverse(range(len(candidates)), candidates, limit=limit, shown=shown)
    return [candidates[place].content for place in places]


def a_memory(content: str) -> Memory:
    return Memory(user_id="ann", content=content)


def test_one_thing_is_said_in_two_wordings_at_most_the_best_ones():
    same = [a_candidate(f"wording {n}", a_direction(differing=n)) for n in range(5)]
    other = a_candidate("another thing", a_direction(of=1))

    assert chosen([*same, other]) == ["wording 0", "wording 1", "another thing"]


@pytest.mark.parametrize(("differing", "count"), [(16, 2), (17, 3)])
def test_a_fifth_of_the_signs_is_the_border_between_two_things(differing: int, count: int):
    first, second = a_candidate("one", a_direction()), a_candidate("two", a_direction())
    third = a_candidate("three", a_direction(differing=differing))

    assert len(chosen([first, second, third])) == count


def test_the_same_words_are_said_once_whatever_their_case_and_punctuation():
    candidates = [a_candidate(content) for content in ("My cat is José.", "my CAT is jose!!", "My cat is Miso.")]

    assert chosen(candidates) == ["My cat is José.", "My cat is Miso."]


def test_without_vectors_only_the_same_words_are_the_same_thing():
    assert len(chosen([a_candidate(f"text {n}") for n in range(5)])) == 5
    assert len(chosen([a_candidate("one", a_direction()), *[a_candidate(f"text {n}") for n in range(5)]])) == 6


def test_the_order_is_kept_and_may_be_any():
    candidates = [a_candidate(f"text {n}") for n in range(4)]

    assert choose_diverse([2, 0, 3], candidates, limit=100) == [2, 0, 3]


def test_what_is_shown_already_is_left_out_by_its_id_and_by_its_words():
    candidates = [a_candidate("edited since"), a_candidate("My cat is Miso."), a_candidate("news")]
    by_id = a_memory("as it was").model_copy(update={"id": candidates[0].id})

    assert chosen(candidates, shown=(by_id, a_memory("my cat is miso"))) == ["news"]


def test_what_is_left_out_makes_room_for_the_next():
    candidates = [a_candidate("same"), a_candidate("Same!"), a_candidate("other"), a_candidate("third")]

    assert chosen(candidates, limit=2) == ["same", "other"]
    assert chosen(candidates, limit=0) == []


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 2) | st.none(), st.integers(0, 30)), max_size=25),
    st.integers(0, 30),
)
def test_whatever_there_is_two_wordings_and_no_repetition(things: list[tuple[str, int | None, int]], limit: int):
    candidates = [
        a_candidate(text, None if of is None else a_direction(of=of, differing=differing))
        for text, of, differing in things
    ]

    places = choose_diverse(range(len(candidates)), candidates, limit=limit)

    assert places == sorted(set(places))
    assert len(places) <= limit
    texts = [tuple(split_words(candidates[place].content)) for place in places]
    assert len(texts) == len(set(texts))
    for index, place in enumerate(places):
        alike = [
            other
            for other in places[:index]
            if (one := candidates[place].direction) is not None
            and (two := candidates[other].direction) is not None
            and (int.from_bytes(one) ^ int.from_bytes(two)).bit_count() <= BITS // 5
        ]
        assert len(alike) < 2
    if candidates and limit:
        assert places[0] == 0


def test_what_other_sections_show_is_not_repeated():
    one, two, three, four = (a_memory(f"text {n}") for n in range(4))

    assert without_repeats([one, two, three, four], [four], [two, one]) == [three]
    assert without_repeats([one, two]) == [one, two]
    assert without_repeats([], [one]) == []


def test_texts_without_words_are_compared_as_they_are():
    assert chosen([a_candidate("🙂"), a_candidate("🎉"), a_candidate("🙂")]) == ["🙂", "🎉"]

"""How often a language model may be asked: never more than for every fifth message, and nobody waits for ever."""

from collections import defaultdict, deque

from hypothesis import given
from hypothesis import strategies as st

from cortex_core.consolidation.allowance import MESSAGES_PER_CALL, Allowance, Verdict

WAIT = 10
LARGEST = 40

speakers = st.integers(min_value=0, max_value=30)
ticks = st.lists(st.lists(speakers, max_size=12), min_size=1, max_size=60)
"""Who speaks at each tick of the clock."""


class Reader:
    """Reads by turns what people said, as the worker does, but by a clock of its own."""

    def __init__(self, *, answers: list[bool]) -> None:
        self.answers = deque(answers)
        self.allowance = Allowance()
        self.waiting: dict[int, list[int]] = defaultdict(list)
        self.calls = self.done = self.read = self.longest = 0

    def tick(self, now: int, spoken: list[int]) -> None:
        for speaker in spoken:
            self.waiting[speaker].append(now)
        for speaker in sorted(self.waiting, key=lambda speaker: self.waiting[speaker][0]):
            self.turn(speaker, now)
        self.waiting = defaultdict(list, {speaker: said for speaker, said in self.waiting.items() if said})

    def turn(self, speaker: int, now: int) -> None:
        said = self.waiting[speaker]
        some = said[:LARGEST]
        self.longest = max(self.longest, now - some[0])
        verdict = self.allowance.judge(len(some), is_overdue=now - some[0] >= WAIT)
        if verdict is Verdict.WAIT:
            return
        if verdict is Verdict.ASK:
            self.allowance.note_call()
            self.calls += 1
            if self.answers and not self.answers.popleft():
                return
            self.read += len(some)
        self.allowance.note_done(len(some))
        self.done += len(some)
        del said[: len(some)]


@given(ticks)
def test_calls_stay_within_a_fifth_of_the_messages_and_nothing_waits_for_longer_than_it_may(spoken: list[list[int]]):
    reader = Reader(answers=[])
    for now, speakers_now in enumerate([*spoken, *[[]] * (WAIT + 1)]):
        reader.tick(now, speakers_now)
        assert MESSAGES_PER_CALL * reader.calls <= reader.done
    assert reader.done == sum(map(len, spoken))
    assert reader.longest <= WAIT


@given(ticks, st.lists(st.booleans(), max_size=100))
def test_answers_that_can_not_be_read_delay_others_and_change_neither(spoken: list[list[int]], answers: list[bool]):
    reader = Reader(answers=answers)
    end = len(spoken) + WAIT + 1 + len(answers)
    for now, speakers_now in enumerate([*spoken, *[[]] * (end - len(spoken))]):
        reader.tick(now, speakers_now)
        assert MESSAGES_PER_CALL * reader.calls <= reader.done + LARGEST
    assert reader.done == sum(map(len, spoken))
    assert reader.longest <= WAIT + len(answers)


@given(st.integers(min_value=MESSAGES_PER_CALL, max_value=300))
def test_of_people_who_say_one_thing_each_every_fifth_is_read(people: int):
    reader = Reader(answers=[])
    for now in range(people + WAIT + 1):
        reader.tick(now, [now] if now < people else [])
    assert reader.read == reader.calls == people // MESSAGES_PER_CALL


def test_a_large_batch_pays_for_small_ones():
    reader = Reader(answers=[])
    reader.tick(0, [0] * LARGEST)
    reader.tick(1, [1, 2, 2, 3, 3, 3])
    assert (reader.calls, reader.read) == (4, LARGEST + 6)

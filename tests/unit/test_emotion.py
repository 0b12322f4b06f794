"""Emotion by lexicon, in a bounded time whatever is written."""

import asyncio

from cortex_core import EmotionScorer

scorer = EmotionScorer()


def test_of_many_emoji_only_the_first_are_read():
    assert scorer.rate("📎" * 40 + " I love it") > 0.5
    assert scorer.rate("📎" * 41 + " I love it") == 0.0
    assert scorer.rate("😀" * 2000) == scorer.rate("😀" * 40)


def test_text_between_them_counts_until_then():
    assert scorer.rate("I love it " + "📎" * 2000) == scorer.rate("I love it " + "📎" * 40) > 0.5


def test_of_a_long_text_only_the_beginning_is_read():
    assert scorer.rate("lorem " * 200 + "I love it") == 0.0


def test_a_batch_is_rated_one_by_one():
    assert asyncio.run(scorer.score_batch(["I love it", "lorem"])) == [scorer.rate("I love it"), 0.0]

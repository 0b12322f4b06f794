"""Emotional intensity by lexicon: good enough to acknowledge with, without asking a model."""

from collections.abc import Sequence

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

_READ_CHARS = 1000
_READ_EMOJI = 40  # VADER spells each one out in words, and its time grows with the square of their number


class EmotionScorer:
    """Scores how strongly a text feels, 0 (mundane) to 1 (profound), after TDD 3.1.

    The score is the absolute VADER compound (Hutto and Gilbert, 2014): joy and grief weigh the same. VADER knows
    English, emoticons and emoji; what it doesn't know scores 0.
    """

    def __init__(self) -> None:
        self._analyzer = SentimentIntensityAnalyzer()

    def rate(self, content: str) -> float:
        """Return the score of a text, judged by its first 1,000 characters and 40 emoji."""
        emoji = [place for place, c in enumerate(content[:_READ_CHARS]) if c in self._analyzer.emojis]
        end = emoji[_READ_EMOJI] if len(emoji) > _READ_EMOJI else _READ_CHARS
        compound = float(self._analyzer.polarity_scores(content[:end])["compound"])
        return min(1.0, abs(compound))

    async def score(self, content: str) -> float:
        """Return the score of a text."""
        return self.rate(content)

    async def score_batch(self, contents: Sequence[str]) -> list[float]:
        """Return the scores of texts, in their order."""
        return [self.rate(content) for content in contents]

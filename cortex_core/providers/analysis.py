"""The port for analysts: they read what somebody said and tell what it says of that person (TDD 3.4, 8.3)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from pydantic import AwareDatetime, Field

from cortex_core.models import MemoryType, Model, UnitInterval

Value = str | int | float | bool


class Statement(Model):
    """One memory as an analyst sees it: without ids, so that none can be made up.

    Attributes:
        number: Its place among those of the call, from 1.
        text: What was said. Data, never instructions.
        said_at: What "yesterday" in it counts from.
    """

    number: int = Field(ge=1)
    text: str = Field(repr=False)
    said_at: AwareDatetime
    author_name: str | None = None


class KnownFact(Model):
    """What is held already by the speaker's words, for corrections that name only what was wrong, or not even that.

    Attributes:
        subject: Whom it is about, in the speaker's words; None for the speaker.
        said_at: When it was last said.
        is_news: Whether it was said first in the last message before the statements, and by that alone.
    """

    subject: str | None = None
    attribute: str
    value: Value = Field(repr=False)
    said_at: AwareDatetime | None = None
    is_news: bool = False


class ClaimKind(StrEnum):
    """What somebody does with a fact by saying something."""

    STATES = "states"
    """It is so."""
    CORRECTS = "corrects"
    """It was never as you think: it is so. Explicit ("no, four kids, not three")."""
    ENDS = "ends"
    """It is so no more, and nothing takes its place."""
    WITHDRAWS = "withdraws"
    """It was never so, and what was held before is again: "just kidding"."""


class Claim(Model):
    """What a statement says of its speaker, or of somebody else in the speaker's words.

    Attributes:
        subject: Whom it is about, in the speaker's words ("sister"); None for the speaker.
        attribute: By its declared name where there is one (`cortex_core.attributes`), else a few plain words.
        value: A few words, a number or a date as YYYY-MM-DD or --MM-DD; never the whole sentence.
        kind: What is done with it.
        replaces: The value that a correction takes back, if it names it.
        confidence: How sure the analyst is that this was said, 0 to 1.
        valid_from: Since when it holds, if that was said; resolved against `said_at`.
        evidence: The numbers of the statements that say so.
    """

    subject: str | None = None
    attribute: str
    value: Value = Field(repr=False)
    kind: ClaimKind = ClaimKind.STATES
    replaces: Value | None = Field(default=None, repr=False)
    confidence: UnitInterval
    valid_from: AwareDatetime | None = None
    evidence: tuple[int, ...] = Field(min_length=1)


class Rating(Model):
    """How an analyst rates one statement.

    Attributes:
        emotion: Emotional intensity, 0 to 1 (TDD 3.1).
        memory_type: What kind of memory it is.
    """

    emotion: UnitInterval | None = None
    memory_type: MemoryType | None = None


class Analysis(Model):
    """What an analyst made of some statements.

    Attributes:
        ratings: By the numbers of the statements; those without a new rating are missing.
    """

    claims: tuple[Claim, ...] = ()
    ratings: dict[int, Rating] = Field(default_factory=dict)


class Analyst(Protocol):
    """Reads statements of one person, all with the same audience."""

    @property
    def name(self) -> str:
        """What its findings are marked with: `rules`, or the name of a model."""

    async def analyse(self, statements: Sequence[Statement], known: Sequence[KnownFact], *, account: str) -> Analysis:
        """Return what the statements say.

        Args:
            statements: In the order in which they were said, numbered from 1.
            known: What is held by the speaker's words.
            account: Whose budget pays for it, as `Audience.account_of` names it.

        Raises:
            ProviderError: It can't be told, now (`ProviderUnavailableError`, `BudgetExhaustedError`) or ever.
        """

"""The analyst that asks a language model, and believes of its answer only what can be checked.

The model sees numbered statements and no ids. What it says of other numbers, in more than a few words or beyond what
there can be is dropped: whatever stands in the texts, an answer holds claims and ratings and nothing else.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from cortex_core.attributes import declared_attributes, normal_form
from cortex_core.cleaning import clean_text
from cortex_core.models import MemoryType
from cortex_core.prompts.analysis import Findings, FoundClaim, build_analysis_prompt
from cortex_core.providers import ChatModel
from cortex_core.providers.analysis import Analysis, Claim, ClaimKind, KnownFact, Rating, Statement, Value

_MAX_STATEMENTS = 40
"""In one call: models lose the thread of longer lists."""

_MAX_CLAIMS = 40
_MAX_TEXT_CHARS = 2_000
_MAX_KNOWN = 100
_MAX_VALUE_CHARS = 60
_MAX_VALUE_WORDS = 8
_MAX_NAME_CHARS = 40
_MAX_NUMBER = 10**15
_FIRST_YEAR = 1900

_FRAME_TOKENS = 300
_TOKENS_PER_STATEMENT = 90
_SPEAKER = {
    *["", "i", "me", "my", "myself", "self", "user", "the user", "owner", "speaker", "the speaker", "null", "none"],
}


class LLMAnalyst:
    """Claims and ratings by a language model.

    Args:
        model: The model that is asked.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's name, which its findings are marked with."""
        return self._model.model

    async def analyse(self, statements: Sequence[Statement], known: Sequence[KnownFact], *, account: str) -> Analysis:
        """Return what the statements say; more than one call takes are asked about in several.

        Raises:
            ProviderError: As `ChatModel.ask` does.
        """
        claims: list[Claim] = []
        ratings: dict[int, Rating] = {}
        of_speaker = [fact for fact in known if fact.subject is None][:_MAX_KNOWN]
        for start in range(0, len(statements), _MAX_STATEMENTS):
            some = statements[start : start + _MAX_STATEMENTS]
            findings = await self._model.ask(
                build_analysis_prompt(
                    speaker=next((statement.author_name for statement in some if statement.author_name), None),
                    known=[{"attribute": fact.attribute, "value": fact.value} for fact in of_speaker],
                    statements=[_shown(statement) for statement in some],
                    single=[attribute.name for attribute in declared_attributes() if not attribute.has_many],
                    several=[attribute.name for attribute in declared_attributes() if attribute.has_many],
                ),
                Findings,
                max_tokens=_FRAME_TOKENS + _TOKENS_PER_STATEMENT * len(some),
                account=account,
            )
            offered = {statement.number: statement for statement in some}
            claims += _believe(findings.claims, offered)
            ratings |= _rate(findings, offered)
        return Analysis(claims=tuple(claims), ratings=ratings)


def _shown(statement: Statement) -> dict[str, str | int]:
    return {
        "number": statement.number,
        "said_at": statement.said_at.isoformat(timespec="minutes"),
        "text": statement.text[:_MAX_TEXT_CHARS],
    }


def _believe(found: Sequence[FoundClaim], offered: Mapping[int, Statement]) -> list[Claim]:
    """Return the claims that hold together, each once."""
    claims: dict[tuple[str, str, str, str], Claim] = {}
    for one in found:
        claim = _to_claim(one, offered)
        if claim is not None:
            key = (claim.subject or "", claim.attribute, normal_form(claim.value), claim.kind)
            claims.setdefault(key, claim)
    return list(claims.values())[:_MAX_CLAIMS]


def _to_claim(found: FoundClaim, offered: Mapping[int, Statement]) -> Claim | None:
    evidence = tuple(sorted({number for number in found.evidence if number in offered}))
    attribute = _plain(found.attribute.replace("_", " ")).lower()
    value = _to_value(found.value)
    subject = _plain(found.subject or "")
    is_short = len(attribute) <= _MAX_NAME_CHARS and len(subject) <= _MAX_NAME_CHARS
    if not evidence or not attribute or value is None or not is_short:
        return None
    names = _SPEAKER | {(offered[number].author_name or "").casefold() for number in evidence}
    return Claim(
        subject=None if subject.casefold() in names else subject,
        attribute=attribute,
        value=value,
        kind=ClaimKind(found.kind),
        replaces=None if found.replaces is None else _to_value(found.replaces),
        confidence=found.confidence,
        valid_from=_to_time(found.since, until=max(offered[number].said_at for number in evidence)),
        evidence=evidence,
    )


def _to_value(found: Value) -> Value | None:
    """Return a value of a few words, or None: a sentence isn't one, and a part of it isn't what was said."""
    if isinstance(found, str):
        text = _plain(found)
        return text if text and len(text) <= _MAX_VALUE_CHARS and len(text.split()) <= _MAX_VALUE_WORDS else None
    return found if abs(found) < _MAX_NUMBER else None  # which NaN isn't either


def _to_time(since: str | None, *, until: datetime) -> datetime | None:
    """Return the beginning of a day in UTC; None for what is no date, or hadn't begun when it was said."""
    try:
        day = date.fromisoformat(since or "")
    except ValueError:
        return None
    begin = datetime.combine(day, time(), UTC)
    # Where it was said, the next day may have begun already.
    return begin if day.year >= _FIRST_YEAR and begin <= until + timedelta(days=1) else None


def _rate(findings: Findings, offered: Mapping[int, Statement]) -> dict[int, Rating]:
    ratings: dict[int, Rating] = {}
    for found in findings.ratings:
        if found.number in offered:
            memory_type = None if found.memory_type is None else MemoryType(found.memory_type)
            ratings.setdefault(found.number, Rating(emotion=found.emotion, memory_type=memory_type))
    return ratings


def _plain(text: str) -> str:
    """Return a text in one line, without what no store can hold and what nobody sees."""
    return " ".join("".join(c if c.isprintable() else " " for c in clean_text(text)).split())

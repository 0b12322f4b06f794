"""What a system answered to a question, and how good that was: recall at k, reciprocal rank, newest first, silence."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks._corpora import Question

LIMIT = 20
"""Results that are asked for: as many as the widest measure looks at."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One system's results for one question.

    Attributes:
        found: The ids of the turns, best first.
        seconds: How long it took.
        relevance: How relevant the best candidate was, before anything was withheld; None where a system doesn't tell.
        is_weak: Whether every result was marked as a weak match; true if there is none.
    """

    question: Question
    language: str
    found: Sequence[str]
    seconds: float
    relevance: float | None = None
    is_weak: bool = False

    def recall(self, k: int) -> float:
        """Return the share of the evidence that is among the first k results."""
        return len(self.question.evidence.intersection(self.found[:k])) / len(self.question.evidence)

    def reciprocal_rank(self) -> float:
        """Return 1 divided by the rank of the first evidence, 0 if there is none."""
        return 1 / rank if (rank := self._rank_of(self.question.evidence)) else 0.0

    def has_newest_first(self) -> bool:
        """Return whether evidence was found, and nothing before it that is outdated."""
        newest, outdated = self._rank_of(self.question.evidence), self._rank_of(self.question.outdated)
        return newest is not None and (outdated is None or newest < outdated)

    def has_outdated(self) -> bool:
        """Return whether anything that is outdated, or holds in another project, was found."""
        return self._rank_of(self.question.outdated) is not None

    def _rank_of(self, ids: frozenset[str]) -> int | None:
        return next((rank for rank, found in enumerate(self.found, 1) if found in ids), None)


def summarise(answers: Iterable[Answer]) -> dict[str, float]:
    """Return the figures of the answers, in per cent but for `MRR`; what none of them can tell is left out."""
    every = list(answers)
    answerable = [answer for answer in every if answer.question.evidence]
    changed = [answer for answer in answerable if answer.question.outdated]
    unanswerable = [answer for answer in every if not answer.question.evidence]
    figures: dict[str, float] = {"questions": len(every)}
    if answerable:
        figures |= {f"R@{k}": percentage(answer.recall(k) for answer in answerable) for k in (5, 10, LIMIT)}
        figures["MRR"] = fmean(answer.reciprocal_rank() for answer in answerable)
    if changed:
        figures["newest first"] = percentage(answer.has_newest_first() for answer in changed)
    if within_project := [answer for answer in changed if answer.question.kind == "project"]:
        figures["leaks"] = percentage(answer.has_outdated() for answer in within_project)
    if unanswerable:
        figures["rejected"] = percentage(not answer.found for answer in unanswerable)
        figures["rejected or weak"] = percentage(answer.is_weak for answer in unanswerable)
    return figures


def summarise_by(answers: Iterable[Answer], key: Callable[[Answer], str]) -> dict[str, dict[str, float]]:
    """Return the figures of each group of answers, in alphabetical order."""
    groups: Mapping[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        groups[key(answer)].append(answer)
    return {name: summarise(group) for name, group in sorted(groups.items())}


def percentage(shares: Iterable[float]) -> float:
    """Return the mean of shares, in per cent."""
    return 100 * fmean(shares)

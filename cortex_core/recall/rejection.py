"""Deciding that a message needs no recall, in any language (TDD 9.2): by its words, what was found for it, or its task.

The patterns cost microseconds and come before any search. What a search found for a message in a group in which nobody
spoke to the bot is judged by a learned model. Only while a task is active may a language model be asked.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from cortex_core.cleaning import clean_text
from cortex_core.errors import ProviderError
from cortex_core.models import Memory
from cortex_core.prompts import build_topic_prompt
from cortex_core.providers import ChatMessage, ChatModel
from cortex_core.recall.rejection_model import RejectionModel, read_signals
from cortex_core.recall.rejection_patterns import Rejection, find_pattern

__all__ = ["Rejection", "RejectionPipeline"]

_log = logging.getLogger("cortex.recall")

_CONTINUE, _SWITCH = "CONTINUE", "SWITCH"
_MAX_TOKENS = 10
_READ_CHARS = 2000


class RejectionPipeline:
    """Rejects what carries nothing to search for, and what nothing remembered bears on.

    Args:
        llm: Tells whether a message continues the active task; without one every such message is looked up.
        model: What tells a message that needs a memory from one that doesn't; what Cortex ships when absent.
        llm_deadline: How long a message waits for the language model.

    Attributes:
        counts: How often `quick_reject`, `decide` and `why_not_retrieve` rejected, by reason.
    """

    def __init__(
        self,
        llm: ChatModel | None = None,
        *,
        model: RejectionModel | None = None,
        llm_deadline: timedelta = timedelta(seconds=1),
    ) -> None:
        self._llm = llm
        self._model = model or RejectionModel.shipped()
        self._llm_deadline = llm_deadline
        self.counts: Counter[Rejection] = Counter()

    def why_reject(self, message: str) -> Rejection | None:
        """Return what makes a message nothing to search for, or None to go on; it is only told, not counted."""
        return find_pattern(message)

    def quick_reject(self, message: str) -> bool:
        """Whether the message carries nothing to search for."""
        return self._count(find_pattern(message)) is not None

    def decide(
        self, message: str, *, relevance: float | None, memories: Sequence[Memory], is_addressed: bool
    ) -> Rejection | None:
        """Return why what was found for a message isn't wanted, or None if it is.

        Args:
            message: As it was said.
            relevance: How much of it the best match says (`SearchResult.relevance`); None where that can't be told,
                and then only the patterns decide.
            memories: What the search found, best first, personal ones and those of projects alike.
            is_addressed: Whether somebody spoke to the bot; then only the patterns decide.
        """
        reason = find_pattern(message)
        if reason is None and relevance is not None and not is_addressed:
            score = self._model.score(read_signals(message, relevance, memories))
            reason = Rejection.FAR if score < self._model.threshold else None
        return self._count(reason)

    async def should_retrieve(self, message: str, session: Mapping[str, object], *, account: str = "") -> bool:
        """Whether a message needs a recall in its session (TDD 9.2)."""
        return await self.why_not_retrieve(message, session, account=account) is None

    async def why_not_retrieve(
        self, message: str, session: Mapping[str, object], *, account: str = ""
    ) -> Rejection | None:
        """Return why a message needs no recall in its session, or None if it does.

        The patterns come first. In an active task the language model tells whether the message continues it; where
        there is none, or it fails, is late or answers something else, the message is looked up.

        Args:
            message: As it was said.
            session: Its state; `active_task` and `current_topic` are read.
            account: Whose budget pays for the language model, as `Audience.account_of` names it.
        """
        reason = find_pattern(message)
        if reason is None and session.get("active_task") and await self._continues(message, session, account):
            reason = Rejection.CONTINUATION
        return self._count(reason)

    async def _continues(self, message: str, session: Mapping[str, object], account: str) -> bool:
        if self._llm is None:
            return False
        prompt = build_topic_prompt(
            task=_describe(session.get("active_task")),
            topic=_describe(session.get("current_topic")),
            message=clean_text(message[:_READ_CHARS]),
        )
        conversation = [ChatMessage("system", prompt.system), ChatMessage("user", prompt.user)]
        try:
            async with asyncio.timeout(self._llm_deadline.total_seconds()):
                answer = (await self._llm.complete(conversation, max_tokens=_MAX_TOKENS, account=account)).upper()
        except (ProviderError, TimeoutError) as error:
            _log.info("Whether a message continues its task is unknown (%s); it is looked up.", type(error).__name__)
            return False
        return _CONTINUE in answer and _SWITCH not in answer

    def _count(self, reason: Rejection | None) -> Rejection | None:
        if reason is not None:
            self.counts[reason] += 1
        return reason


def _describe(value: object) -> str:
    """Return a session's value as text; `True` says nothing more than that there is one."""
    return "" if value is None or value is True else clean_text(str(value)[:_READ_CHARS])

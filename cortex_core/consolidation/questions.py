"""Asks a language model about some memories within a run: once, or again at the next runs if no answer is of use."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from cortex_core.consolidation.accounts import account_of
from cortex_core.consolidation.runs import OpenRun
from cortex_core.errors import ProviderError, ProviderUnavailableError
from cortex_core.models import Memory
from cortex_core.prompts import Prompt
from cortex_core.providers import ChatModel
from cortex_core.stores.postgres.questions import count_attempt, mark_answered

_log = logging.getLogger("cortex.consolidation")

T = TypeVar("T", bound=BaseModel)

MOST_ATTEMPTS = 3
"""Answers that can't be read, or refusals, after which a question isn't asked any more."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What a language model is asked.

    Attributes:
        task: What it is to do with the memories.
        about: The memories that it is shown, of one account; they make two questions the same.
        shape: Of the answer.
    """

    task: str
    about: Sequence[Memory]
    prompt: Prompt
    shape: type[T]
    max_tokens: int

    async def put(self, llm: ChatModel) -> T:
        """Return the answer; raises as `ChatModel.ask` does."""
        return await llm.ask(self.prompt, self.shape, max_tokens=self.max_tokens, account=account_of(self.about[0]))

    def digest(self, llm: ChatModel) -> bytes:
        """Return what tells it from all other questions: other memories, an edit, another model make another one."""
        memories = sorted(f"{memory.id} {memory.version}" for memory in self.about)
        return hashlib.sha256("\n".join([self.task, llm.model, *memories]).encode()).digest()


class Inquiry:
    """The questions of one run.

    A question whose answer can't be read doesn't keep the others from being asked. It is asked again at the next run,
    `MOST_ATTEMPTS` times in all, and then no more until the memories change, or the model does.
    """

    def __init__(self, run: OpenRun, llm: ChatModel) -> None:
        self._run = run
        self._llm = llm
        self._failure: ProviderError | None = None

    @property
    def model(self) -> str:
        """Who is asked."""
        return self._llm.model

    async def ask(self, question: Question[T]) -> T | None:
        """Return the answer; None for a question that was settled, given up, or has no answer of use this time.

        Raises:
            ProviderUnavailableError: The model is away, or its budget used up.
            StoreUnavailableError: Postgres is away.
        """
        asked = await self._run.look_up(question.digest(self._llm))
        if asked.is_answered:
            return None
        if asked.attempts >= MOST_ATTEMPTS:
            self._run.counts["given_up"] += 1
            return None
        try:
            return await question.put(self._llm)
        except ProviderUnavailableError:
            raise
        except ProviderError as error:
            self._failure = error
            await self._note_failure(question, asked.attempts + 1, error)
            return None

    async def settle(self, question: Question[T]) -> None:
        """Note that what the answer says is done."""
        async with self._run.committing() as connection:
            await mark_answered(connection, self._run.lease, question.digest(self._llm))

    def check(self) -> None:
        """Raise the last `ProviderError` that kept a question from being answered, once the others were asked."""
        if self._failure is not None:
            raise self._failure

    async def _note_failure(self, question: Question[T], attempts: int, error: ProviderError) -> None:
        self._run.counts["unreadable"] += 1
        async with self._run.committing() as connection:
            await count_attempt(connection, self._run.lease, question.digest(self._llm))
        what_now = "is asked again" if attempts < MOST_ATTEMPTS else "is given up until they change"
        _log.warning(
            "A question about %d memories (%s) in run %s %s: %s",
            len(question.about), question.task, self._run.id, what_now, error,
        )  # fmt: skip

"""What language models cost: a budget for each account and day, a record of every request, and how many run at once.

Tokens and money are set aside in the ledger before a request and settled after it, so that requests at the same time,
in any number of processes, keep within the caps together. Without the ledger nothing is asked.

What a process set aside and didn't settle, because it died, counts as spent until the day ends: the server may well
have charged for it. Each day has rows of its own, so that it never weighs on the next one.
"""

import asyncio
import logging
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from cortex_core.audience import is_persons_account
from cortex_core.config import LLMConfig
from cortex_core.errors import (
    BudgetExhaustedError,
    BudgetReservedError,
    ProviderError,
    ProviderUnavailableError,
    StoreError,
)
from cortex_core.models import Reservation, utc_now
from cortex_core.providers import ChatRequest, ChatServer, Completion, Usage
from cortex_core.providers._answers import schema_of

_log = logging.getLogger("cortex.llm")

_NOTHING = Usage(0, 0)
_BYTES_PER_TOKEN = 3
"""English takes about four, other languages and JSON fewer: an estimate to the safe side."""

_FRAME_TOKENS = 16
"""What a message takes besides its text, generously."""

_WORDS_AROUND_SCHEMA = 200
"""The bytes that a server which takes no schema is told with it."""


class Ledger(Protocol):
    """Keeps what was spent, by day (UTC) and account, for all processes; raises `StoreError` when it can't."""

    async def reserve(
        self, day: date, account: str, *, tokens: int, dollars: float, daily_tokens: int, daily_dollars: float
    ) -> Reservation:
        """Set aside what a request may take at most if that keeps within both caps, and tell.

        Args:
            day: Whose budget it is.
            account: Likewise.
            tokens: Of the request and its answer.
            dollars: What they may cost.
            daily_tokens: The cap of the account's day, with all that is set aside; 0 for none.
            daily_dollars: Likewise.
        """

    async def settle(
        self, day: date, account: str, *, tokens: int, dollars: float, usage: tuple[int, int], cost: float, calls: int
    ) -> None:
        """Give back what was set aside, and keep what the request took.

        Args:
            day: The day that it was set aside on, whatever day it is now.
            account: As in `reserve`.
            tokens: As in `reserve`.
            dollars: As in `reserve`.
            usage: The tokens in and out.
            cost: What they cost, in dollars.
            calls: 1, or 0 where the server refused.
        """


@dataclass(frozen=True, slots=True)
class _Charge:
    """What is set aside for a request."""

    day: date
    account: str
    tokens: int
    dollars: float


class MeteredChat:
    """A server whose requests are counted, capped and limited in number.

    Args:
        server: What sends them.
        ledger: Where they are counted.
        config: The caps, the prices, and how many requests run at once.
    """

    def __init__(self, server: ChatServer, ledger: Ledger, config: LLMConfig) -> None:
        self._server = server
        self._ledger = ledger
        self._config = config
        self._slots = asyncio.Semaphore(config.max_concurrent)
        self._settling: set[asyncio.Task[None]] = set()
        self.model = server.model

    async def send(self, request: ChatRequest) -> Completion:
        """Send a request when there is a place for it and the account can afford it.

        Raises:
            BudgetExhaustedError: It could cost more than the account's day has left; nothing was sent.
            BudgetReservedError: It could, by what is set aside for requests that go on; nothing was sent.
            ProviderUnavailableError: The ledger can't be reached and nothing was sent; or as the server raises.
            ProviderError: As the server raises.
        """
        async with self._slots:
            charge = await self._reserve(request)
            try:
                completion = await self._server.send(request)
            except ProviderError as error:
                await self._settle(charge, _unanswered(request) if error.is_billed else _NOTHING)
                raise
            except asyncio.CancelledError:
                # Whoever gave up doesn't wait for the ledger; `close` does.
                self._start_settling(charge, _unanswered(request))
                raise
            usage = completion.usage or Usage(_estimate(_size(request)), _estimate(len(completion.text.encode())))
            await self._settle(charge, usage)
            return completion

    async def close(self) -> None:
        """Settle what isn't yet, and release the connections."""
        if self._settling:
            await asyncio.wait(self._settling)
        await self._server.close()

    async def _reserve(self, request: ChatRequest) -> _Charge:
        # No token is shorter than a byte, so this is the most that the request can be.
        most = Usage(_size(request) + _FRAME_TOKENS * (len(request.messages) + 1), request.max_tokens)
        now = utc_now()
        charge = _Charge(now.date(), request.account, most.input_tokens + most.output_tokens, self._price(most))
        daily_tokens, daily_dollars = self._caps(request.account)
        try:
            reservation = await self._ledger.reserve(
                charge.day,
                charge.account,
                tokens=charge.tokens,
                dollars=charge.dollars,
                daily_tokens=daily_tokens,
                daily_dollars=daily_dollars,
            )
        except StoreError as error:
            raise ProviderUnavailableError(
                f"The language model isn't asked while its costs can't be counted: {error}"
            ) from error
        match reservation:
            case Reservation.PENDING:
                raise BudgetReservedError(
                    "What is left here of the day's budget for the language model is set aside for requests that go "
                    "on; try again when they are answered.",
                    retry_after=timedelta(seconds=self._config.timeout_seconds),
                )
            case Reservation.REFUSED:
                raise BudgetExhaustedError(
                    "The day's budget for the language model is used up here; it starts anew at midnight UTC, and "
                    "`llm.daily_tokens`, `llm.daily_dollars` and, for direct messages, `llm.direct_share` raise it.",
                    retry_after=_next_day(now) - now,
                )
        return charge

    def _caps(self, account: str) -> tuple[int, float]:
        """Return the tokens and dollars that an account may take on a day; 0 for as many as it likes."""
        tokens, dollars = self._config.daily_tokens, self._config.daily_dollars
        if not is_persons_account(account):
            return tokens, dollars
        share = self._config.direct_share
        return math.ceil(tokens * share), dollars * share

    async def _settle(self, charge: _Charge, usage: Usage) -> None:
        await asyncio.shield(self._start_settling(charge, usage))

    def _start_settling(self, charge: _Charge, usage: Usage) -> asyncio.Task[None]:
        task = asyncio.create_task(self._enter(charge, usage))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _enter(self, charge: _Charge, usage: Usage) -> None:
        cost = self._price(usage)
        try:
            await self._ledger.settle(
                charge.day,
                charge.account,
                tokens=charge.tokens,
                dollars=charge.dollars,
                usage=(usage.input_tokens, usage.output_tokens),
                cost=cost,
                calls=int(usage != _NOTHING),
            )
        except StoreError as error:
            _log.warning("A request to %s stays counted at its most, until the day ends: %s", self.model, error)
            return
        _log.debug(
            "%s took %d tokens and gave %d for account %s: $%.6f.",
            self.model, usage.input_tokens, usage.output_tokens, charge.account or "of direct messages", cost,
        )  # fmt: skip

    def _price(self, usage: Usage) -> float:
        prices = self._config.input_dollars_per_million, self._config.output_dollars_per_million
        return (usage.input_tokens * prices[0] + usage.output_tokens * prices[1]) / 1_000_000


def _size(request: ChatRequest) -> int:
    """Return the bytes that a request sends to the model at most."""
    schema = len(str(schema_of(request.shape))) + _WORDS_AROUND_SCHEMA if request.shape else 0
    return schema + sum(len(message.content.encode(errors="replace")) for message in request.messages)


def _estimate(size: int) -> int:
    return math.ceil(size / _BYTES_PER_TOKEN)


def _unanswered(request: ChatRequest) -> Usage:
    """Estimate what a server charges for when nothing of use came back: all of it."""
    return Usage(_estimate(_size(request)), request.max_tokens)


def _next_day(now: datetime) -> datetime:
    return datetime.combine(now.date() + timedelta(days=1), time(), UTC)

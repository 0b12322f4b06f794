"""What language models were asked, by day and account: the ledger that keeps their budgets."""

from datetime import date

from cortex_core.models import Reservation
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("spending")


class Spending:
    """The table `llm_spending`. Each method is one statement, so that any number of processes keep a cap together."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reserve(
        self, day: date, account: str, *, tokens: int, dollars: float, daily_tokens: int, daily_dollars: float
    ) -> Reservation:
        """Set aside what a request may take at most if that keeps within both caps, and tell; 0 is no cap."""
        async with self._pool.connection() as connection:
            outcome = await connection.fetchval(
                _SQL["reserve"], day, account, tokens, dollars, daily_tokens, daily_dollars
            )
        return Reservation(outcome)

    async def settle(
        self, day: date, account: str, *, tokens: int, dollars: float, usage: tuple[int, int], cost: float, calls: int
    ) -> None:
        """Give back what was set aside on that day, and keep what the request took: tokens in and out, and dollars."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["settle"], day, account, tokens, dollars, calls, *usage, cost)

    async def unname_persons(self, *, before: date) -> None:
        """Keep what people took in their direct messages before that day without telling whose it was."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["unname_persons"], before)

"""MemoryDashboard: what hosts ask (TDD 10.4)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cortex_core.consolidation.runner import WHOLE
from cortex_core.dashboard.activity_log import ActivityLog, hour_of
from cortex_core.dashboard.figures import MAX_HOURS, GuildStats, Health, Latency, Learning, Slot, Stats, UserStats
from cortex_core.dashboard.health import Examiner
from cortex_core.errors import InvalidInputError, StoreUnavailableError
from cortex_core.metrics import Operation, Tally, name_with_reason
from cortex_core.models import Run, utc_now
from cortex_core.stores.journal import Journal
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.activity import HourlyTally
from cortex_core.stores.redis import RedisStore

_HOURLY_UP_TO = 72
_LAST_RUNS = 5
_RECALL = (Operation.CONTEXT, Operation.SEARCH)
_TRIED = (Operation.STORE, Operation.CONTEXT, Operation.SEARCH)


class MemoryDashboard:
    """Answers how everything is, and what was done where; no process counts for itself alone."""

    def __init__(
        self,
        redis: RedisStore,
        postgres: PostgresStore,
        journal: Journal,
        activity: ActivityLog,
        examiner: Examiner,
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._activity = activity
        self._examiner = examiner

    async def get_health(self) -> Health:
        """Return how everything is that the memory depends on; it always answers, within some seconds."""
        return await self._examiner.examine()

    async def get_stats(self, hours: int = 24, *, now: datetime | None = None) -> Stats:
        """Return what was done in the last hours, this one included, and what there is now.

        Other processes tell what they did once a minute.

        Raises:
            InvalidInputError: That is not 1 to `MAX_HOURS` hours.
            StoreUnavailableError: Postgres is away.
        """
        slots = _slots(hours, now or utc_now())
        await self._activity.flush()
        activity = self._postgres.activity
        done = await activity.list_tallies(since=slots[0])
        totals = await activity.count_everything()
        recall = _sum(done, *_RECALL)
        looked_up = _sum(done, Operation.LOOK_UP).count
        return Stats(
            since=slots[0],
            total_users=totals.users,
            total_memories=totals.memories,
            memories_by_type=dict(totals.memories_by_type),
            memories_stored=_succeeded(_sum(done, Operation.STORE)),
            retrievals=recall.count,
            avg_latency_ms=recall.mean_ms,
            error_count=_sum(done, *_TRIED).failures,
            store=Latency.of(_sum(done, Operation.STORE)),
            recall=Latency.of(recall),
            write_lag=Latency.of(_sum(done, Operation.WRITE)),
            hit_rate=_sum(done, Operation.FIND).count / looked_up if looked_up else None,
            rejections=_by_reason(done, Operation.REJECT),
            learning=Learning(
                by_rules=_sum(done, Operation.LEARN).count,
                by_model=_sum(done, Operation.ANALYSE).count,
                calls=_sum(done, Operation.ASK).count,
                postponed=_sum(done, Operation.POSTPONE).count,
                left_to_rules=_sum(done, Operation.LEAVE).count,
                given_up=_sum(done, Operation.GIVE_UP).count,
            ),
            llm=await activity.count_spending(since=slots[0].date()),
            runs=await activity.count_runs(WHOLE, since=slots[0]),
            last_runs=tuple(await activity.list_runs(WHOLE, limit=_LAST_RUNS)),
            dead_letters=totals.dead_letters,
            backlog=await self._count_backlog(),
            vectors_waiting=totals.vectors_waiting,
            timeline=_timeline(slots, _slot_of(hours), done),
        )

    async def get_guild_stats(self, guild_id: int, hours: int = 24, *, now: datetime | None = None) -> GuildStats:
        """Return what came from one server in the last hours, and what is kept of it; raises as `get_stats` does."""
        slots = _slots(hours, now or utc_now())
        activity = self._postgres.activity
        totals = await activity.count_of_guild(guild_id, since=slots[0], slot=_slot_of(hours))
        stored = totals.memories_by_slot
        timeline = tuple(Slot(start=slot, stored=stored.get(slot, 0)) for slot in slots)
        return GuildStats(
            since=slots[0],
            people=totals.people,
            projects=totals.projects,
            total_memories=sum(totals.memories_by_type.values()),
            memories_by_type=dict(totals.memories_by_type),
            memories_stored=sum(slot.stored for slot in timeline),
            llm=await activity.count_spending(since=slots[0].date(), account=str(guild_id)),
            runs=await activity.count_runs(WHOLE, guild_id=guild_id, since=slots[0]),
            timeline=timeline,
        )

    async def get_user_stats(self, user_id: str) -> UserStats:
        """Return what is kept about one person.

        Raises:
            InvalidInputError: The user id can't be one.
            StoreUnavailableError: A store is away.
        """
        totals = await self._postgres.activity.count_of_user(check_user_id(user_id))
        return UserStats(
            identity_facts=totals.identity_facts,
            total_memories=totals.memories,
            working_memories=len(await self._redis.get_working(user_id)),
            last_active=totals.last_active,
        )

    async def list_runs(self, *, guild_id: int | None = None, limit: int = 100, offset: int = 0) -> list[Run]:
        """Return the last runs of consolidation, latest first: all, or those on people who spoke in a server.

        Raises:
            StoreUnavailableError: Postgres is away.
        """
        return await self._postgres.activity.list_runs(WHOLE, guild_id=guild_id, limit=limit, offset=offset)

    async def count_runs(self, *, guild_id: int | None = None) -> int:
        """Return how many `list_runs` would list without a limit; raises as that does."""
        return sum((await self._postgres.activity.count_runs(WHOLE, guild_id=guild_id)).values())

    async def list_people(self, guild_id: int) -> list[str]:
        """Return the ids of those who said something in a server and didn't leave it; raises as `list_runs` does."""
        return await self._postgres.activity.list_people_of_guild(guild_id)

    async def _count_backlog(self) -> int | None:
        try:
            return await self._journal.depth()
        except StoreUnavailableError:
            return None


def _slot_of(hours: int) -> timedelta:
    return timedelta(hours=1 if hours <= _HOURLY_UP_TO else 24)


def _slots(hours: int, now: datetime) -> list[datetime]:
    """Return when each slot of the last hours begins."""
    if not 0 < hours <= MAX_HOURS:
        raise InvalidInputError(f"Statistics reach back 1 to {MAX_HOURS} hours.")
    since = hour_of(now) - timedelta(hours=hours - 1)
    slot = _slot_of(hours)
    return [since + index * slot for index in range(-(-hours * timedelta(hours=1) // slot))]


def _sum(done: Iterable[HourlyTally], *operations: str) -> Tally:
    total = Tally()
    for hourly in done:
        if hourly.operation in operations:
            total.add(hourly.tally)
    return total


def _succeeded(tally: Tally) -> int:
    return tally.count - tally.failures


def _by_reason(done: Iterable[HourlyTally], operation: Operation) -> dict[str, int]:
    """Return how often it was done for each reason, the most frequent first."""
    prefix = name_with_reason(operation, "")
    counts: dict[str, int] = {}
    for hourly in done:
        if hourly.operation.startswith(prefix):
            reason = hourly.operation.removeprefix(prefix)
            counts[reason] = counts.get(reason, 0) + hourly.tally.count
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _timeline(slots: Sequence[datetime], slot: timedelta, done: Iterable[HourlyTally]) -> tuple[Slot, ...]:
    in_slots: list[list[HourlyTally]] = [[] for _ in slots]
    for hourly in done:
        in_slots[min((hourly.hour - slots[0]) // slot, len(slots) - 1)].append(hourly)
    return tuple(
        Slot(
            start=start,
            stored=_succeeded(_sum(tallies, Operation.STORE)),
            recall=Latency.of(_sum(tallies, *_RECALL)),
        )
        for start, tallies in zip(slots, in_slots, strict=True)
    )

"""What the dashboard answers."""

from pydantic import AwareDatetime

from cortex_core.metrics import Tally
from cortex_core.models import MemoryType, Model, Run, RunStatus
from cortex_core.stores.health import Check
from cortex_core.stores.postgres.activity import Spending

MAX_HOURS = 24 * 30
"""How far statistics may reach back."""


class Latency(Model):
    """How long an operation took, in milliseconds; None where nothing was timed.

    Attributes:
        count: How often it was tried.
        failures: How often of these it failed.
    """

    count: int = 0
    failures: int = 0
    mean_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None

    @classmethod
    def of(cls, tally: Tally) -> "Latency":
        """Return the figures of what was counted."""
        return cls(
            count=tally.count,
            failures=tally.failures,
            mean_ms=tally.mean_ms,
            p50_ms=tally.quantile_ms(0.5),
            p95_ms=tally.quantile_ms(0.95),
        )


class Learning(Model):
    """How memories were read for what they say of their authors.

    Attributes:
        by_rules: Memories that rules read.
        by_model: Memories that a language model read.
        calls: How often it answered for that.
        postponed: How often it could not be asked, or its answer not be read, so that it was left for later.
        left_to_rules: Memories for which it was not asked, since too few waited together or the budget was used up.
        given_up: Memories that gave nothing but answers that can't be read or kept.
    """

    by_rules: int = 0
    by_model: int = 0
    calls: int = 0
    postponed: int = 0
    left_to_rules: int = 0
    given_up: int = 0


class Slot(Model):
    """What went on in an hour or a day.

    Attributes:
        start: When it begins.
        stored: Memories.
        recall: Contexts and searches; of a single server nobody counts them.
    """

    start: AwareDatetime
    stored: int = 0
    recall: Latency = Latency()


class Stats(Model):
    """What was done and what there is, everywhere (TDD 10.4).

    Attributes:
        since: What is counted over time counts from then.
        total_users: People of whom memories are kept.
        memories_by_type: Estimated where there are very many.
        memories_stored: Since then, as everything down to `last_runs`.
        retrievals: Contexts and searches.
        avg_latency_ms: Of these; None if there were none.
        error_count: What failed of everything that is counted.
        write_lag: From the acknowledgement of a memory to its row in Postgres.
        hit_rate: The share of the contexts that looked for memories and found some; None if none looked.
        rejections: How many contexts did without memories, by the reason.
        llm: What language models were asked for all purposes.
        runs: How the runs of background work went.
        last_runs: The latest ones, whenever they were.
        dead_letters: Writes that could not be stored, and answers of a language model that could not be read, ever.
        backlog: Writes that wait in the journal; None while Redis is away.
        vectors_waiting: Memories that have no vector yet.
        timeline: Oldest slot first.
    """

    since: AwareDatetime
    total_users: int
    total_memories: int
    memories_by_type: dict[MemoryType, int]
    memories_stored: int
    retrievals: int
    avg_latency_ms: float | None
    error_count: int
    store: Latency
    recall: Latency
    write_lag: Latency
    hit_rate: float | None
    rejections: dict[str, int]
    learning: Learning
    llm: Spending
    runs: dict[RunStatus, int]
    last_runs: tuple[Run, ...]
    dead_letters: int
    backlog: int | None
    vectors_waiting: int
    timeline: tuple[Slot, ...]


class GuildStats(Model):
    """What comes from one server, for those who manage it: nothing in it tells of any other place.

    Attributes:
        since: What is counted over time counts from then.
        people: Who said something there.
        projects: Those that a channel of it feeds.
        memories_stored: Since then, as what follows.
        runs: How the runs of background work on its people went.
        timeline: Oldest slot first.
    """

    since: AwareDatetime
    people: int
    projects: int
    total_memories: int
    memories_by_type: dict[MemoryType, int]
    memories_stored: int
    llm: Spending
    runs: dict[RunStatus, int]
    timeline: tuple[Slot, ...]


class UserStats(Model):
    """What is kept about one person (TDD 10.4).

    Attributes:
        last_active: When they last said something that is kept.
    """

    identity_facts: int
    total_memories: int
    working_memories: int
    last_active: AwareDatetime | None


class Health(Model):
    """How everything is that the memory depends on (TDD 10.4).

    Attributes:
        consolidation_running: Whether some process is at it at this moment.
        last_consolidation: When a run last came to a good end; None also while Postgres is away.
        checks: One for each dependency, with what to do about it.
    """

    redis_connected: bool
    postgres_connected: bool
    embedder_healthy: bool
    consolidation_running: bool
    last_consolidation: AwareDatetime | None
    checks: tuple[Check, ...]

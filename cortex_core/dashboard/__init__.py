"""How it all works and what there is, for whoever runs it; in figures, without a word that anybody said."""

from cortex_core.dashboard.figures import MAX_HOURS, GuildStats, Health, Latency, Learning, Slot, Stats, UserStats
from cortex_core.dashboard.memory_dashboard import MemoryDashboard
from cortex_core.stores.health import Check, Status
from cortex_core.stores.postgres.activity import Spending

__all__ = [
    "MAX_HOURS",
    "Check",
    "GuildStats",
    "Health",
    "Latency",
    "Learning",
    "MemoryDashboard",
    "Slot",
    "Spending",
    "Stats",
    "Status",
    "UserStats",
]

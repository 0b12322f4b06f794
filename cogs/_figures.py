"""Statistics in words, as the fields of an embed."""

from collections.abc import Mapping
from datetime import datetime

import discord

from cortex_core import GuildStats, MemoryType, Stats
from cortex_core.dashboard import Latency, Learning, Spending
from cortex_core.models import RunStatus

from ._views import list_embed
from ._wording import count_of

_COSTS = "Costs are counted in whole days (UTC)."
_REASONS_AT_MOST = 5
_MS_OF_A_SECOND = 1000


def guild_embed(stats: GuildStats, hours: int) -> discord.Embed:
    """Return what came from a server."""
    embed = _embed(f"This server in the last {count_of(hours, 'hour')}", stats.since)
    _add(embed, "Memories", f"{stats.total_memories:,} said here", *_types(stats.memories_by_type))
    _add(embed, "Stored", count_of(stats.memories_stored))
    _add(embed, "People", f"{stats.people:,} said something", f"{count_of(stats.projects, 'project')} linked")
    _add(embed, "Language model", *_spending(stats.llm))
    _add(embed, "Background work", *_runs(stats.runs))
    return embed.set_footer(text=_COSTS)


def stats_embed(stats: Stats, hours: int) -> discord.Embed:
    """Return what was done everywhere."""
    embed = _embed(f"Everything in the last {count_of(hours, 'hour')}", stats.since)
    people = "1 person" if stats.total_users == 1 else f"{stats.total_users:,} people"
    _add(embed, "Memories", f"{stats.total_memories:,} of {people}", *_types(stats.memories_by_type))
    _add(embed, "Stored", count_of(stats.memories_stored), *_latency(stats.store))
    found = [] if stats.hit_rate is None else [f"found: {stats.hit_rate:.0%}"]
    _add(embed, "Recalled", count_of(stats.retrievals, "time"), *_latency(stats.recall), *found)
    backlog = "Redis is away" if stats.backlog is None else f"{stats.backlog:,} waiting"
    vectors = f"{stats.vectors_waiting:,} without vector"
    _add(embed, "Written", *_latency(stats.write_lag), backlog, vectors)
    _add(embed, "No recall needed", *_rejections(stats.rejections))
    _add(embed, "Errors", count_of(stats.error_count, "error"), count_of(stats.dead_letters, "dead letter"))
    _add(embed, "Learned from", *_learning(stats.learning))
    _add(embed, "Language model", *_spending(stats.llm))
    last = [f"last {discord.utils.format_dt(run.started_at, 'R')}" for run in stats.last_runs[:1]]
    _add(embed, "Background work", *_runs(stats.runs), *last)
    return embed.set_footer(text=f"p50: half took less. p95: 95 of 100 did. {_COSTS}")


def _embed(title: str, since: datetime) -> discord.Embed:
    return list_embed(title, [f"Counted since {discord.utils.format_dt(since, 'f')}."])


def _add(embed: discord.Embed, name: str, *lines: str) -> None:
    embed.add_field(name=name, value="\n".join(lines), inline=True)


def _types(types: Mapping[MemoryType, int]) -> list[str]:
    return [f"{number:,} {kind.value}" for kind, number in sorted(types.items(), key=lambda item: -item[1])]


def _latency(latency: Latency) -> list[str]:
    if latency.p50_ms is None or latency.p95_ms is None:
        return []
    return [f"p50 {_time(latency.p50_ms)}", f"p95 {_time(latency.p95_ms)}"]


def _time(milliseconds: float) -> str:
    if milliseconds >= _MS_OF_A_SECOND:
        return f"{milliseconds / _MS_OF_A_SECOND:,.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else "1 ms"


def _rejections(rejections: Mapping[str, int]) -> list[str]:
    shown = [f"{number:,}: {reason}" for reason, number in list(rejections.items())[:_REASONS_AT_MOST]]
    rest = sum(list(rejections.values())[_REASONS_AT_MOST:])
    return [*shown, *([f"{rest:,}: other reasons"] if rest else [])] or ["none"]


def _learning(learning: Learning) -> list[str]:
    """Return how many memories were read by whom; what goes amiss only where it does."""
    amiss = {
        "left to the rules": learning.left_to_rules,
        "postponed": learning.postponed,
        "given up": learning.given_up,
    }
    return [
        f"{learning.by_rules:,} by rules",
        f"{learning.by_model:,} by the model",
        *([count_of(learning.calls, "call")] if learning.calls else []),
        *(f"{number:,} {words}" for words, number in amiss.items() if number),
    ]


def _spending(spending: Spending) -> list[str]:
    if not spending.calls:
        return ["not asked"]
    tokens = [f"{spending.input_tokens:,} tokens in", f"{spending.output_tokens:,} tokens out"]
    return [count_of(spending.calls, "call"), *tokens, spending.cost]


def _runs(runs: Mapping[RunStatus, int]) -> list[str]:
    words = {RunStatus.SUCCEEDED: "done", RunStatus.FAILED: "failed", RunStatus.RUNNING: "going on"}
    return [f"{count_of(runs[status], 'run')} {word}" for status, word in words.items() if status in runs] or ["none"]

"""`cortex rejection train`: learns anew, from labelled messages, which ones need a memory."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cortex_core.bootstrap import open_servers
from cortex_core.commands.console import print_json, progress, say
from cortex_core.commands.running import run
from cortex_core.config import EmbeddedConfig, MemoryConfig, PostgresConfig, RedisConfig, load_config
from cortex_core.errors import CortexError, InvalidInputError
from cortex_core.ingestion.intake import NewMemory
from cortex_core.manager import MemoryManager
from cortex_core.models import Memory
from cortex_core.recall.rejection_model import RejectionModel, read_signals
from cortex_core.recall.rejection_patterns import find_pattern
from cortex_core.recall.rejection_training import (
    Chat,
    Figures,
    Judged,
    Labelled,
    check_enough,
    decide,
    decide_unseen,
    learn,
    read_examples,
)

app = typer.Typer(no_args_is_help=True, help="Which messages of a group need no memory.")

_BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""A fixed time, so that what is learned doesn't depend on the day; memories follow a day apart, as strangers."""
_FOUND = 20


@app.callback()
def _rejection() -> None:
    """Keep `train` a subcommand while it is the only one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A labelled message and what the search found for it; nothing where the patterns reject it."""

    label: Labelled
    relevance: float
    memories: Sequence[Memory]


@dataclass(frozen=True, slots=True)
class Training:
    """What was learned, and how well it works: in chats left out of learning, and on what it was learned from."""

    model: RejectionModel
    unseen: Figures
    seen: Figures


@app.command()
def train(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    *,
    output: Annotated[Path, typer.Option(dir_okay=False, metavar="FILE", help="where the result goes")] = Path(
        "rejection.json"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="for a program to read")] = False,
) -> None:
    """Learn from labelled messages which ones need a memory.

    FILE, one or several, has one JSON object a line: chat, by and remembered for what a member told before; chat, by,
    message and recall (true or false) for a message. Every message is searched for in its chat's memories, in a
    database of its own that is removed afterwards, with the embedder of the settings.
    """
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    chats = read_examples(lines, name=files[0].name if len(files) == 1 else "the files")
    check_enough(chats)
    if not output.absolute().parent.is_dir():
        raise InvalidInputError(f"{output} can't be written, for its folder isn't there; choose another --output.")
    training = summarise(run(_judge(load_config(), chats)))
    try:
        output.write_text(training.model.to_json(), "utf-8")
    except OSError as error:
        raise InvalidInputError(f"{output} can't be written ({error.strerror}); choose another --output.") from None
    if as_json:
        print_json(
            {
                "model": training.model.model_dump(mode="json"),
                "unseen": asdict(training.unseen),
                "seen": asdict(training.seen),
                "output": str(output),
            }
        )
        return
    say(f"{training.model.messages} messages of {training.model.chats} chats")
    for name, figures in (("in chats left out of learning", training.unseen), ("in all of them", training.seen)):
        say(f"precision {figures.precision:.3f}, recall {figures.recall:.3f}, F1 {figures.f1:.3f} {name}")
    say(f"threshold {training.model.threshold:.3f} on")
    for name, weight in training.model.weights.items():
        say(f"    {weight:+.3f} {name}")
    say(f"written to {output}; name it in retrieval.rejection_file to use it")


def summarise(judged: Sequence[Judged]) -> Training:
    """Learn, and compare what would be decided with the labels; raises as `learn` does."""
    labels = [example.label.recall for example in judged]
    unseen = decide_unseen(judged)
    model = learn(judged)
    seen = [decide(model, example) for example in judged]
    return Training(model, Figures.of(unseen, labels), Figures.of(seen, labels))


async def search_chat(memory: MemoryManager, chat: Chat) -> list[Found]:
    """Store a chat's memories and search them for each of its messages, as recall does.

    Raises:
        CortexError: A memory was refused, or the embedder gives nothing that relevance can be told by.
    """
    times = (_BEGIN + timedelta(days=day) for day in range(len(chat.remembered)))
    told = [
        NewMemory(content=line.remembered, created_at=time, author_id=line.by, author_name=line.by, channel_id="1")
        for line, time in zip(chat.remembered, times, strict=True)
    ]
    owner = f"chat-{chat.name}"
    results = await memory.store_many(owner, told)
    if refused := [number for number, result in enumerate(results, start=1) if not result.success]:
        raise CortexError(f"Memory {refused[0]} of a chat was refused: {results[refused[0] - 1].error}")
    await memory.flush()
    asked_at = _BEGIN + timedelta(days=len(told))
    found: list[Found] = []
    for label in chat.messages:
        if find_pattern(label.message) is not None:
            found.append(Found(label, 0.0, ()))
            continue
        result = await memory.search(owner, label.message, limit=_FOUND, asked_at=asked_at)
        if result.relevance is None:
            raise CortexError(
                "This embedder tells no relevance, so there is no threshold to learn: with it only the patterns "
                "reject. Use embedding.provider local."
            )
        found.append(Found(label, result.relevance, result.memories))
    return found


def judge(found: Found) -> Judged:
    """Return what rejection can tell of a message beside what was found for it."""
    message = found.label.message
    is_pattern = find_pattern(message) is not None
    signals = None if is_pattern else read_signals(message, found.relevance, found.memories)
    return Judged(found.label, found.relevance, signals)


async def _judge(config: MemoryConfig, chats: Sequence[Chat]) -> list[Judged]:
    judged: list[Judged] = []
    async with _open_memory(config) as memory:
        with progress("searching", len(chats)) as bar:
            for chat in chats:
                judged += map(judge, await search_chat(memory, chat))
                bar.advance(bar.task_ids[0])
    return judged


@contextmanager
def _make_folder() -> Iterator[Path]:
    """Make a folder for the servers' data and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="cortex-rejection-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # run by root, the servers are another account's and have to pass
        yield Path(folder)


@asynccontextmanager
async def _open_memory(config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """Open an empty memory with these settings on servers of its own."""
    with _make_folder() as folder:
        embedded = EmbeddedConfig(data_dir=folder / "data")
        fresh = {"embedded": embedded, "redis": RedisConfig(), "postgres": PostgresConfig()}
        async with open_servers(config.model_copy(update=fresh)) as opened, MemoryManager(opened) as memory:
            yield memory

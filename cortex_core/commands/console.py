"""How commands speak: results on stdout, everything else on stderr."""

import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import JsonValue
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

stdout = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
stderr = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)


def printable(text: str) -> str:
    """Return a text without the control characters that would command a terminal; lines stay lines."""
    return "".join(" " if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)


def say(text: str) -> None:
    """Print a result."""
    stdout.print(printable(text))


def complain(text: str) -> None:
    """Print what went wrong."""
    stderr.print(printable(text))


def print_json(value: JsonValue) -> None:
    """Print a result for a program to read."""
    stdout.print(printable(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)))


@contextmanager
def progress(label: str, total: int) -> Iterator[Progress]:
    """Show a progress bar while the block runs, if a person is looking; its one task counts up to `total`."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True) as bar:
        bar.add_task(label, total=total)
        yield bar

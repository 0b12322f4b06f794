"""The export for people: what is known about somebody, in Markdown in which every text stays text."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO

from pydantic_core import to_jsonable_python

from cortex_core.models import Memory

_TURNING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # the direction of writing
_AS_TEXT = str.maketrans(
    {
        **dict.fromkeys(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]), " "),  # controls, ends of lines
        **dict.fromkeys(_TURNING, ""),
        **{character: f"\\{character}" for character in "\\`*_[]~|^$"},
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
    }
)
_ACTIVE_AT_THE_START = re.compile(r"^(\d*)([#+\-=:.)])")
_HEADINGS = {
    "preferences": "Wishes",
    "fact": "What is durably true",
    "membership": "Projects",
    "invitation": "Invitations",
    "session": "The last conversation",
    "correction": "Questions to the person about what is known",
    "derivation": "What was drawn from which memories",
    "contradiction": "Pairs of memories that can't both be true",
    "run": "What background work did",
    "dead_letter": "What could not be stored",
    "departure": "Servers left, and when what was said there is forgotten",
    "notes": "Notes of background work",
}


def escape(text: str) -> str:
    """Return one line that shows as this text: no markup, no HTML, nothing that turns the writing around."""
    return _ACTIVE_AT_THE_START.sub(r"\1\\\2", text.translate(_AS_TEXT).strip())


class MarkdownExport:
    """Grows entry by entry; memories by month, in the order in which they are added."""

    def __init__(self, user_id: str, exported_at: datetime) -> None:
        self._text = BytesIO()
        self._kind = ""
        self._month = ""
        self._write(f"# What is kept about {escape(user_id)}\n\nAs of {_when(exported_at)}.\n")

    def add(self, kind: str, entry: Mapping[str, object]) -> None:
        """Add something that isn't a memory; entries of a kind come together."""
        if kind != self._kind:
            self._kind = kind
            self._write(f"\n## {_HEADINGS[kind]}\n\n")
        shown = (f"{name.replace('_', ' ')}: {_show(value)}" for name, value in entry.items() if value is not None)
        self._write(f"- {'; '.join(shown)}\n")

    def add_memory(self, memory: Memory) -> None:
        """Add a memory with where it comes from."""
        if self._kind != "memory":
            self._kind = "memory"
            self._write("\n## Memories\n")
        month = f"{memory.created_at.astimezone(UTC):%Y-%m}"
        if month != self._month:
            self._month = month
            self._write(f"\n### {month}\n")
        quoted = "\n".join(f"> {escape(line)}" for line in memory.content.splitlines())
        self._write(f"\n{_describe(memory)}\n\n{quoted}\n")

    def finish(self, memory_count: int) -> bytes:
        """Return all of it."""
        self._write(f"\n---\n\nMemories: {memory_count}\n")
        return self._text.getvalue()

    def _write(self, text: str) -> None:
        self._text.write(text.encode())


def _describe(memory: Memory) -> str:
    details = {
        "type": memory.memory_type.value,
        "status": memory.status.value,
        "said by": memory.author_name or memory.author_id,
        "channel": memory.channel_id,
        "may surface": memory.audience,
        "project": memory.project_id,
        "entered by": memory.source,
        "made from": memory.source_id,
        "tags": ", ".join(memory.tags) or None,
        "id": str(memory.id),
    }
    shown = "; ".join(f"{name}: {escape(value)}" for name, value in details.items() if value is not None)
    return f"**{_when(memory.created_at)}**; {shown}"


def _show(value: object) -> str:
    if isinstance(value, datetime):
        return _when(value)
    plain = to_jsonable_python(value)
    return escape(plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False))


def _when(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

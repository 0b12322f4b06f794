"""Who is who today: memories keep the names of their time, and are shown with those of now."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from cortex_core.audience import Audience
from cortex_core.models import Memory

REPLIED_TO = "replied_to_name"
_SOMEBODY = "somebody"


def people_in(memory: Memory) -> set[str]:
    """Return the ids of everybody whom a memory names: its author, whom it mentions and whom it replies to."""
    mentions = _mentions_of(memory)
    reply_to = memory.metadata.get("reply_to")
    return {memory.author_id or memory.user_id, *mentions.values(), *([reply_to] if isinstance(reply_to, str) else [])}


def rename(memory: Memory, names: Mapping[str, str], *, guild_id: int | None) -> Memory:
    """Return a memory with the names that people have now, as `MemoryContext.with_names` tells.

    Whom its content mentions by a name that may belong elsewhere is "somebody" in it.
    """
    is_from_here = guild_id is not None and Audience.parse(memory.audience).guild_id == guild_id
    author = names.get(memory.author_id or memory.user_id, memory.author_name if is_from_here else None)
    content = memory.content
    metadata: dict[str, JsonValue] = memory.metadata
    known = _mentions_of(memory)
    mentions = {name: names.get(person, name if is_from_here else _SOMEBODY) for name, person in known.items()}
    if mentions:
        longest_first = sorted(mentions, key=len, reverse=True)
        pattern = re.compile("|".join(rf"@{re.escape(name)}(?!\w)" for name in longest_first))
        content = pattern.sub(lambda found: f"@{mentions[found[0][1:]]}", content)
        named = {mentions[name]: person for name, person in known.items() if is_from_here or person in names}
        metadata = {**metadata, "mentions": dict[str, JsonValue](named)}
    reply_to = metadata.get("reply_to")
    if isinstance(reply_to, str) and reply_to in names:
        metadata = {**metadata, REPLIED_TO: names[reply_to]}
    return memory.model_copy(update={"author_name": author, "content": content, "metadata": metadata})


def _mentions_of(memory: Memory) -> dict[str, str]:
    mentions = memory.metadata.get("mentions")
    if not isinstance(mentions, dict):
        return {}
    return {name: person for name, person in mentions.items() if name and isinstance(person, str)}

"""Everything that is kept about one person, as a file for programs and one for people.

JSONL: the first line names format and version, each further line is an object with its `kind`. Markdown says the same
for reading. Vectors are left out: they say nothing that the texts don't.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pydantic_core import to_json

from cortex_core.forgetting.markdown import MarkdownExport
from cortex_core.models import utc_now
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.export import PersonalData
from cortex_core.stores.postgres.rows import SEARCH_FIELDS
from cortex_core.stores.redis import RedisStore

FORMAT = "cortex-export"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Export:
    """What is kept about a person.

    Attributes:
        jsonl: UTF-8, one JSON object per line.
        markdown: UTF-8.
        memory_count: How many memories are in it.
    """

    jsonl: bytes
    markdown: bytes
    memory_count: int


class Exporter:
    """Reads page by page, so that of many memories only the files are held, never all of the memories themselves."""

    def __init__(self, redis: RedisStore, postgres: PostgresStore) -> None:
        self._redis = redis
        self._postgres = postgres
        self._data = PersonalData(postgres.pool)

    async def export(self, user_id: str, *, now: datetime | None = None) -> Export:
        """Return everything about a person that has reached Postgres.

        Raises:
            InvalidInputError: The id can't be a person's.
            StoreUnavailableError: A store is away.
        """
        check_user_id(user_id)
        exported_at = now or utc_now()
        lines = BytesIO()
        lines.write(_line({"format": FORMAT, "version": VERSION, "exported_at": exported_at, "user_id": user_id}))
        page = MarkdownExport(user_id, exported_at)
        for kind, entry in await self._read_all_but_memories(user_id):
            lines.write(_line({"kind": kind, **entry}))
            page.add(kind, entry)
        count = 0
        async for memories in self._data.read_memories(user_id):
            count += len(memories)
            for memory in memories:
                lines.write(_line({"kind": "memory", **memory.model_dump(exclude=set(SEARCH_FIELDS))}))
                page.add_memory(memory)
        return Export(lines.getvalue(), page.finish(count), count)

    async def _read_all_but_memories(self, user_id: str) -> list[tuple[str, Mapping[str, object]]]:
        preferences = await self._postgres.preferences.get(user_id)
        projects = await self._postgres.projects.list_of(user_id, include_archived=True)
        invitations = await self._postgres.projects.list_invitations(user_id)
        notes = await self._redis.get_meta(user_id)
        return [
            ("preferences", preferences.model_dump()),
            *(("fact", dict(row)) for row in await self._data.list_facts(user_id)),
            *(("membership", project.model_dump()) for project in projects),
            *(("invitation", invitation.model_dump()) for invitation in invitations),
            *((found.kind, dict(found.row)) for found in await self._data.list_others(user_id)),
            *([("notes", {"notes": notes})] if notes else []),
        ]


def _line(entry: Mapping[str, object]) -> bytes:
    return to_json(entry) + b"\n"

"""`/memory as-of`: what was taken to be true of a person at a time in the past."""

from collections.abc import Sequence
from datetime import date
from weakref import WeakSet

from pydantic import JsonValue

from cortex_core import MemoryManager, NotFoundError
from cortex_core.attributes import value_in_words
from cortex_core.models import utc_now

from ._attributes import MAX_NAME_CHARS
from ._dates import day_text, end_of
from ._errors import Interaction
from ._messages import owner_id_of
from ._pages import ListPages
from ._views import OwnedView
from ._wording import count_of, quote, shown_name


class _Beliefs(ListPages):
    """What was believed; an entry is short."""

    page_size = 8


async def show_past(interaction: Interaction, open_views: WeakSet[OwnedView], memory: MemoryManager, day: date) -> None:
    """Show what was believed of the person who asks when a day was over, and how much they had told by then.

    Raises:
        NotFoundError: Nothing.
    """
    owner, at = owner_id_of(interaction.user.id), end_of(day, utc_now())
    believed = list((await memory.get_identity_as_of(owner, at)).items())
    told = await memory.count_memories_as_of(owner, at)
    if not believed and not told:
        raise NotFoundError(f"On {day_text(day)} I knew nothing of you, or nothing that you let me keep since.")

    async def fetch(offset: int, limit: int) -> Sequence[str]:
        return [_describe(name, value) for name, value in believed[offset : offset + limit]]

    intro = (
        f"I had {count_of(told)} of what you had told me{'.' if believed else ', and knew nothing lasting about you.'}"
    )
    title = f"What I believed on {day_text(day)}"
    await _Beliefs(interaction, open_views, fetch, total=len(believed), title=title, intro=intro).turn_to(0)


def _describe(name: str, value: JsonValue) -> str:
    values = value if isinstance(value, list) else [value]
    return f"**{shown_name(name, MAX_NAME_CHARS)}**\n{quote(', '.join(map(value_in_words, values)))}"

"""What scenes are made of: who does what, in the words and with the clicks of a person at the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Say:
    """Type a message and send it."""

    who: str
    text: str
    then: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """Pick a slash command, fill in its options and send it."""

    who: str
    command: str
    options: Mapping[str, str] = field(default_factory=dict)
    then: str = ""


@dataclass(frozen=True, slots=True)
class Menu:
    """Use a message menu; in the playground that is a reply to the message with the menu's name."""

    who: str
    menu: str
    message: str
    then: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """Press the newest button of that label."""

    who: str
    label: str
    then: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """Choose an entry of the newest menu; a part of its words will do."""

    who: str
    entry: str
    then: str = ""


@dataclass(frozen=True, slots=True)
class Fill:
    """Fill in the open form and submit it."""

    who: str
    values: tuple[str, ...]
    then: str = ""


Step = Say | Use | Menu | Press | Pick | Fill
"""`then` is what the person reads afterwards; what doesn't come ends the script."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens in one run of the playground, and the picture of how it ends.

    Attributes:
        place: Of `playground.PLACES`.
        name: The picture's file without its suffix; None takes none.
        is_whole_page: Whether the page's frame is in the picture too, in twice the resolution.
        shows_place: Whether the name of the place and Clara's greeting there are in the picture.
        is_next_week: Whether a week has passed since the scene before it, as far as digests are concerned.
    """

    steps: tuple[Step, ...]
    name: str | None = None
    place: str = "general"
    is_whole_page: bool = False
    shows_place: bool = False
    is_next_week: bool = False


Story = tuple[Scene, ...]
"""Scenes in their order over the same memory; before each one the playground starts anew."""

"""Sentences for measurements: everyday English from a small grammar, the same for the same seed, none of them twice."""

import random
from collections.abc import Callable

_PEOPLE = (
    "I", "My sister", "My neighbour", "Our trainer", "The landlord", "My flatmate", "My uncle", "A colleague",
    "My daughter", "The vet", "My dentist", "Grandma", "The baker", "Our team lead", "My cousin", "The postman",
)  # fmt: skip
_VERBS = (
    "bought", "lost", "repaired", "painted", "borrowed", "found", "forgot", "sold", "cleaned", "returned", "promised",
    "designed", "photographed", "packed", "recommended", "broke", "wrapped", "ordered", "planted", "described",
)  # fmt: skip
_QUALITIES = (
    "old", "green", "heavy", "tiny", "wooden", "expensive", "broken", "second-hand", "beautiful", "noisy", "rusty",
    "striped", "borrowed", "handmade", "dusty", "bright yellow", "strange", "half-finished", "antique", "waterproof",
)  # fmt: skip
_THINGS = (
    "bicycle", "guitar", "tent", "bookshelf", "teapot", "camera", "rain jacket", "lamp", "birdhouse", "suitcase",
    "sewing machine", "cactus", "kayak", "chessboard", "typewriter", "telescope", "rug", "cake tin", "drone", "ladder",
)  # fmt: skip
_PLACES = (
    "in Lisbon", "at the lake", "behind the station", "in the garden", "at the flea market", "on the train to Prague",
    "at work", "in the cellar", "near the harbour", "at the climbing hall", "in the attic", "at the school fair",
)  # fmt: skip
_TIMES = (
    "last Tuesday", "on the first day of spring", "before breakfast", "during the storm", "right after the exam",
    "on her birthday", "the week we moved", "at midnight", "when the power failed", "on New Year's Eve",
)  # fmt: skip
_FEELINGS = (
    "and I was so happy about it!", "which made me really angry.", "and nobody noticed.", "and it took all afternoon.",
    "so we laughed for an hour.", "and I'm still worried.", "as everybody had expected.", "and I'd do it again.",
)  # fmt: skip


class Sentences:
    """An endless supply of them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  the same sentences in every run, not a secret
        self._said: set[str] = set()

    def statement(self) -> str:
        """Return something to remember, 10 to 20 words long."""
        return self._new(self._state)

    def question(self) -> str:
        """Return something to ask, about what the statements tell of."""
        return self._new(self._ask)

    def _state(self) -> str:
        pick = self._random.choice
        what = f"{pick(_PEOPLE)} {pick(_VERBS)} the {pick(_QUALITIES)} {pick(_THINGS)}"
        return f"{what} {pick(_PLACES)} {pick(_TIMES)}, {pick(_FEELINGS)}"

    def _ask(self) -> str:
        pick = self._random.choice
        who, thing = pick(_PEOPLE).replace("I", "anybody", 1), f"{pick(_QUALITIES)} {pick(_THINGS)}"
        return pick(
            (
                f"Who {pick(_VERBS)} the {thing} {pick(_PLACES)}?",
                f"What happened to the {thing} {pick(_TIMES)}?",
                f"Do you remember where {who.lower()} {pick(_VERBS)} a {thing}?",
            )
        )

    def _new(self, make: Callable[[], str]) -> str:
        while (text := make()) in self._said:
            pass
        self._said.add(text)
        return text

"""Named SQL queries, read once from the `*.sql` files beside this module.

A file holds `-- name: …` lines, each followed by one statement; `load_queries("memories")` gives them by name. What
several statements share stands under a `-- fragment: …` line and is put in where a statement says `{{its name}}`.
Whose memories a statement may see stands in `scope.sql` alone: `scoped` puts it in where a statement says `<scope>`,
and which projects share where it says `<projects>`.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Literal, LiteralString

_HEADING = re.compile(r"^-- (name|fragment): (\w+)$", re.MULTILINE)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_SCOPE = "<scope>"


def load_queries(group: str) -> dict[str, LiteralString]:
    """Return the statements of `<group>.sql` by name; they never contain anything from outside the repository.

    Raises:
        ValueError: The file names something twice, or puts in a fragment that doesn't stand above.
    """
    return _read(group)[0]


def scoped(statement: LiteralString, scope: Literal["own", "shared"]) -> LiteralString:
    """Return a statement with the condition of that name from `scope.sql`, which is written there only.

    Raises:
        ValueError: The statement has no place for one.
    """
    if _SCOPE not in statement:
        raise ValueError(f"A statement has no {_SCOPE}, so that it would not be limited.")
    fragments = _read("scope")[1]
    return statement.replace(_SCOPE, fragments[scope]).replace("<projects>", fragments["projects"])


@cache
def _read(group: str) -> tuple[dict[str, LiteralString], dict[str, LiteralString]]:
    text = (files(__package__) / f"{group}.sql").read_text("utf-8")
    _, *parts = _HEADING.split(text)
    queries: dict[str, LiteralString] = {}
    fragments: dict[str, LiteralString] = {}
    for kind, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if name in queries or name in fragments:
            raise ValueError(f"{group}.sql names {name} twice.")
        try:
            filled = _PLACE.sub(lambda place: fragments[place[1]], body.strip())
        except KeyError as error:
            raise ValueError(f"{group}.sql puts in {error}, which is no fragment above it.") from None
        if kind == "fragment":
            fragments[name] = filled
        else:
            queries[name] = filled
    return queries, fragments

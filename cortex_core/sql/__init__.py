"""Named SQL queries, read once from the `*.sql` files beside this module.

A file holds `-- name: …` lines, each followed by one statement; `load_queries("memories")` gives them by name.
"""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load_queries(group: str) -> dict[str, LiteralString]:
    """Return the statements of `<group>.sql` by name; they never contain anything from outside the repository."""
    text = (files(__package__) / f"{group}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    names, statements = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{group}.sql names a query twice.")
    return {name: cast("LiteralString", body.strip()) for name, body in zip(names, statements, strict=True)}

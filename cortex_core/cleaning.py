"""Makes text fit for every tier, and refuses data that isn't."""

import json
import re

from pydantic import JsonValue

from cortex_core.errors import InvalidInputError

_MAX_JSON_CHARS = 50_000
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def clean_text(text: str) -> str:
    """Return the text without what no store can hold: NUL is dropped, halves of surrogate pairs become U+FFFD.

    By way of UTF-16, so that two surrogates which make up one character become that character.
    """
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_json(what: str, value: JsonValue) -> None:
    """Refuse data that not every store can hold.

    Raises:
        InvalidInputError: It isn't JSON, too long, or holds NaN, NUL or halves of surrogate pairs.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        storable = not _NUL_IN_JSON.search(text) and clean_text(text) == text and len(text) <= _MAX_JSON_CHARS
    except (TypeError, ValueError, RecursionError):
        storable = False
    if not storable:
        raise InvalidInputError(
            f"{what} has to be JSON of at most {_MAX_JSON_CHARS:,} characters, without NaN, NUL or lone surrogates."
        )

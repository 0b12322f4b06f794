"""The format of a conversation log: JSON Lines in UTF-8, one message a line, in the order in which they were said.

::

    {"time": "2023-05-08T13:56:00Z", "author_id": "discord-42", "author_name": "Robin", "channel": "c", "text": "Hi!"}

========== ========================================================================================================
time       when it was said: ISO 8601 with a time zone, from 1970 to now
author_id  who said it; without an owner for the whole log also whose memory it becomes
author_name that person's name at the time
channel    where it was said; messages of one channel are one conversation
text       what was said
id         optional: the message's own name, unique in the log and for ever; a message is stored once under it
========== ========================================================================================================

Other keys are refused, so that a misspelt one is noticed. Empty lines are skipped.
"""

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from cortex_core.errors import InvalidInputError
from cortex_core.models import Model, utc_now

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(days=1)

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]

_WRONG_TIME = "its time has to be ISO 8601 with a zone, like 2023-05-08T13:56:00Z"
_PROBLEMS = {
    "json_invalid": "it is not JSON in UTF-8",
    "model_type": "it is not a JSON object",
    "missing": "it has no {key}",
    "extra_forbidden": "{key} is not a key of this format; allowed are {keys}",
    "string_type": "its {key} has to be text",
    "string_too_short": "its {key} is empty",
    "string_too_long": "its {key} has more than 200 characters",
    "string_pattern_mismatch": "its {key} has a NUL character",
    "datetime_type": _WRONG_TIME,
    "datetime_parsing": _WRONG_TIME,
    "datetime_from_date_parsing": _WRONG_TIME,
    "timezone_aware": _WRONG_TIME,
}


class LoggedMessage(Model):
    """One line of a log."""

    model_config = ConfigDict(strict=True)

    time: AwareDatetime
    author_id: Name
    author_name: Name
    channel: Name
    text: str
    id: Name | None = None


def parse_line(raw: bytes) -> LoggedMessage:
    """Read one line.

    Raises:
        InvalidInputError: It isn't of this format; the message tells everything that is wrong, and never quotes text.
    """
    try:
        message = LoggedMessage.model_validate_json(raw)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        sentence = "; ".join(dict.fromkeys(map(_describe, problems)))
        raise InvalidInputError(f"{sentence[0].upper()}{sentence[1:]}.") from None
    if not _EARLIEST <= message.time <= utc_now() + _CLOCK_SKEW:
        raise InvalidInputError("Its time lies before 1970 or in the future.")
    return message


def _describe(problem: ErrorDetails) -> str:
    key = str(problem["loc"][0]) if problem["loc"] else ""
    if key not in LoggedMessage.model_fields:
        key = ascii(key[:40])
    words = _PROBLEMS.get(problem["type"], "its {key} is wrong")
    return words.format(key=key, keys=", ".join(LoggedMessage.model_fields))


class SourceIds:
    """Names the messages of one log; a message keeps its name when the log is replayed again, or grows."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._derived: Counter[str] = Counter()

    def name(self, message: LoggedMessage) -> str:
        """Return the message's own id, or one made from everything it is; equal messages are counted.

        Raises:
            InvalidInputError: An earlier line has this id.
        """
        if message.id is None:
            said = message.model_dump_json(exclude={"id", "author_name"})
            digest = hashlib.sha256(said.encode()).hexdigest()
            self._derived[digest] += 1
            return f"replay:{digest}:{self._derived[digest]}"
        if message.id in self._given:
            raise InvalidInputError("An earlier line has the same id.")
        self._given.add(message.id)
        return message.id

"""The Redis key schema (TDD 5.2), built here and nowhere else.

The braces make a user's keys share one hash slot. An id is percent-encoded, so that none, whatever it is made of, can
name another user's key or another slot.
"""

from dataclasses import dataclass
from urllib.parse import quote

from cortex_core.errors import InvalidInputError

PREFIX = "cortex"
JOURNAL = f"{PREFIX}:journal"
"""The write journal, one stream for all owners."""

_MAX_USER_ID_LENGTH = 200
_MAX_ID_LENGTH = 100


def check_user_id(user_id: str) -> str:
    """Return the id unchanged.

    Raises:
        InvalidInputError: It is empty, too long, or can't be stored as text.
    """
    return _check_id("user", user_id, _MAX_USER_ID_LENGTH)


def check_project_id(project_id: str) -> str:
    """Return the id unchanged, or raise what `check_user_id` raises."""
    return _check_id("project", project_id, _MAX_ID_LENGTH)


def check_channel_id(channel_id: str) -> str:
    """Return the id unchanged, or raise what `check_user_id` raises."""
    return _check_id("channel", channel_id, _MAX_ID_LENGTH)


def _check_id(kind: str, value: str, most: int) -> str:
    storable = isinstance(value, str) and "\0" not in value and value.encode(errors="ignore").decode() == value
    if not storable or not 1 <= len(value) <= most:
        raise InvalidInputError(f"A {kind} id is text of 1 to {most} characters without NUL or surrogates.")
    return value


def channel_key(channel_id: str) -> str:
    """STRING: `<version>:<JSON of the channel's settings>`, for a day; of one that isn't listened to it stays."""
    return f"{PREFIX}:channel:{quote(check_channel_id(channel_id), safe='')}"


@dataclass(frozen=True, slots=True)
class UserKeys:
    """The keys of one user."""

    user_id: str

    def __post_init__(self) -> None:
        check_user_id(self.user_id)

    def _key(self, suffix: str) -> str:
        return f"{PREFIX}:{{{quote(self.user_id, safe='')}}}:{suffix}"

    @property
    def identity(self) -> str:
        """HASH: attribute → JSON value; `updated_at` tells that it was loaded."""
        return self._key("identity")

    @property
    def identity_token(self) -> str:
        """STRING: changes with the identity, so that nothing outdated is cached."""
        return self._key("identity_token")

    @property
    def session(self) -> str:
        """HASH: field → JSON value; lives 24 hours after the last use."""
        return self._key("session")

    @property
    def preferences(self) -> str:
        """STRING: JSON of what the user wishes, for five minutes; what isn't the default stays."""
        return self._key("preferences")

    @property
    def payloads(self) -> str:
        """HASH: memory id → `<version>:<content hash>:<JSON>`."""
        return self._key("payloads")

    @property
    def working(self) -> str:
        """ZSET: memory id by the time it fades, in milliseconds."""
        return self._key("working")

    @property
    def recent(self) -> str:
        """LIST: ids of the last memories, newest first."""
        return self._key("recent")

    @property
    def withheld(self) -> str:
        """ZSET: id of what was taken out of working memory by the time until which it stays out, in milliseconds."""
        return self._key("withheld")

    @property
    def replies(self) -> str:
        """LIST: JSON of what the last replies drew on, newest first; lives a week."""
        return self._key("replies")

    @property
    def meta(self) -> str:
        """HASH: notes about the user for background work."""
        return self._key("meta")

    def all(self) -> tuple[str, ...]:
        """Every key that holds something of this user."""
        return (self.identity, self.session, self.payloads, self.working, self.recent, self.replies, self.meta)

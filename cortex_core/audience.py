"""Where a memory may surface, and which memories may surface in a place.

One value object serves both sides. A memory is stored with the audience of the place where it was said; an answer is
given in a place with an audience of its own, and may use only what that audience was entitled to hear.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from cortex_core.errors import InvalidInputError
from cortex_core.models import OWNER_ONLY

_PERSONS_ACCOUNT = "owner:"


class AudienceKind(StrEnum):
    """How many may hear: from the owner alone to everybody."""

    OWNER = "owner"
    CHANNEL = "channel"
    GUILD = "guild"
    EVERYWHERE = "everywhere"


@dataclass(frozen=True, slots=True)
class Audience:
    """The people who can read a place.

    Attributes:
        guild_id: The server, for a channel or a whole server.
        channel_id: The channel.
        also_readable: Other channels of that server which all of these people can read at this moment. What was said
            there may surface here. It is no part of what is stored, since it changes with every permission.
    """

    kind: AudienceKind
    guild_id: int | None = None
    channel_id: int | None = None
    also_readable: frozenset[int] = field(default=frozenset(), compare=False)

    @classmethod
    def owner(cls) -> Self:
        """Only the owner, as in a direct message with the bot."""
        return cls(AudienceKind.OWNER)

    @classmethod
    def channel(cls, guild_id: int, channel_id: int, *, also_readable: Collection[int] = ()) -> Self:
        """The readers of a channel, who can all read those other channels of the server as well."""
        return cls(AudienceKind.CHANNEL, guild_id, channel_id, frozenset(also_readable))

    @classmethod
    def guild(cls, guild_id: int) -> Self:
        """Everybody of a server."""
        return cls(AudienceKind.GUILD, guild_id)

    @classmethod
    def everywhere(cls) -> Self:
        """Anybody, wherever the owner speaks with the bot."""
        return cls(AudienceKind.EVERYWHERE)

    def __str__(self) -> str:
        """Return the form in which stores keep it."""
        ids = [str(number) for number in (self.guild_id, self.channel_id) if number is not None]
        return ":".join([self.kind.value, *ids])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str()` wrote.

        Raises:
            InvalidInputError: The text is not an audience.
        """
        kind, *ids = text.split(":")
        lengths = {AudienceKind.OWNER: 0, AudienceKind.CHANNEL: 2, AudienceKind.GUILD: 1, AudienceKind.EVERYWHERE: 0}
        if kind not in lengths or len(ids) != lengths[AudienceKind(kind)] or not all(i.isdecimal() for i in ids):
            raise InvalidInputError("An audience is owner, channel:GUILD:CHANNEL, guild:GUILD or everywhere.")
        guild_id, channel_id = [*map(int, ids), None, None][:2]
        return cls(AudienceKind(kind), guild_id, channel_id)

    def account_of(self, user_id: str) -> str:
        """Return whose budget pays for what a language model is asked when somebody speaks here.

        A server pays under its id for everybody; elsewhere it is a budget of the person's own.
        """
        return str(self.guild_id) if self.guild_id else f"{_PERSONS_ACCOUNT}{user_id}"

    def heard(self) -> frozenset[str] | None:
        """Return the audiences of the memories that may surface here; None stands for all of the owner's.

        The owner alone hears everything of theirs. Elsewhere only what this very audience, or one that contains it,
        could already hear.
        """
        if self.kind is AudienceKind.OWNER:
            return None
        wider = {Audience.everywhere(), self}
        if self.guild_id is not None:
            wider.add(Audience.guild(self.guild_id))
            wider |= {Audience.channel(self.guild_id, channel_id) for channel_id in self.also_readable}
        return frozenset(map(str, wider))

    def may_hear(self, audience: str) -> bool:
        """Whether a memory with that audience may surface here."""
        heard = self.heard()
        return heard is None or audience in heard

    def may_hear_any(self, audiences: Collection[str]) -> bool:
        """Whether something may surface here that was said to each of these audiences."""
        heard = self.heard()
        return heard is None or not heard.isdisjoint(audiences)

    @classmethod
    def narrowest(cls, audiences: Iterable[Self]) -> Self:
        """Return the audience of what is drawn from memories with these: all of its people could hear each of them.

        Two different channels share no readers that anybody could name later, so only the owner is left.
        """
        narrowest = cls.everywhere()
        for audience in audiences:
            if narrowest.may_hear(str(audience)):
                continue
            narrowest = audience if audience.may_hear(str(narrowest)) else cls.owner()
        return narrowest


def is_persons_account(account: str) -> bool:
    """Tell whether one person pays, not a server."""
    return account.startswith(_PERSONS_ACCOUNT)


assert str(Audience.owner()) == OWNER_ONLY  # noqa: S101  models can't import this module; this keeps the two in step

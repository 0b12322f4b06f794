"""Who can read a place, from its live permissions; the same when a memory is stored and when it is recalled.

Bots rarely may list the members of a server, so nothing here needs to know them. Whether everybody who can read one
channel can read another too is decided from roles and overwrites, for each set of roles that a member could have.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import discord

from cortex_core import Audience

Place = discord.abc.GuildChannel | discord.abc.PrivateChannel | discord.Thread | discord.PartialMessageable

_VIEW = discord.Permissions(view_channel=True).value
_CONNECT = discord.Permissions(connect=True).value
_MEMBER = 1  # the kind of an overwrite that concerns one person

# A set of roles is a number with a bit for each of them.
_EVERYONE = 1  # the role that everybody has
_ALL_ROLES = ~0


def audience_of(place: Place) -> Audience:
    """Return the audience of a channel, thread or direct message; in doubt its readers alone.

    A public thread, such as a post of a forum, has its parent's readers; a private one has some of them.
    """
    match place:
        case discord.DMChannel():
            return Audience.owner()
        case discord.Thread():
            return _audience_of_thread(place)
        case discord.abc.GuildChannel():
            return Audience.channel(place.guild.id, place.id, also_readable=frozenset(_also_readable(place)))
        case _:  # a group of people, or a place that the bot does not know
            return Audience.channel(getattr(place, "guild_id", None) or 0, place.id)


def _audience_of_thread(thread: discord.Thread) -> Audience:
    parent = thread.parent
    if parent is None:
        return Audience.channel(thread.guild.id, thread.id)
    audience = audience_of(parent)
    if not thread.is_private():
        return audience
    return Audience.channel(thread.guild.id, thread.id, also_readable=audience.also_readable | {parent.id})


def _also_readable(this: discord.abc.GuildChannel) -> Iterator[int]:
    """Yield the other channels of the server that everybody who can read this one can read too."""
    if this.guild.get_role(this.guild.id) is None:  # the bot isn't in that server: somebody brought it there
        return
    if _has_guests(this):
        return
    readers = _Readers(this)
    for other in this.guild.channels:
        if other.id == this.id or isinstance(other, discord.CategoryChannel):
            continue
        if _is_for_adults(other) and not _is_for_adults(this):
            continue
        if readers.can_all_read(other):
            yield other.id


def _has_guests(channel: discord.abc.GuildChannel) -> bool:
    """Whether people who were invited to this call, and to nothing else in the server, are in it."""
    return isinstance(channel, discord.VoiceChannel) and any(member.flags.guest for member in channel.members)


def _is_for_adults(channel: discord.abc.GuildChannel) -> bool:
    return bool(getattr(channel, "nsfw", False))


def _needed_for(channel: discord.abc.GuildChannel) -> Sequence[int]:
    """Return the permissions that reading it takes: the chat of a call shows itself only to those who may join."""
    return (_VIEW, _CONNECT) if isinstance(channel, discord.VoiceChannel | discord.StageChannel) else (_VIEW,)


class _Access(NamedTuple):
    """What a channel asks of its readers: permissions, with its exceptions from those that they have in the server.

    Attributes:
        overwrites: The kind and id of a role or member, and which of the permissions are allowed and denied.
    """

    needed: Sequence[int]
    overwrites: Sequence[tuple[int, int, int, int]]

    @classmethod
    def to(cls, channel: discord.abc.GuildChannel) -> "_Access":
        needed = _needed_for(channel)
        relevant = sum(needed)
        # All channels of a server are read for each message: the public form of this costs a hundred times as much.
        overwrites = [
            (each.type, each.id, each.allow & relevant, each.deny & relevant)
            for each in channel._overwrites  # noqa: SLF001
            if (each.allow | each.deny) & relevant
        ]
        return cls(needed, tuple(overwrites))


class _Rule(NamedTuple):
    """Who has a permission in a channel.

    Attributes:
        given: The roles that bring it as long as no role takes it away.
        denied: The roles that take it away.
        allowed: The roles that bring it whatever others take away.
        members: Those who have it, or don't, whatever their roles.
    """

    given: int
    denied: int
    allowed: int
    members: Mapping[int, bool]

    def ways(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the two ways to the permission: the roles of which one is needed, and those that spoil it."""
        return (self.allowed, 0), (self.given, self.denied)

    def for_member(self, user_id: int) -> "_Rule":
        """Return what the rule is for one person."""
        has = self.members.get(user_id)
        return self if has is None else _Rule(given=_EVERYONE if has else 0, denied=0, allowed=0, members={})


class _Readers:
    """The readers of a channel at this moment, whoever they are.

    The owner and the administrators of the server read everything, and the bot is no listener of its own, so that none
    of them makes a difference.
    """

    def __init__(self, channel: discord.abc.GuildChannel) -> None:
        self._channel = channel
        self._guild = guild = channel.guild
        self._is_free_for_all = guild.default_role.permissions.administrator
        own = guild.self_role
        granted = {role.id: role.permissions for role in guild.roles if role != own}  # @everyone is the first
        ordinary = {role_id: each.value for role_id, each in granted.items() if not each.administrator}
        self._bits = {role_id: _EVERYONE << place for place, role_id in enumerate(ordinary)}
        self._holders = {
            permission: sum(self._bits[role_id] for role_id, value in ordinary.items() if value & permission)
            for permission in (_VIEW, _CONNECT)
        }
        access = _Access.to(channel)
        self._rules = self._rules_of(access)
        self._decided = {access: True}  # most channels share their overwrites with others

    def can_all_read(self, other: discord.abc.GuildChannel) -> bool:
        """Whether all of them can read that channel of the server too; in doubt not."""
        access = _Access.to(other)
        if access not in self._decided:
            self._decided[access] = self._is_free_for_all or self._decide(other, self._rules_of(access))
        return self._decided[access]

    def _decide(self, other: discord.abc.GuildChannel, there: Sequence[_Rule]) -> bool:
        here = self._rules
        if _lets_in_somebody_else(here, there):
            return False
        singled_out = {user_id for rule in (*here, *there) for user_id in rule.members}
        suspects = [
            user_id
            for user_id in singled_out - {self._guild.owner_id, self._guild.me.id}
            if _lets_in_somebody_else(
                [rule.for_member(user_id) for rule in here], [rule.for_member(user_id) for rule in there]
            )
        ]
        return all(self._is_no_obstacle(user_id, other) for user_id in suspects)

    def _is_no_obstacle(self, user_id: int, other: discord.abc.GuildChannel) -> bool:
        """Whether a member whom some roles would make one has other roles; only a full list of members tells."""
        member = self._guild.get_member(user_id) if self._guild.chunked else None
        return member is not None and (_can_read(other, member) or not _can_read(self._channel, member))

    def _rules_of(self, access: _Access) -> list[_Rule]:
        return [self._rule_of(permission, access.overwrites) for permission in access.needed]

    def _rule_of(self, permission: int, overwrites: Sequence[tuple[int, int, int, int]]) -> _Rule:
        """Apply the overwrites in Discord's order: of @everyone, of roles (allowing wins), of members."""
        given, denied, allowed = self._holders[permission], 0, 0
        members: dict[int, bool] = {}
        for kind, target, allow, deny in overwrites:
            allows = allow & permission != 0
            if not (allows or deny & permission):
                continue
            if kind == _MEMBER:
                members[target] = allows
            elif target == self._guild.id:
                given = _EVERYONE if allows else 0
            elif allows:
                allowed |= self._bits.get(target, 0)
            else:
                denied |= self._bits.get(target, 0)
        return _Rule(given, denied, allowed, members)


def _can_read(channel: discord.abc.GuildChannel, member: discord.Member) -> bool:
    permissions = channel.permissions_for(member)
    return all(permissions.value & needed for needed in _needed_for(channel))


def _lets_in_somebody_else(here: Sequence[_Rule], there: Sequence[_Rule]) -> bool:
    """Whether there is a set of roles that can read `here` but not `there`."""
    for lacking in there:
        others = _ALL_ROLES & ~lacking.allowed
        was_never_given = _can_be_read(here, others & ~lacking.given, including=_EVERYONE)
        if was_never_given or _can_be_read(here, others, including=others & lacking.denied):
            return True
    return False


def _can_be_read(rules: Sequence[_Rule], roles: int, *, including: int) -> bool:
    """Whether some of these roles, with at least one of `including`, bring all of the permissions."""
    for ways in product(*(rule.ways() for rule in rules)):
        usable = roles  # together, since none of those that are left spoils anything
        for _, spoilers in ways:
            usable &= ~spoilers
        if usable & including and all(usable & sources for sources, _ in ways):
            return True
    return False

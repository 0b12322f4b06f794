"""Who hears what in a server: from live permissions, in the simulator and against brute force."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import discord
import pytest
import simcord
from cortex_cogs._audience import audience_of
from cortex_cogs._messages import feeds_project, linked_channel_of
from discord.ext import commands
from hypothesis import given, settings
from hypothesis import strategies as st
from simcord.backend.models import Overwrite

from cortex_core import Audience
from tests.cogs.conftest import World

TOLD, ASKED = "My cat is called Miso.", "Clara, what is my cat called?"

VIEW, SEND, CONNECT, ADMINISTRATOR = 1 << 10, 1 << 11, 1 << 20, 1 << 3
GUILD, CLARA, OWNER, FIRST_ROLE, FIRST_MEMBER, FIRST_CHANNEL = 10, 20, 30, 100, 200, 300
TEXT, VOICE, CATEGORY, NEWS, STAGE, FORUM, MEDIA = 0, 2, 4, 5, 13, 15, 16


@dataclass
class Rule:
    """An overwrite, of @everyone unless it names a role or a member."""

    allow: int = 0
    deny: int = 0
    target: int = GUILD
    is_for_member: bool = False


@dataclass
class Server:
    """A server as Discord would describe it, in discord.py's own objects.

    Attributes:
        roles: The permissions of each role but @everyone.
        members: The roles of each member whom the bot knows, by their places in `roles`.
        channels: The kind of each channel with its overwrites.
    """

    channels: Sequence[tuple[int, Sequence[Rule]]]
    roles: Sequence[int] = ()
    everyone: int = VIEW | CONNECT
    members: dict[int, Iterable[int]] = field(default_factory=dict)
    knows_all_members: bool = False
    fields: dict[str, Any] = field(default_factory=dict)

    def build(self) -> discord.Guild:
        state = commands.Bot("!", intents=discord.Intents.all())._connection
        state.user = discord.ClientUser(state=state, data=person(CLARA))
        members = {CLARA: (), **self.members}
        return discord.Guild(
            state=state,
            data={
                "id": str(GUILD),
                "name": "Cortex",
                "owner_id": str(OWNER),
                "member_count": len(members) + (not self.knows_all_members),
                "roles": [role(number + FIRST_ROLE, granted) for number, granted in enumerate(self.roles)]
                + [role(GUILD, self.everyone)],
                "members": [
                    member(number, [FIRST_ROLE + place for place in roles if place < len(self.roles)])
                    for number, roles in members.items()
                ],
                "channels": [
                    channel(number + FIRST_CHANNEL, kind, rules) for number, (kind, rules) in enumerate(self.channels)
                ],
                **self.fields,
            },
        )


def person(number: int) -> Any:
    return {"id": str(number), "username": f"person{number}", "discriminator": "0", "avatar": None}


def member(number: int, roles: Iterable[int]) -> Any:
    return {"user": person(number), "roles": [str(each) for each in roles], "joined_at": None, "flags": 0}


def make_member(guild: discord.Guild, number: int, roles: Sequence[int]) -> discord.Member:
    return discord.Member(data=member(number, roles), guild=guild, state=guild._state)


def role(number: int, granted: int) -> Any:
    look = {"color": 0, "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None}, "flags": 0}
    return {"id": str(number), "name": "role", "permissions": str(granted), "position": number - FIRST_ROLE + 1, **look}


def channel(number: int, kind: int, rules: Sequence[Rule]) -> Any:
    overwrites = [
        {"id": str(rule.target), "type": int(rule.is_for_member), "allow": str(rule.allow), "deny": str(rule.deny)}
        for rule in rules
    ]
    call = {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
    fields = {
        "id": str(number),
        "type": kind,
        "name": "channel",
        "position": number,
        "permission_overwrites": overwrites,
    }
    return {**fields, **call, "parent_id": None}


def also_readable(guild: discord.Guild, number: int = 0) -> set[int]:
    """The other channels that what is said in that one may come from, by their places."""
    place = guild.get_channel(number + FIRST_CHANNEL)
    assert place is not None
    return {channel_id - FIRST_CHANNEL for channel_id in audience_of(place).also_readable}


def alone(audience: Audience) -> Audience:
    """The audience itself, which hears nothing from elsewhere."""
    assert audience.also_readable == frozenset()
    return audience


def reads(place: discord.abc.GuildChannel, member: discord.Member) -> bool:
    permissions = place.permissions_for(member)
    is_call = isinstance(place, discord.VoiceChannel | discord.StageChannel)
    return permissions.view_channel and (permissions.connect or not is_call)


class TestPlaces:
    def test_a_group_of_people_hears_itself_only(self) -> None:
        state = Server([]).build()._state
        assert isinstance(state.user, discord.ClientUser)
        group = discord.GroupChannel(
            me=state.user, state=state, data={"id": "7", "type": 3, "recipients": [], "name": None, "owner_id": "1"}
        )

        assert alone(audience_of(group)) == Audience.channel(0, 7)

    def test_a_channel_of_a_server_that_the_bot_is_not_in_hears_itself_only(self) -> None:
        guild = Server([(TEXT, ()), (TEXT, ())], fields={"roles": []}).build()

        assert also_readable(guild) == set()

    def test_nobody_talks_in_a_category(self) -> None:
        guild = Server([(TEXT, ()), (CATEGORY, ()), (NEWS, ())]).build()

        assert also_readable(guild) == {2}

    def test_what_is_said_among_adults_stays_among_them(self) -> None:
        guild = Server([(TEXT, ()), (TEXT, ()), (TEXT, ())]).build()
        for number in (1, 2):
            guild.get_channel(number + FIRST_CHANNEL).nsfw = True

        assert also_readable(guild, 0) == set()
        assert also_readable(guild, 1) == {0, 2}

    @pytest.mark.parametrize(("flags", "heard"), [(0, {0}), (discord.MemberFlags.guest.flag, set())])
    def test_a_call_with_guests_hears_itself_only(self, flags: int, heard: set[int]) -> None:
        guild = Server([(TEXT, ()), (VOICE, ())], members={FIRST_MEMBER: ()}).build()
        guest = guild.get_member(FIRST_MEMBER)
        assert guest is not None
        guest._flags = flags
        state = {"channel_id": str(FIRST_CHANNEL + 1), "user_id": str(guest.id), "session_id": "1"}
        guild._update_voice_state(
            state | dict.fromkeys(("deaf", "mute", "self_deaf", "self_mute", "suppress"), False), FIRST_CHANNEL + 1
        )

        assert also_readable(guild, 1) == heard

    def test_the_bots_own_permissions_tell_nothing_of_listeners(self) -> None:
        own = {**role(FIRST_ROLE, 0), "tags": {"bot_id": str(CLARA)}}
        for_clara = [Rule(deny=VIEW), Rule(VIEW, target=FIRST_ROLE), Rule(VIEW, target=CLARA, is_for_member=True)]
        guild = Server(
            [(TEXT, for_clara), (TEXT, [Rule(deny=VIEW)])], fields={"roles": [role(GUILD, VIEW), own]}
        ).build()

        assert also_readable(guild, 0) == {1}

    @pytest.mark.parametrize(("everyone", "heard"), [(ADMINISTRATOR, {1}), (VIEW, set())])
    def test_administrators_read_everything(self, everyone: int, heard: set[int]) -> None:
        guild = Server([(TEXT, ()), (TEXT, [Rule(deny=VIEW)])], everyone=everyone).build()

        assert also_readable(guild) == heard


bits = st.sampled_from([0, VIEW, VIEW, CONNECT, VIEW | CONNECT])
grants = st.sampled_from([0, 0, VIEW | CONNECT, VIEW | CONNECT, VIEW, CONNECT, ADMINISTRATOR])
kinds = st.sampled_from([TEXT, TEXT, TEXT, NEWS, FORUM, MEDIA, VOICE, VOICE, STAGE, CATEGORY])
people = range(FIRST_MEMBER, FIRST_MEMBER + 2)


@st.composite
def servers(draw: st.DrawFn, *, singled_out: Sequence[int] = ()) -> Server:
    """Small servers whose channels make many exceptions, for roles and for the people that are singled out."""
    roles = draw(st.lists(grants, max_size=5))
    targets = [GUILD, *range(FIRST_ROLE, FIRST_ROLE + len(roles)), *singled_out]
    rules = st.builds(
        lambda target, allow, deny: Rule(allow, deny, target, target in singled_out),
        st.sampled_from(targets),
        bits,
        bits,
    )
    overwrites = st.lists(rules, max_size=len(targets), unique_by=lambda rule: rule.target)
    known = (
        st.dictionaries(st.sampled_from(singled_out), st.sets(st.integers(0, len(roles) - 1)))
        if singled_out and roles
        else st.just({})
    )
    return Server(
        channels=draw(st.lists(st.tuples(kinds, overwrites), min_size=2, max_size=4)),
        roles=roles,
        everyone=draw(st.sampled_from([0, 0, VIEW | CONNECT, VIEW | CONNECT, VIEW, ADMINISTRATOR])),
        members=draw(known),
        knows_all_members=draw(st.booleans()),
    )


class TestAgainstBruteForce:
    """Exactly those channels are claimed that no member could not read, whatever the member's roles."""

    @given(servers())
    @settings(max_examples=500, deadline=None)
    def test_with_overwrites_of_roles(self, server: Server) -> None:
        self.check(server)

    @given(servers(singled_out=people))
    @settings(max_examples=500, deadline=None)
    def test_with_overwrites_of_members(self, server: Server) -> None:
        self.check(server)

    @staticmethod
    def check(server: Server) -> None:
        guild = server.build()
        roles = [each.id for each in guild.roles if not each.is_default()]
        sets = [list(chosen) for count in range(len(roles) + 1) for chosen in combinations(roles, count)]
        possible = [
            member
            for number in (FIRST_MEMBER - 1, *people)  # nobody makes an exception for the first one
            for member in (
                [guild.get_member(number)]
                if guild.chunked and guild.get_member(number)
                else [make_member(guild, number, chosen) for chosen in sets]
            )
        ]
        places = [place for place in guild.channels if not isinstance(place, discord.CategoryChannel)]
        readers = {place.id: {index for index, each in enumerate(possible) if reads(place, each)} for place in places}
        for place in places:
            everybody = readers[place.id]
            assert audience_of(place).also_readable == {
                other for other, others in readers.items() if everybody <= others and other != place.id
            }


class TestLivePermissions:
    """What was said in a channel comes up where, and as long as, everybody who reads along could read it there."""

    async def test_what_was_said_in_an_open_channel_comes_up_in_a_closed_one_until_it_closes(
        self, world: World
    ) -> None:
        await world.sam.send(world.general, TOLD)
        assert "Miso" in await world.ask(world.sam, ASKED, world.staff)

        await close(world, world.general, to=world.sam)

        assert "Miso" not in await world.ask(world.sam, ASKED, world.staff)
        assert "Miso" in await world.ask(world.sam, ASKED)

    async def test_a_role_that_loses_a_channel_takes_what_was_said_there_along(self, world: World) -> None:
        guests = world.guild.create_role("Guests")
        await world.sam.send(world.staff, TOLD)
        council = world.guild.create_text_channel("council")
        await close(world, council, to=world.guild.roles["Members"])
        assert "Miso" in await world.ask(world.sam, ASKED, council)

        await permit(world, council, guests, allow=VIEW)
        assert "Miso" not in await world.ask(world.sam, ASKED, council)
        await permit(world, world.staff, guests, allow=VIEW)
        assert "Miso" in await world.ask(world.sam, ASKED, council)
        await permit(world, world.staff, guests, deny=VIEW)
        assert "Miso" not in await world.ask(world.sam, ASKED, council)

    async def test_a_role_that_may_see_the_server_is_a_reader_of_its_open_channels(self, world: World) -> None:
        members, mods = world.guild.roles["Members"], world.guild.create_role("Mods")
        for number, granted in ((world.guild.default_role, 0), (members, VIEW | SEND)):
            world.env.backend.edit_role(world.guild.id, number.id, {"permissions": granted})
        await permit(world, world.staff, members, deny=VIEW)
        await permit(world, world.staff, world.sam, allow=VIEW | SEND)
        await permit(world, world.staff, mods, allow=VIEW)

        general, staff = (world.bot.get_channel(place.id) for place in (world.general, world.staff))
        assert audience_of(staff).also_readable == set()  # somebody may be a mod and no member
        world.env.backend.edit_role(world.guild.id, mods.id, {"permissions": VIEW})
        await world.env.settle()
        assert audience_of(staff).also_readable == set()  # sam may lose his role
        await permit(world, world.general, world.sam, allow=VIEW | SEND)
        assert audience_of(staff).also_readable == {general.id}
        assert audience_of(general).also_readable == set()

    async def test_a_person_who_is_let_in_alone_has_to_be_let_in_elsewhere_too(self, world: World) -> None:
        council = world.guild.create_text_channel("council")
        await close(world, council, to=world.guild.roles["Members"])
        await world.sam.send(world.staff, TOLD)
        assert "Miso" in await world.ask(world.sam, ASKED, council)

        stranger = world.guild.add_member(world.env.create_user("stranger"))
        await permit(world, council, stranger, allow=VIEW)
        assert "Miso" not in await world.ask(world.sam, ASKED, council)
        await permit(world, world.staff, stranger, allow=VIEW)
        assert "Miso" in await world.ask(world.sam, ASKED, council)

    async def test_a_person_who_is_shut_out_alone_may_read_nowhere_else(self, world: World) -> None:
        await world.sam.send(world.general, TOLD)
        assert "Miso" in await world.ask(world.sam, ASKED, world.staff)

        await permit(world, world.general, world.robin, deny=VIEW)
        assert "Miso" not in await world.ask(world.sam, ASKED, world.staff)
        await permit(world, world.staff, world.robin, deny=VIEW)
        assert "Miso" in await world.ask(world.sam, ASKED, world.staff)

    async def test_a_channel_that_goes_is_read_by_nobody(self, world: World) -> None:
        staff = world.bot.get_channel(world.staff.id)
        assert audience_of(staff).also_readable == {world.general.id}

        world.env.backend.delete_channel(world.general.id)
        await world.env.settle()

        assert audience_of(staff).also_readable == set()

    async def test_the_chat_of_a_voice_channel_comes_up_among_those_who_may_join(self, world: World) -> None:
        voice = world.bot.get_channel(world.guild.create_voice_channel("talk").id)
        staff = world.bot.get_channel(world.staff.id)
        assert voice.id in audience_of(staff).also_readable

        world.env.backend.set_overwrite(voice.id, Overwrite(world.guild.id, 0, deny=CONNECT))
        await world.env.settle()

        assert voice.id not in audience_of(staff).also_readable


class TestThreads:
    @pytest.mark.parametrize("kind", [discord.ChannelType.public_thread, discord.ChannelType.private_thread])
    async def test_read_what_their_parent_reads(self, world: World, kind: discord.ChannelType) -> None:
        await world.sam.send(world.general, TOLD)
        thread, place = await open_thread(world, kind)

        assert "Miso" in await world.ask(world.sam, ASKED, place)
        assert linked_channel_of(thread) == f"discord-channel-{world.staff.id}"
        assert feeds_project(thread) == (kind is discord.ChannelType.public_thread)

    async def test_share_what_is_said_in_public_with_their_parent(self, world: World) -> None:
        _, place = await open_thread(world, discord.ChannelType.public_thread)
        await world.sam.send(place, TOLD)

        assert "Miso" in await world.ask(world.sam, ASKED, world.staff)
        assert "Miso" not in await world.ask(world.sam, ASKED, world.general)

    async def test_keep_what_is_said_in_private(self, world: World) -> None:
        thread, place = await open_thread(world, discord.ChannelType.private_thread)
        await world.sam.send(place, TOLD)

        assert "Miso" not in await world.ask(world.sam, ASKED, world.staff)
        assert "Miso" in await world.ask(world.sam, ASKED, place)
        assert audience_of(thread).also_readable == {world.staff.id, world.general.id}

    async def test_whose_parent_closes_close_with_it(self, world: World) -> None:
        open_place = world.bot.get_channel(world.general.id)
        thread = await open_place.create_thread(name="aside", type=discord.ChannelType.public_thread)
        (place,) = world.general.threads
        await world.sam.send(place, TOLD)
        assert "Miso" in await world.ask(world.sam, ASKED, world.staff)

        await close(world, world.general, to=world.sam)

        assert "Miso" not in await world.ask(world.sam, ASKED, world.staff)
        assert audience_of(thread) == Audience.channel(world.guild.id, world.general.id)

    async def test_whose_parent_is_unknown_hear_themselves_only(self, world: World) -> None:
        thread, _ = await open_thread(world, discord.ChannelType.public_thread)
        thread.guild._channels.pop(world.staff.id)

        assert alone(audience_of(thread)) == Audience.channel(world.guild.id, thread.id)
        assert linked_channel_of(thread) == f"discord-channel-{world.staff.id}"

    async def test_of_forums_are_its_posts(self, world: World) -> None:
        forum = world.bot.get_channel(world.guild.create_forum_channel("help").id)
        assert isinstance(forum, discord.ForumChannel)
        post = (await forum.create_thread(name="My cat", content="Who is she?")).thread

        assert audience_of(post) == Audience.channel(world.guild.id, forum.id)
        assert audience_of(post).also_readable == {world.general.id}
        assert feeds_project(post)


async def test_a_channel_is_its_own_for_projects(world: World) -> None:
    general = world.bot.get_channel(world.general.id)

    assert linked_channel_of(general) == f"discord-channel-{general.id}"
    assert feeds_project(general)


async def open_thread(world: World, kind: discord.ChannelType) -> tuple[discord.Thread, simcord.ChannelHandle]:
    """Open a thread in the staff channel, with sam."""
    parent = world.bot.get_channel(world.staff.id)
    assert isinstance(parent, discord.TextChannel)
    thread = await parent.create_thread(name="aside", type=kind)
    await thread.add_user(discord.Object(world.sam.id))
    await world.env.settle()
    (place,) = world.staff.threads
    return thread, place


async def close(world: World, channel: simcord.ChannelHandle, *, to: simcord.RoleHandle | simcord.MemberActor) -> None:
    await permit(world, channel, world.guild.me, allow=VIEW)
    await permit(world, channel, to, allow=VIEW)
    await permit(world, channel, world.guild.default_role, deny=VIEW)


async def permit(world: World, channel: simcord.ChannelHandle, target: Any, *, allow: int = 0, deny: int = 0) -> None:
    kind = 1 if isinstance(target, simcord.MemberActor | discord.Member) else 0
    world.env.backend.set_overwrite(channel.id, Overwrite(target.id, kind, allow, deny))
    await world.env.settle()

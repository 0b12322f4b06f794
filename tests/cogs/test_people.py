"""What people are called: today's names, and nicknames only in the server that they belong to."""

from collections.abc import AsyncIterator

import discord
import pytest
import simcord
from cortex_cogs._messages import mentioned_people, replied_to, spoken_text
from cortex_cogs._people import names_of, names_of_speakers
from discord.ext import commands

from bot import Clara
from cortex_core import Audience, Memory, MemoryManager
from tests.cogs.conftest import make_world, simulate


@pytest.fixture
async def env() -> AsyncIterator[simcord.Env]:
    """A bot that may know who is there; it only listens."""
    async with simulate(commands.Bot("!", intents=discord.Intents.all())) as env:
        yield env


class Party:
    """Two servers with Robin, who has a nickname in the first one only."""

    def __init__(self, env: simcord.Env) -> None:
        self.env = env
        self.bot = env.bot
        self.guild = env.create_guild("Cortex")
        self.elsewhere = env.create_guild("Elsewhere")
        user = env.create_user("robin", global_name="Robin")
        self.robin = self.guild.add_member(user, nick="Chief")
        self.elsewhere.add_member(user)
        self.id = f"discord-{self.robin.id}"
        self.channel = self.guild.create_text_channel("general")
        self.heard: list[discord.Message] = []
        env.bot.add_listener(self._hear, "on_message")

    async def _hear(self, message: discord.Message) -> None:
        self.heard.append(message)

    def guild_of(self, handle: simcord.GuildHandle) -> discord.Guild:
        guild = self.bot.get_guild(handle.id)
        assert guild is not None
        return guild

    async def hear(self, speaker: simcord.MemberActor, text: str, **how: object) -> discord.Message:
        await speaker.send(self.channel, text, **how)
        return self.heard[-1]

    def said(self, place: Audience, name: str | None = "Old nick", *, at: str = "2026-01-01T00:00:00Z") -> Memory:
        fields = {"user_id": self.id, "content": "Hi.", "created_at": at, "author_name": name, "audience": str(place)}
        return Memory.model_validate(fields)


@pytest.fixture
def party(env: simcord.Env) -> Party:
    return Party(env)


class TestToday:
    def test_a_nickname_shows_in_its_own_server_only(self, party: Party) -> None:
        assert names_of(party.bot, party.guild_of(party.guild), [party.id]) == {party.id: "Chief"}
        assert names_of(party.bot, party.guild_of(party.elsewhere), [party.id]) == {party.id: "Robin"}
        assert names_of(party.bot, None, [party.id]) == {party.id: "Robin"}

    async def test_a_new_name_shows_at_once(self, party: Party) -> None:
        party.env.backend.edit_member(party.guild.id, party.robin.id, {"nick": "Boss"})
        await party.env.settle()

        assert names_of(party.bot, party.guild_of(party.guild), [party.id]) == {party.id: "Boss"}

    def test_who_is_not_known_has_no_name(self, party: Party) -> None:
        strangers = ["discord-123456789012345678", "discord-x", "discord-", "replay-7", str(party.robin.id), ""]

        assert names_of(party.bot, party.guild_of(party.guild), strangers) == {}


class TestSpeakers:
    def test_have_todays_name_rather_than_that_of_then(self, party: Party) -> None:
        memories = [party.said(Audience.channel(party.guild.id, 7))]

        assert names_of_speakers(party.bot, party.guild_of(party.guild), memories) == {party.id: "Chief"}

    def test_who_left_have_the_last_name_that_they_had_there(self, party: Party) -> None:
        here, there = Audience.channel(party.guild.id, 7), Audience.channel(party.elsewhere.id, 8)
        gone = {"user_id": "discord-1"}
        memories = [
            party.said(here, "Newer", at="2026-02-01T00:00:00Z").model_copy(update=gone),
            party.said(here, "Older").model_copy(update=gone),
            party.said(there, "Nick elsewhere", at="2026-03-01T00:00:00Z").model_copy(update=gone),
            party.said(here, None, at="2026-04-01T00:00:00Z").model_copy(update=gone),
        ]

        assert names_of_speakers(party.bot, party.guild_of(party.guild), memories) == {"discord-1": "Newer"}

    @pytest.mark.parametrize("audience", [Audience.owner(), Audience.everywhere(), Audience.channel(1, 2)])
    def test_show_no_name_of_then_outside_of_its_server(self, party: Party, audience: Audience) -> None:
        gone = party.said(audience).model_copy(update={"user_id": "discord-1"})

        assert names_of_speakers(party.bot, party.guild_of(party.guild), [gone]) == {}
        assert names_of_speakers(party.bot, None, [gone]) == {}

    def test_are_the_authors_where_somebody_else_owns_it(self, party: Party) -> None:
        memory = party.said(Audience.owner()).model_copy(update={"user_id": "discord-1", "author_id": party.id})

        assert names_of_speakers(party.bot, None, [memory]) == {party.id: "Robin"}


class TestMentions:
    async def test_are_people_by_the_names_that_were_seen(self, party: Party) -> None:
        sam = party.guild.add_member(party.env.create_user("sam"))
        message = await party.hear(sam, f"My sister is {party.robin.mention}, ask <@!{party.robin.id}>!")

        assert mentioned_people(message) == {"Chief": party.id}
        assert spoken_text(message, None) == "My sister is @Chief, ask @Chief!"

    async def test_are_those_of_the_text_alone(self, party: Party) -> None:
        sam = party.guild.add_member(party.env.create_user("sam"))
        message = await party.hear(sam, "I agree.", reply_to=await party.hear(party.robin, "It is cold."))

        assert mentioned_people(message) == {}
        assert replied_to(message) == party.id

    async def test_of_bots_and_of_namesakes_are_nobody(self, party: Party) -> None:
        robot = party.guild.add_member(party.env.create_user("robot", bot=True))
        twins = [party.guild.add_member(party.env.create_user(f"twin{number}"), nick="Twin") for number in range(2)]
        mentioned = [robot, *twins, party.robin]
        message = await party.hear(party.robin, " ".join(person.mention for person in mentioned))

        assert mentioned_people(message) == {"Chief": party.id}

    async def test_in_a_direct_message_are_by_no_nickname(self, party: Party) -> None:
        await party.robin.send_dm(f"I am {party.robin.mention}")

        assert mentioned_people(party.heard[-1]) == {"Robin": party.id}

    async def test_of_somebody_called_everyone_keep_the_name(self, party: Party) -> None:
        sam = party.guild.add_member(party.env.create_user("sam"), nick="everyone")
        message = await party.hear(sam, f"I am {sam.mention}")

        assert mentioned_people(message) == {"everyone": f"discord-{sam.id}"}
        assert spoken_text(message, None) == "I am @everyone"


class TestReplies:
    async def test_to_nothing_are_to_nobody(self, party: Party) -> None:
        assert replied_to(await party.hear(party.robin, "It is cold.")) is None

    async def test_to_what_is_gone_are_to_nobody(self, party: Party) -> None:
        sam = party.guild.add_member(party.env.create_user("sam"))
        original = await party.hear(party.robin, "It is cold.")
        message = await party.hear(sam, "I agree.", reply_to=original)
        assert message.reference is not None
        message.reference.resolved = None
        party.bot._connection._messages.clear()

        assert replied_to(message) is None

    async def test_that_forward_are_none(self, party: Party) -> None:
        original = await party.hear(party.robin, "It is cold.")
        await party.robin.forward(original, party.channel)

        assert replied_to(party.heard[-1]) is None

    async def test_to_a_webhook_are_to_nobody(self, party: Party) -> None:
        news = await party.guild.create_webhook(party.channel, "News").send("Breaking news.")

        assert replied_to(await party.hear(party.robin, "Really?", reply_to=news)) is None


async def test_a_list_and_an_answer_name_who_said_it(memory: MemoryManager) -> None:
    async with simulate(Clara(memory, extra_names=True)) as env:
        world = make_world(env, memory)
        await memory.store(
            world.owner(world.sam),
            "The bridge is closed.",
            author_id="discord-1",
            author_name="@everyone [x](http://e)",
            audience=Audience.channel(world.guild.id, world.general.id),
        )
        await world.flush()

        here = (await world.sam.slash(world.general, "memory list")).response
        in_private = (await world.sam.user.slash("memory list")).response
        answer = await world.ask(world.sam, "Clara, is the bridge closed?")

    assert here is not None
    assert in_private is not None
    name = "\\@\u200beveryone \\[x\\]\\(http\\:\\/\\/e\\)"
    assert f"said by {name}" in (here.embeds[0].description or "")
    assert "said by somebody else" in (in_private.embeds[0].description or "")
    assert answer.startswith(f"{name} said <t:")


class TestContents:
    """Whom they mention is called by no nickname of another server."""

    @pytest.fixture
    async def env(self, memory: MemoryManager) -> AsyncIterator[simcord.Env]:
        async with simulate(Clara(memory, extra_names=True)) as env:
            yield env

    async def test_call_nobody_by_a_nickname_of_then_or_elsewhere(
        self, env: simcord.Env, memory: MemoryManager
    ) -> None:
        world = make_world(env, memory)
        carl = world.guild.add_member(env.create_user("carl", global_name="Carl"), nick="SecretNick")
        await world.sam.send(world.general, f"Ask {carl.mention} for the concrete, it arrives on Tuesday.")
        await world.flush()
        env.backend.edit_member(world.guild.id, carl.id, {"nick": "NewNick"})
        await env.settle()
        there = env.create_guild("Elsewhere").add_member(world.sam.user)
        elsewhere = there.guild.create_text_channel("elsewhere")

        here = [
            await world.ask(world.sam, "Clara, when does the concrete arrive?"),
            *await self._lists(world.sam, world.general),
        ]
        private = await self._lists(there, elsewhere)
        await world.sam.send_dm("When does the concrete arrive?")
        reply = world.sam.user.dm_channel.last_message
        assert reply is not None

        assert all("Ask @\u200bNewNick for" in text or "Ask @NewNick for" in text for text in here)
        for text in (*private, reply.content):
            assert "Nick" not in text
            assert "for the concrete" in text

    async def test_of_a_person_whom_nobody_knows_here_mention_somebody(
        self, env: simcord.Env, memory: MemoryManager
    ) -> None:
        world = make_world(env, memory)
        metadata = {"mentions": {"SecretNick": "discord-1"}}
        audience = Audience.channel(7, 8)
        await memory.store(
            world.owner(world.sam), "Ask @SecretNick for the concrete on Tuesday.", metadata=metadata, audience=audience
        )
        await world.flush()

        assert all("somebody for the concrete" in text for text in await self._lists(world.sam, world.general))

    async def _lists(self, person: simcord.MemberActor, place: simcord.ChannelHandle) -> list[str]:
        query = "When does the concrete arrive?"
        answers = [
            await person.slash(place, "memory list"),
            await person.slash(place, "memory search", query=query),
            await person.slash(place, "memory forget", last=2),
        ]
        (choice, *_) = await person.autocomplete(place, "memory forget", "query", "for")
        texts = [answer.response.embeds[0].description or "" for answer in answers if answer.response is not None]
        assert len(texts) == 3
        return [*texts, choice["name"]]


class TestJustHeard:
    @pytest.fixture
    async def env(self) -> AsyncIterator[simcord.Env]:
        """A bot that may not know who is there."""
        intents = discord.Intents.default()
        intents.message_content = True
        async with simulate(commands.Bot("!", intents=intents)) as env:
            yield env

    async def test_people_are_known_without_the_members_intent(self, party: Party) -> None:
        await party.hear(party.robin, "It is cold.")
        await party.robin.send_dm("It is cold.")

        assert names_of(party.bot, party.guild_of(party.guild), [party.id]) == {party.id: "Chief"}
        assert names_of(party.bot, party.guild_of(party.elsewhere), [party.id]) == {party.id: "Robin"}
        assert names_of(party.bot, None, [party.id]) == {party.id: "Robin"}

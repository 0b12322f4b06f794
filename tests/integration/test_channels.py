"""Channel-project links (TDD 9.5): both ways, whose business they are, and what a cache may still say."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_core import (
    AccessDeniedError,
    ChannelProjectLink,
    ChannelSettings,
    InvalidInputError,
    MemoryConfig,
    NotFoundError,
    PostgresStore,
    ProjectRole,
    RedisConfig,
    RedisStore,
    StoreUnavailableError,
)
from cortex_core.stores.keys import channel_key
from cortex_core.stores.postgres import channels as rules
from tests.harness import Connect, Gate

ODD_IDS = ["*", "?", ":", "{}", "{a}", "[a]", "a", "a:b", "\n", " ", "%", "%2A", "🙂", "é", "e\u0301", "'", "\\", "0"]


@pytest.fixture(scope="module")
async def postgres(shared_config: MemoryConfig) -> AsyncIterator[PostgresStore]:
    """One store for all tests: ids of their own keep them apart."""
    store = PostgresStore(shared_config.postgres)
    await store.connect()
    yield store
    await store.close()


@pytest.fixture(scope="module")
async def redis_store(shared_config: MemoryConfig) -> AsyncIterator[RedisStore]:
    store = RedisStore(shared_config.redis)
    yield store
    await store.close()


@pytest.fixture(scope="module")
async def links(postgres: PostgresStore, redis_store: RedisStore) -> ChannelProjectLink:
    return ChannelProjectLink(postgres, redis_store)


@pytest.fixture(scope="module")
async def links_without_redis(postgres: PostgresStore) -> AsyncIterator[ChannelProjectLink]:
    """What another process does that can't reach Redis."""
    store = RedisStore(RedisConfig(url="unix:///tmp/there-is-no-such-socket"))
    yield ChannelProjectLink(postgres, store)
    await store.close()


class Team(NamedTuple):
    project: str
    owner: str
    admin: str
    member: str
    stranger: str


@pytest.fixture
async def team(postgres: PostgresStore) -> Team:
    return await new_team(postgres)


async def new_team(postgres: PostgresStore) -> Team:
    team = Team(*(f"{name}-{uuid4().hex}" for name in Team._fields))
    await postgres.projects.create(team.project, "Garden", team.owner, [team.member])
    await postgres.projects.add_member(team.project, team.admin, ProjectRole.ADMIN)
    return team


@pytest.fixture
def channel() -> str:
    return f"discord-channel-{uuid4().hex}"


# Linking


async def test_a_channel_without_settings_has_the_default_ones(links: ChannelProjectLink, channel: str):
    assert await links.get_settings(channel) == ChannelSettings(channel_id=channel)
    assert await links.get_project_for_channel(channel) is None
    assert await links.unlink_channel(channel) is False


async def test_a_link_is_found_from_both_ends(links: ChannelProjectLink, team: Team):
    channels = sorted(uuid4().hex for _ in range(3))
    for channel in channels:
        linked = await links.link_channel(channel, team.project, by=team.admin, guild_id=7)
        assert linked == ChannelSettings(channel_id=channel, guild_id=7, project_id=team.project)
        assert await links.get_settings(channel) == linked
        assert await links.get_project_for_channel(channel) == team.project

    assert await links.get_channels_for_project(team.project) == channels
    assert await links.get_channels_for_project(team.project, user_id=team.member) == channels

    assert await links.unlink_channel(channels[0], by="a moderator") is True
    assert await links.unlink_channel(channels[0]) is False
    assert await links.get_project_for_channel(channels[0]) is None
    assert await links.get_channels_for_project(team.project) == channels[1:]


async def test_a_new_link_replaces_the_old_one(
    links: ChannelProjectLink, postgres: PostgresStore, team: Team, channel: str
):
    other = await new_team(postgres)
    await links.link_channel(channel, team.project, guild_id=7)

    assert (await links.link_channel(channel, other.project, by=other.owner)).project_id == other.project

    assert await links.get_settings(channel) == ChannelSettings(
        channel_id=channel, guild_id=7, project_id=other.project
    )
    assert await links.get_channels_for_project(team.project) == []
    assert await links.get_channels_for_project(other.project) == [channel]


async def test_who_may_link(links: ChannelProjectLink, team: Team, channel: str):
    with pytest.raises(AccessDeniedError, match="Only the owner or an admin"):
        await links.link_channel(channel, team.project, by=team.member)
    answers = set()
    for project, by in ((team.project, team.stranger), ("*", team.owner), (uuid4().hex, team.stranger), ("no", None)):
        with pytest.raises(NotFoundError) as refused:
            await links.link_channel(channel, project, by=by)
        answers.add(str(refused.value))
    assert len(answers) == 1
    assert await links.get_project_for_channel(channel) is None

    for by in (team.owner, team.admin, None):
        assert (await links.link_channel(channel, team.project, by=by)).project_id == team.project


async def test_who_may_ask_for_the_channels(links: ChannelProjectLink, team: Team):
    answers = set()
    for project, who in ((team.project, team.stranger), ("*", team.member), (uuid4().hex, None)):
        with pytest.raises(NotFoundError) as refused:
            await links.get_channels_for_project(project, user_id=who)
        answers.add(str(refused.value))
    assert len(answers) == 1


async def test_a_demoted_admin_links_nothing(
    links: ChannelProjectLink, postgres: PostgresStore, team: Team, channel: str
):
    await postgres.projects.set_role(team.project, team.admin, ProjectRole.MEMBER, by=team.owner)
    with pytest.raises(AccessDeniedError):
        await links.link_channel(channel, team.project, by=team.admin)
    await postgres.projects.remove_member(team.project, team.admin, by=team.owner)
    with pytest.raises(NotFoundError):
        await links.link_channel(channel, team.project, by=team.admin)


async def test_an_archived_project_counts_as_not_linked(
    links: ChannelProjectLink,
    links_without_redis: ChannelProjectLink,
    postgres: PostgresStore,
    team: Team,
    channel: str,
):
    await links.link_channel(channel, team.project)
    await postgres.projects.archive(team.project, by=team.owner)

    with pytest.raises(InvalidInputError, match="archived"):
        await links.link_channel("another", team.project, by=team.owner)
    with pytest.raises(NotFoundError):
        await links.link_channel("another", team.project, by=team.stranger)
    assert await links.get_channels_for_project(team.project, user_id=team.member) == []
    assert await links_without_redis.get_project_for_channel(channel) is None

    await postgres.projects.restore(team.project, by=team.owner)
    assert await links_without_redis.get_project_for_channel(channel) == team.project


@pytest.mark.parametrize("odd", ["", "x" * 101, "a\0b", "\ud800", None])
async def test_ids_that_no_store_can_hold_are_refused(links: ChannelProjectLink, team: Team, odd: str):
    for call in (
        links.link_channel(odd, team.project),
        links.unlink_channel(odd),
        links.set_capture(odd, is_captured=False),
        links.get_settings(odd),
        links.forget_channel(odd),
    ):
        with pytest.raises(InvalidInputError, match="channel id"):
            await call
    with pytest.raises(InvalidInputError, match="project id"):
        await links.link_channel("a", odd)


@pytest.mark.parametrize("guild_id", [0, -1, 2**63])
async def test_servers_have_numbers(links: ChannelProjectLink, team: Team, channel: str, guild_id: int):
    with pytest.raises(InvalidInputError, match="server"):
        await links.link_channel(channel, team.project, guild_id=guild_id)
    with pytest.raises(InvalidInputError, match="server"):
        await links.set_capture(channel, is_captured=False, guild_id=guild_id)


# Capture


async def test_capture_and_links_are_apart(links: ChannelProjectLink, team: Team, channel: str):
    off = await links.set_capture(channel, is_captured=False, by="a moderator", guild_id=7)
    assert off == ChannelSettings(channel_id=channel, guild_id=7, is_captured=False)
    assert (await links.link_channel(channel, team.project)).is_captured is False
    await links.unlink_channel(channel)
    assert await links.get_settings(channel) == off

    await links.link_channel(channel, team.project)
    on = await links.set_capture(channel, is_captured=True)
    assert on == ChannelSettings(channel_id=channel, guild_id=7, project_id=team.project)
    assert await links.get_settings(channel) == on


# The end of channels


async def test_a_channel_that_is_gone_takes_its_link_along(links: ChannelProjectLink, team: Team, channel: str):
    await links.link_channel(channel, team.project)
    await links.link_channel("stays" + channel, team.project)

    await links.forget_channel(channel)

    assert await links.get_settings(channel) == ChannelSettings(channel_id=channel)
    assert await links.get_channels_for_project(team.project) == ["stays" + channel]
    await links.forget_channel(channel)


async def test_a_server_that_is_gone_takes_its_links_along(links: ChannelProjectLink, team: Team):
    here, there, anywhere = sorted(uuid4().hex for _ in range(3))
    guild_id = uuid4().int >> 66
    await links.link_channel(here, team.project, guild_id=guild_id)
    await links.link_channel(there, team.project, guild_id=guild_id + 1)
    await links.link_channel(anywhere, team.project)

    await links.forget_guild(guild_id)
    await links.forget_guild(guild_id)

    assert await links.get_channels_for_project(team.project) == [there, anywhere]
    assert await links.get_settings(here) == ChannelSettings(channel_id=here)


# The cache


async def test_settings_are_cached_for_a_day(
    links: ChannelProjectLink, redis_store: RedisStore, channel: str, monkeypatch: pytest.MonkeyPatch
):
    await links.get_settings(channel)
    assert 86_000 < await redis_store.client.ttl(channel_key(channel)) <= 86_400

    monkeypatch.delattr(rules.Channels, "get")
    assert await links.get_settings(channel) == ChannelSettings(channel_id=channel)


async def test_a_cache_that_cannot_be_read_is_replaced(
    links: ChannelProjectLink, redis_store: RedisStore, channel: str
):
    await links.set_capture(channel, is_captured=False)
    for rubbish in ("", "nonsense", '9:{"new": 1}', "1:"):
        await redis_store.client.set(channel_key(channel), rubbish)
        assert (await links.get_settings(channel)).is_captured is False
        assert await redis_store.get_channel(channel) is not None


async def test_without_redis_postgres_answers(
    links: ChannelProjectLink, links_without_redis: ChannelProjectLink, team: Team, channel: str
):
    linked = await links.link_channel(channel, team.project, guild_id=7)

    assert await links_without_redis.get_settings(channel) == linked
    await links_without_redis.forget_channel(channel)
    await links_without_redis.forget_guild(7)
    assert await links_without_redis.get_settings(channel) == ChannelSettings(channel_id=channel)


async def test_a_change_that_redis_did_not_hear_of_is_not_called_done(
    links: ChannelProjectLink, links_without_redis: ChannelProjectLink, team: Team, channel: str
):
    await links.link_channel(channel, team.project)

    with pytest.raises(StoreUnavailableError, match="do the same again"):
        await links_without_redis.set_capture(channel, is_captured=False)
    with pytest.raises(StoreUnavailableError, match="do the same again"):
        await links_without_redis.unlink_channel(channel)

    assert await links_without_redis.get_settings(channel) == ChannelSettings(channel_id=channel, is_captured=False)
    assert (await links.get_settings(channel)).is_captured  # which is why it isn't called done
    assert await links.unlink_channel(channel) is False  # the same again
    assert await links.get_settings(channel) == ChannelSettings(channel_id=channel, is_captured=False)


async def put_regardless(store: RedisStore, settings: ChannelSettings, *, version: int) -> None:
    """Cache in the plain way, for the controls."""
    await store.client.set(channel_key(settings.channel_id), f"{version}:{settings.model_dump_json()}", ex=300)


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_what_was_loaded_before_a_change_is_not_cached_after_it(
    links: ChannelProjectLink,
    postgres: PostgresStore,
    channel: str,
    monkeypatch: pytest.MonkeyPatch,
    is_guarded: bool,  # noqa: FBT001
):
    if not is_guarded:
        monkeypatch.setattr(RedisStore, "cache_channel", put_regardless)
    await links.set_capture(channel, is_captured=True)
    await links._redis.drop_channels([channel])
    with monkeypatch.context() as patch:
        patch.setattr(postgres.channels, "get", gate := Gate(postgres.channels.get, holds_answer=True))
        loading = asyncio.create_task(links.get_settings(channel))
        await gate.wait_until_reached()
        await links.set_capture(channel, is_captured=False)
        gate.open()
        await loading

    assert (await links.get_settings(channel)).is_captured is not is_guarded


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_of_two_changes_the_last_one_is_cached(
    links: ChannelProjectLink,
    redis_store: RedisStore,
    channel: str,
    monkeypatch: pytest.MonkeyPatch,
    is_guarded: bool,  # noqa: FBT001
):
    if not is_guarded:
        monkeypatch.setattr(RedisStore, "cache_channel", put_regardless)
    with monkeypatch.context() as patch:
        patch.setattr(redis_store, "cache_channel", gate := Gate(redis_store.cache_channel))
        first = asyncio.create_task(links.set_capture(channel, is_captured=True))
        await gate.wait_until_reached()
        await links.set_capture(channel, is_captured=False)
        gate.open()
        await first

    assert (await links.get_settings(channel)).is_captured is not is_guarded


@pytest.mark.parametrize("_round", range(10))
async def test_changes_at_once_end_alike_in_both_stores(
    links: ChannelProjectLink, links_without_redis: ChannelProjectLink, team: Team, channel: str, _round: int
):
    await asyncio.gather(
        *(links.set_capture(channel, is_captured=bool(n % 2)) for n in range(4)),
        links.link_channel(channel, team.project),
        links.get_settings(channel),
        links.unlink_channel(channel),
        links.get_settings(channel),
    )

    assert await links.get_settings(channel) == await links_without_redis.get_settings(channel)


@pytest.mark.parametrize("_round", range(10))
async def test_a_link_meets_the_demotion_of_who_makes_it(
    links: ChannelProjectLink, postgres: PostgresStore, team: Team, channel: str, _round: int
):
    linking, demoting = await asyncio.gather(
        links.link_channel(channel, team.project, by=team.admin),
        postgres.projects.set_role(team.project, team.admin, ProjectRole.MEMBER, by=team.owner),
        return_exceptions=True,
    )

    assert demoting is None
    if not isinstance(linking, AccessDeniedError):
        assert linking.project_id == team.project
    assert await links.get_channels_for_project(team.project) == [channel] * isinstance(linking, ChannelSettings)


# Any ids, any order, any size

ids = st.sampled_from(ODD_IDS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
)


@given(ids, ids)
@example("*", "a")
@example("[a]", "a")
@example("%2A", "*")
@example("a:b", "a")
@example("é", "e\u0301")
@settings(deadline=None, max_examples=40)
async def test_odd_ids_never_cross(links: ChannelProjectLink, postgres: PostgresStore, one: str, other: str):
    if one == other:
        return
    team = await new_team(postgres)
    for channel in (one, other):
        await links.forget_channel(channel)

    await links.link_channel(one, team.project)
    await links.set_capture(one, is_captured=False)

    assert await links.get_settings(other) == ChannelSettings(channel_id=other)
    assert await links.get_channels_for_project(team.project) == [one]
    await links.forget_channel(other)
    expected = ChannelSettings(channel_id=one, project_id=team.project, is_captured=False)
    assert await links.get_settings(one) == expected
    await links._redis.drop_channels([one])
    assert await links.get_settings(one) == expected


channels = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("link"), channels, st.integers(0, 1)),
    st.tuples(st.just("capture"), channels, st.booleans()),
    st.tuples(st.sampled_from(["unlink", "forget", "flush"]), channels),
    st.tuples(st.sampled_from(["archive", "restore"]), st.integers(0, 1)),
)


class Model:
    """What the rules say of three channels and two projects; each step of the same name does it for real, too."""

    def __init__(self, links: ChannelProjectLink, postgres: PostgresStore, teams: list[Team]) -> None:
        self.links = links
        self.postgres = postgres
        self.teams = teams
        self.names = [uuid4().hex for _ in range(3)]
        self.linked: dict[int, int] = {}
        self.silent: set[int] = set()
        self.archived: set[int] = set()

    async def link(self, channel: int, number: int) -> None:
        call = self.links.link_channel(self.names[channel], self.teams[number].project, by=self.teams[number].owner)
        if number not in self.archived:
            await call
            self.linked[channel] = number
            return
        with pytest.raises(InvalidInputError):
            await call

    async def unlink(self, channel: int) -> None:
        was_linked = self.linked.pop(channel, None) is not None
        assert await self.links.unlink_channel(self.names[channel]) is was_linked

    async def capture(self, channel: int, is_captured: bool) -> None:  # noqa: FBT001
        await self.links.set_capture(self.names[channel], is_captured=is_captured)
        (self.silent.discard if is_captured else self.silent.add)(channel)

    async def forget(self, channel: int) -> None:
        await self.links.forget_channel(self.names[channel])
        self.linked.pop(channel, None)
        self.silent.discard(channel)

    async def flush(self, channel: int) -> None:
        await self.links._redis.drop_channels([self.names[channel]])

    async def archive(self, number: int) -> None:
        await self.postgres.projects.archive(self.teams[number].project, by=self.teams[number].owner)
        self.archived.add(number)

    async def restore(self, number: int) -> None:
        await self.postgres.projects.restore(self.teams[number].project, by=self.teams[number].owner)
        self.archived.discard(number)

    def settings_of(self, channel: int) -> ChannelSettings:
        number = self.linked.get(channel)
        project = None if number is None or number in self.archived else self.teams[number].project
        return ChannelSettings(
            channel_id=self.names[channel], project_id=project, is_captured=channel not in self.silent
        )

    def channels_of(self, number: int) -> list[str]:
        linked = [self.names[channel] for channel, linked in self.linked.items() if linked == number]
        return [] if number in self.archived else sorted(linked)


@given(st.lists(steps, max_size=25))
@settings(deadline=None, max_examples=40)
async def test_any_sequence_of_changes_is_what_is_found(
    links: ChannelProjectLink, links_without_redis: ChannelProjectLink, postgres: PostgresStore, sequence: list[tuple]
):
    model = Model(links, postgres, [await new_team(postgres) for _ in range(2)])
    was_archived = False  # then the cache may lag behind with the project
    for name, *arguments in sequence:
        await getattr(model, name)(*arguments)
        was_archived |= name == "archive"
        for channel, channel_id in enumerate(model.names):
            expected = model.settings_of(channel)
            assert await links_without_redis.get_settings(channel_id) == expected
            cached = await links.get_settings(channel_id)
            assert cached.is_captured is expected.is_captured
            assert was_archived or cached == expected
    for number, team in enumerate(model.teams):
        assert await links.get_channels_for_project(team.project) == model.channels_of(number)


async def test_no_lookup_looks_at_every_channel(connect: Connect):
    async with connect() as connection:
        await connection.execute("""
            BEGIN;
            INSERT INTO projects (id, name, owner_id) SELECT n::text, 'p', 'ann' FROM generate_series(1, 300) AS n;
            INSERT INTO project_members (project_id, user_id, role) SELECT id, 'ann', 'owner' FROM projects;
            COMMIT;
            INSERT INTO channels (channel_id, project_id, guild_id)
            SELECT n::text, (1 + n % 300)::text, n / 100 FROM generate_series(1, 30000) AS n;
            ANALYZE
        """)
        for query, arguments in (("get", ["7"]), ("list_of_project", ["7", None]), ("forget_guild", [7])):
            plan = await connection.fetch(f"EXPLAIN {rules._SQL[query]}", *arguments)
            assert not [row for row in plan if "Seq Scan on channels" in row[0]], query

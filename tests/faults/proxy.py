"""A proxy between unix sockets that can be told to misbehave."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

_CHUNK = 65_536


class Proxy:
    """Forwards every connection to one socket, unless told otherwise."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self.delay = 0.0
        self._target = target
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, name: str, target: str) -> AsyncIterator[Self]:
        with tempfile.TemporaryDirectory(prefix="cortex-proxy-", dir="/tmp") as folder:
            proxy = cls(Path(folder) / name, target)
            await proxy.heal()
            yield proxy
            await proxy.refuse()
            for task in proxy._tasks:
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    async def heal(self) -> None:
        """Let everything through."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._accept, self.path)

    def black_hole(self) -> None:
        """Take connections and bytes, and never answer."""
        self._flowing.clear()

    def reset(self) -> None:
        """Cut every connection that there is."""
        for writer in self._writers:
            writer.transport.abort()

    async def refuse(self) -> None:
        """Be a server that isn't there."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.path.unlink(missing_ok=True)
        self.reset()
        await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = {writer}
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                answers, target = await asyncio.open_unix_connection(self._target)
                pair.add(target)
                self._writers.add(target)
                await asyncio.gather(self._pump(reader, target), self._pump(answers, writer))
        finally:
            self._writers -= pair
            for one in pair:
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self.delay)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

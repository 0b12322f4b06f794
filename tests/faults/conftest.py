import shlex
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import redis

from cortex_core import MemoryConfig, MemoryManager, PostgresConfig, RedisConfig
from cortex_core.stores.embedded_placement import _valkey_server
from tests.faults.proxy import Proxy
from tests.harness import ScriptedEmbedder

StartValkey = Callable[..., AbstractContextManager["Valkey"]]


class Valkey:
    """A Valkey of the test's own, to be killed."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/own.sock"

    def start(self) -> None:
        options = [
            part for name, value in self._settings.items() for part in (f"--{name}", *shlex.split(value or "''"))
        ]
        command = [
            _valkey_server(),
            "--port",
            "0",
            "--dir",
            self._folder,
            "--unixsocket",
            self._folder / "own.sock",
            *options,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            while not self._answers(client):
                assert self._process.poll() is None, "it ended at once"

    def _answers(self, client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def start_valkey() -> Iterator[StartValkey]:
    @contextmanager
    def start(**settings: str) -> Iterator[Valkey]:
        with tempfile.TemporaryDirectory(prefix="cortex-valkey-", dir="/tmp") as folder:
            names = {name.replace("_", "-"): value for name, value in settings.items()}
            server = Valkey(Path(folder), {"appendonly": "yes", "appendfsync": "always", "save": "", **names})
            server.start()
            yield server
            server.kill()

    return start


@pytest.fixture
async def redis_proxy(redis_config: RedisConfig) -> AsyncIterator[Proxy]:
    async with Proxy.running("redis.sock", urlsplit(redis_config.url).path) as proxy:
        yield proxy


@pytest.fixture
async def postgres_proxy(postgres_config: PostgresConfig) -> AsyncIterator[Proxy]:
    name = ".s.PGSQL.5432"
    folder = unquote(parse_qs(urlsplit(postgres_config.url).query)["host"][0])
    async with Proxy.running(name, f"{folder}/{name}") as proxy:
        yield proxy


@pytest.fixture
def fragile_config(
    redis_config: RedisConfig, postgres_config: PostgresConfig, redis_proxy: Proxy, postgres_proxy: Proxy
) -> MemoryConfig:
    """Both servers behind a proxy, with time limits that a slow disk keeps."""
    database = urlsplit(postgres_config.url).path.strip("/")
    key_space = urlsplit(redis_config.url).query
    return MemoryConfig(
        redis=RedisConfig(url=f"unix://{redis_proxy.path}?{key_space}", timeout_seconds=0.5),
        postgres=PostgresConfig(
            url=f"postgresql://cortex@/{database}?host={postgres_proxy.path.parent}&port=5432",
            statement_timeout_seconds=1.0,
        ),
    )


@pytest.fixture
async def fragile(
    fragile_config: MemoryConfig, redis_proxy: Proxy, postgres_proxy: Proxy
) -> AsyncIterator[MemoryManager]:
    """A memory behind the proxies, which are healed before it closes."""
    async with MemoryManager(fragile_config, embedder=ScriptedEmbedder()) as memory:
        yield memory
        await redis_proxy.heal()
        await postgres_proxy.heal()

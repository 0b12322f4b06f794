"""A server on loopback that speaks the OpenAI API as its script says: answers, faults, delays, garbage.

Without a script every request succeeds: embeddings follow the words of a text, so that texts which share words are
similar, and a chat answers `ScriptedOpenAI.reply`.
"""

import asyncio
import hashlib
import json
import math
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Answer:
    """What the server does with one request. With the defaults: answer as if there were no script."""

    status: int = 200
    body: str | dict[str, Any] | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False

    @classmethod
    def error(cls, status: int, message: str = "scripted", *, param: str | None = None, final: bool = True) -> Self:
        """An error in OpenAI's form; a final one tells the client not to try again."""
        headers = {"x-should-retry": "false"} if final else {"retry-after-ms": "1"}
        body = {"error": {"message": message, "type": "scripted", "param": param, "code": None}}
        return cls(status=status, body=body, headers=headers)

    @classmethod
    def chat(cls, content: str | None) -> Self:
        """A chat completion with this content."""
        return cls(body=_completion("scripted", content))


@dataclass(frozen=True)
class Recorded:
    """A request as it came in."""

    path: str
    body: dict[str, Any]
    authorization: str | None


class ScriptedOpenAI:
    """The running server. Start it with `running`."""

    def __init__(self, *, dimensions: int) -> None:
        self.base_url = ""
        self.dimensions = dimensions
        self.reply = "Hello from the scripted server."
        self.script: deque[Answer] = deque()
        self.requests: list[Recorded] = []

    @classmethod
    @asynccontextmanager
    async def running(cls, *, dimensions: int = 64) -> AsyncIterator[Self]:
        """Serve on a free port of the loopback address."""
        server = cls(dimensions=dimensions)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/embeddings", server._embeddings)
        app.router.add_post("/v1/chat/completions", server._chat)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            yield server
        finally:
            await runner.cleanup()

    def then(self, *answers: Answer) -> None:
        """Script the next requests, one answer each."""
        self.script.extend(answers)

    def hashed_vector(self, text: str) -> list[float]:
        """The vector that the server gives this text."""
        return _hashed_vector(text, self.dimensions)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await self._record(request)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        dimensions = body.get("dimensions", self.dimensions)
        data = [
            {"object": "embedding", "index": index, "embedding": _hashed_vector(text, dimensions)}
            for index, text in enumerate(texts)
        ]
        return await self._answer(request, {"object": "list", "model": body["model"], "data": data[::-1]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._record(request)
        return await self._answer(request, _completion(body["model"], self.reply))

    async def _record(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests.append(Recorded(request.path, body, request.headers.get("Authorization")))
        return body

    async def _answer(self, request: web.Request, usual: dict[str, Any]) -> web.StreamResponse:
        answer = self.script.popleft() if self.script else Answer()
        await asyncio.sleep(answer.delay)
        if answer.hang_up and request.transport is not None:
            request.transport.abort()
        body = usual if answer.body is None else answer.body
        return web.Response(
            status=answer.status,
            text=body if isinstance(body, str) else json.dumps(body),
            content_type=answer.content_type,
            headers=answer.headers,
        )


def _completion(model: str, content: str | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "scripted", "object": "chat.completion", "created": 0, "model": model, "choices": choices}


def _hashed_vector(text: str, dimensions: int) -> list[float]:
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        vector[int.from_bytes(digest[:4]) % dimensions] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(math.fsum(value * value for value in vector))
    # Twice the unit length: the embedder has to scale it.
    return [2.0 * value / length for value in vector] if length else [2.0, *[0.0] * (dimensions - 1)]

"""A server on loopback that speaks the OpenAI API as its script says: answers, faults, delays, garbage.

Without a script every request succeeds: embeddings follow the words of a text, so that texts which share words are
similar, and a chat answers `ScriptedOpenAI.reply`, or what a handler makes of the request (`answer_with`). The script
goes before the handler.
"""

import asyncio
import hashlib
import json
import math
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
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
    drip: float = 0.0
    """Seconds between any two bytes of the body."""
    hang_up: bool = False

    @classmethod
    def error(cls, status: int, message: str = "scripted", *, param: str | None = None, final: bool = True) -> Self:
        """An error in OpenAI's form; a final one tells the client not to try again."""
        headers = {"x-should-retry": "false"} if final else {"retry-after-ms": "1"}
        body = {"error": {"message": message, "type": "scripted", "param": param, "code": None}}
        return cls(status=status, body=body, headers=headers)

    @classmethod
    def chat(cls, content: str | None, *, usage: object = None) -> Self:
        """A chat completion with this content; `usage` is (tokens in, tokens out), or what else a server may say."""
        return cls(body=_completion("scripted", content, usage))

    @classmethod
    def json(cls, content: object, *, usage: object = None) -> Self:
        """A chat completion whose content is this as JSON."""
        return cls.chat(json.dumps(content, ensure_ascii=False), usage=usage)

    # Faults

    @classmethod
    def limited(cls, *, retry_after: str = "0.01") -> Self:
        """Too many requests; the header as HTTP has it, in seconds or as a date."""
        return cls(status=429, body={"error": {"message": "slow down"}}, headers={"retry-after": retry_after})

    @classmethod
    def broken(cls) -> Self:
        """An internal error that says nothing of when to try again."""
        return cls(status=500, body="oh no", content_type="text/plain")

    @classmethod
    def hang(cls, seconds: float = 60.0) -> Self:
        """An answer that doesn't begin in time."""
        return cls(delay=seconds)

    @classmethod
    def dripping(cls, content: str = "{}", *, seconds: float = 0.05) -> Self:
        """An answer that never seems to end: each byte comes in time, all of them don't."""
        return replace(cls.chat(content), drip=seconds)

    @classmethod
    def huge(cls, size: int = 5 * 1024 * 1024) -> Self:
        """An answer of so many characters."""
        return cls.chat("x" * size)

    @classmethod
    def truncated(cls, content: object, *, share: float = 0.5) -> Self:
        """JSON that was cut off at the limit of tokens."""
        text = json.dumps(content)
        return cls.chat(text[: int(len(text) * share)])


Handler = Callable[[dict[str, Any]], Answer | Awaitable[Answer]]
"""Makes the answer to a chat request of its body."""


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
        self.handler: Handler | None = None
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

    def answer_with(self, handler: Handler | None) -> None:
        """Let a function answer the chat requests that the script doesn't; None ends that."""
        self.handler = handler

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
        usual = _completion(body["model"], self.reply)
        if self.handler is None or self.script:
            return await self._answer(request, usual)
        answer = self.handler(body)
        return await self._give(request, answer if isinstance(answer, Answer) else await answer, usual)

    async def _record(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests.append(Recorded(request.path, body, request.headers.get("Authorization")))
        return body

    async def _answer(self, request: web.Request, usual: dict[str, Any]) -> web.StreamResponse:
        return await self._give(request, self.script.popleft() if self.script else Answer(), usual)

    async def _give(self, request: web.Request, answer: Answer, usual: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(answer.delay)
        if answer.hang_up and request.transport is not None:
            request.transport.abort()
        body = usual if answer.body is None else answer.body
        text = body if isinstance(body, str) else json.dumps(body)
        if answer.drip:
            return await _drip(request, answer, text.encode())
        return web.Response(status=answer.status, text=text, content_type=answer.content_type, headers=answer.headers)


async def _drip(request: web.Request, answer: Answer, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the client had enough
        for byte in body:
            await response.write(bytes([byte]))
            await asyncio.sleep(answer.drip)
    return response


def _completion(model: str, content: str | None, usage: object = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    completion = {"id": "scripted", "object": "chat.completion", "created": 0, "model": model, "choices": choices}
    if isinstance(usage, tuple):
        tokens_in, tokens_out = usage
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    return completion if usage is None else completion | {"usage": usage}


def _hashed_vector(text: str, dimensions: int) -> list[float]:
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        vector[int.from_bytes(digest[:4]) % dimensions] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(math.fsum(value * value for value in vector))
    # Twice the unit length: the embedder has to scale it.
    return [2.0 * value / length for value in vector] if length else [2.0, *[0.0] * (dimensions - 1)]

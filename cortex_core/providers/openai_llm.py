"""Chat completions from OpenAI or any server with a compatible API: Ollama, vLLM, llama.cpp and others.

`OpenAIChatServer` sends one request; `OpenAIChat` makes a chat model of it, which tries again and reads answers. What
counts the costs (`metering.py`) goes between the two, so that each attempt is counted.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar, cast

from openai import APIStatusError, AsyncOpenAI
from pydantic import BaseModel, Field, JsonValue, SecretStr, ValidationError

from cortex_core.cleaning import clean_text
from cortex_core.errors import ProviderError, ProviderUnavailableError, UnreadableAnswerError
from cortex_core.prompts import Prompt, build_repair_prompt, build_schema_prompt
from cortex_core.providers import ChatMessage, ChatRequest, ChatServer, Completion, Usage
from cortex_core.providers._answers import problems_of, read_answer, schema_of
from cortex_core.providers._openai_server import REQUEST_IS_WRONG, OpenAIServer

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

T = TypeVar("T", bound=BaseModel)

_MAX_ANSWER_BYTES = 1024 * 1024
"""More than any answer that is asked for."""

_ATTEMPTS = 3
_FIRST_PAUSE = 0.5
_REPAIRED_CHARS = 8_000
_ANSWER_SCHEMA = "answer"


class _Form(StrEnum):
    """How a server is asked for JSON, best first."""

    SCHEMA = "json_schema"
    JSON = "json_object"
    PLAIN = "text"

    @property
    def next(self) -> "_Form":
        return _Form.JSON if self is _Form.SCHEMA else _Form.PLAIN


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What a server takes."""

    limit_name: str = "max_tokens"
    form: _Form = _Form.SCHEMA


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    """What a server says that it counted; some say zero, and some say nonsense."""

    prompt_tokens: int = Field(ge=1, le=10_000_000)
    completion_tokens: int = Field(ge=1, le=10_000_000)


class _Answer(BaseModel):
    """The part of an answer that is read; compatible servers differ in the rest."""

    choices: list[_Choice] = Field(min_length=1)
    usage: JsonValue = None


class OpenAIChatServer:
    """A model on a server, one request at a time. Open it with `open`."""

    def __init__(self, server: OpenAIServer, *, model: str) -> None:
        self._server = server
        self._dialect = _Dialect()
        self.model = model

    @classmethod
    def open(cls, *, model: str, base_url: str, api_key: SecretStr, timeout_seconds: float) -> Self:
        """Make the client; nothing is sent yet.

        Args:
            model: The model's name as the server knows it.
            base_url: Where the API is, with its version; empty for OpenAI's own.
            api_key: Empty for servers that ask for none.
            timeout_seconds: The deadline of each request.

        Raises:
            ConfigError: `base_url` isn't a URL.
        """
        # The client would sleep for as long as a server asks, up to two minutes, whatever deadline there is.
        server = OpenAIServer.open(
            section="llm", base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds, max_retries=0
        )
        return cls(server, model=model)

    async def send(self, request: ChatRequest) -> Completion:
        """Return an answer that isn't empty.

        An answer in a shape is asked for with its schema; where the server doesn't take that, as any JSON, else in so
        many words. What it takes is remembered.

        Raises:
            ProviderError: It was refused, or nothing of use came back.
            ProviderUnavailableError: The server failed or was too slow.
        """
        dialect = self._dialect
        async with self._server.call() as client:
            while True:
                try:
                    answer = await self._post(client, request, dialect)
                    break
                except APIStatusError as error:
                    other = _other_dialect(error, request, dialect)
                    if other is None:
                        raise
                    dialect = other
        text = (answer.choices[0].message.content or "").strip()
        if not text:
            raise self._server.bad_answer("an answer without text")
        if request.shape and "{" not in text:
            dialect = replace(dialect, form=dialect.form.next)  # it took what it doesn't heed
        if dialect != self._dialect:
            self._dialect = dialect
        return Completion(text, _read_usage(answer.usage))

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _post(self, client: AsyncOpenAI, request: ChatRequest, dialect: _Dialect) -> _Answer:
        messages = request.messages
        options: dict[str, object] = {dialect.limit_name: request.max_tokens}
        if request.shape:
            if dialect.form is not _Form.SCHEMA:
                messages = _with_instruction(messages, build_schema_prompt(schema_of(request.shape)))
            if dialect.form is not _Form.PLAIN:
                options["response_format"] = _response_format(dialect.form, request.shape)
        async with client.chat.completions.with_streaming_response.create(
            model=self.model,
            messages=[
                cast("ChatCompletionMessageParam", {"role": message.role, "content": clean_text(message.content)})
                for message in messages
            ],
            extra_body=options,
        ) as response:
            body = bytearray()
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    raise self._server.bad_answer(f"an answer of more than {_MAX_ANSWER_BYTES:,} bytes")
        return _Answer.model_validate_json(body)


class OpenAIChat:
    """A chat model: requests to a server that are tried again, and answers that are read.

    Args:
        server: What sends the requests, with or without somebody who counts them.
        timeout_seconds: How long an answer may take: all of `complete`, and each attempt of `ask`.
    """

    def __init__(self, server: ChatServer, *, timeout_seconds: float) -> None:
        self._server = server
        self._timeout_seconds = timeout_seconds
        self.model = server.model

    @classmethod
    def open(cls, *, model: str, base_url: str, api_key: SecretStr, timeout_seconds: float) -> Self:
        """Make a model whose costs nobody counts; the arguments and errors are those of `OpenAIChatServer.open`."""
        server = OpenAIChatServer.open(model=model, base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        return cls(server, timeout_seconds=timeout_seconds)

    async def complete(self, messages: Sequence[ChatMessage], *, max_tokens: int, account: str = "") -> str:
        """Answer the last message in at most `max_tokens` tokens; never with nothing.

        Raises:
            ProviderError: The server refused the request or gave no usable answer.
            ProviderUnavailableError: The server failed or was too slow; later it may work.
            BudgetExhaustedError: It could cost more than the account's day has left.
        """
        async with self._deadline(self._timeout_seconds) as deadline:
            return (await self._send(ChatRequest(messages, max_tokens, None, account), deadline)).text

    async def ask(self, prompt: Prompt, shape: type[T], *, max_tokens: int, account: str = "") -> T:
        """Return the model's answer in this shape; one that doesn't have it is sent back once.

        Raises:
            ProviderError, ProviderUnavailableError, BudgetExhaustedError: As in `complete`.
            UnreadableAnswerError: The answer doesn't have this shape, also after the model was told so.
        """
        request = ChatRequest(
            [ChatMessage("system", prompt.system), ChatMessage("user", prompt.user)], max_tokens, shape, account
        )
        async with self._deadline(_ATTEMPTS * self._timeout_seconds) as deadline:
            text = (await self._send(request, deadline)).text
            try:
                return read_answer(text, shape)
            except ValidationError as error:
                demand = build_repair_prompt(problems_of(error), schema_of(shape))
            answered = ChatMessage("assistant", text[:_REPAIRED_CHARS])
            corrected = replace(request, messages=[*request.messages, answered, ChatMessage("user", demand)])
            text = (await self._send(corrected, deadline)).text
        try:
            return read_answer(text, shape)
        except ValidationError:
            raise UnreadableAnswerError(
                f"{self.model} answered twice with something that can't be read: a model that is better at JSON may "
                "do (`llm.model`).",
                raw_text=text,
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _send(self, request: ChatRequest, deadline: float) -> Completion:
        """Send a request, and once more after what may pass, unless the server asks for more time than there is."""
        clock = asyncio.get_running_loop().time
        longest = _FIRST_PAUSE
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._server.send(request)
            except ProviderError as error:
                wait = _wait_after(error, request)
                if wait is None:
                    raise
                pause = wait.total_seconds() + random.uniform(0, longest)  # noqa: S311  jitter, not a secret
                if clock() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            longest *= 2
        return await self._server.send(request)

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[float]:
        """Give up after so many seconds of the loop's clock, however they were spent."""
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                yield deadline
        except TimeoutError:
            raise ProviderUnavailableError(
                f"{self.model} didn't answer within {seconds:g} s (`llm.timeout_seconds`): try again later."
            ) from None


def _wait_after(error: ProviderError, request: ChatRequest) -> timedelta | None:
    """Return how long to wait before another attempt, None where it is no use."""
    if isinstance(error, ProviderUnavailableError):
        return error.retry_after
    # An answer that is none may be chance; but somebody who waits for a reply had better be told.
    return timedelta(0) if error.is_billed and request.shape else None


def _other_dialect(error: APIStatusError, request: ChatRequest, dialect: _Dialect) -> _Dialect | None:
    """Return what a server that refused a request may take instead, if it doesn't blame something else."""
    if error.status_code not in REQUEST_IS_WRONG:
        return None
    param = str(getattr(error, "param", None) or "")
    if param == "max_tokens" == dialect.limit_name:
        # OpenAI's newer models refuse the name that all other servers know, and some know nothing else.
        return replace(dialect, limit_name="max_completion_tokens")
    # Most compatible servers don't say what they refuse.
    if request.shape and dialect.form is not _Form.PLAIN and (not param or "response_format" in param):
        return replace(dialect, form=dialect.form.next)
    return None


def _with_instruction(messages: Sequence[ChatMessage], instruction: str) -> list[ChatMessage]:
    """Put an instruction where all models take one: in the one system message, at the beginning."""
    first, *rest = messages
    if first.role == "system":
        return [ChatMessage("system", f"{first.content}\n\n{instruction}"), *rest]
    return [ChatMessage("system", instruction), *messages]


def _response_format(form: _Form, shape: type[BaseModel]) -> dict[str, object]:
    if form is _Form.JSON:
        return {"type": form.value}
    return {
        "type": form.value,
        form.value: {"name": _ANSWER_SCHEMA, "strict": True, "schema": schema_of(shape)},
    }


def _read_usage(usage: JsonValue) -> Usage | None:
    try:
        counted = _Usage.model_validate(usage)
    except ValidationError:
        return None
    return Usage(counted.prompt_tokens, counted.completion_tokens)

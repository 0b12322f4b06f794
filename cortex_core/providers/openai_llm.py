"""Chat completions from OpenAI or any server with a compatible API: Ollama, vLLM, llama.cpp and others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, cast

from openai import AsyncOpenAI, BadRequestError
from pydantic import BaseModel, Field, SecretStr

from cortex_core.providers import ChatMessage
from cortex_core.providers._openai_server import OpenAIServer

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Answer(BaseModel):
    """The part of an answer that is read; compatible servers differ in the rest."""

    choices: list[_Choice] = Field(min_length=1)


class OpenAIChat:
    """A chat model on a server. Open it with `open`."""

    def __init__(self, server: OpenAIServer, *, model: str) -> None:
        self._server = server
        self._limit_name = "max_tokens"
        self.model = model

    @classmethod
    def open(cls, *, model: str, base_url: str, api_key: SecretStr, timeout_seconds: float) -> Self:
        """Make the client; nothing is sent yet.

        Args:
            model: The model's name as the server knows it.
            base_url: Where the API is, with its version; empty for OpenAI's own.
            api_key: Empty for servers that ask for none.
            timeout_seconds: The deadline of each answer, its retries included.

        Raises:
            ConfigError: `base_url` isn't a URL.
        """
        server = OpenAIServer.open(section="llm", base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        return cls(server, model=model)

    async def complete(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> str:
        """Answer the last message in at most `max_tokens` tokens; never with nothing.

        Raises:
            ProviderError: The server refused the request or gave no usable answer.
            ProviderUnavailableError: The server failed or was too slow; later it may work.
        """
        async with self._server.call() as client:
            try:
                answer = await self._ask(client, messages, max_tokens)
            except BadRequestError as error:
                if error.param != "max_tokens":
                    raise
                # OpenAI's newer models refuse the name that all other servers know, and some know nothing else.
                self._limit_name = "max_completion_tokens"
                answer = await self._ask(client, messages, max_tokens)
        text = (answer.choices[0].message.content or "").strip()
        if not text:
            raise self._server.bad_answer("an answer without text")
        return text

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _ask(self, client: AsyncOpenAI, messages: Sequence[ChatMessage], max_tokens: int) -> _Answer:
        response = await client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=[
                cast("ChatCompletionMessageParam", {"role": message.role, "content": message.content})
                for message in messages
            ],
            extra_body={self._limit_name: max_tokens},
        )
        return _Answer.model_validate_json(response.http_response.content)

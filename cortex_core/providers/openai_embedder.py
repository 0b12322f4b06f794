"""Embeddings from OpenAI or any server with a compatible API: Ollama, vLLM, llama.cpp and others."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from openai import omit
from pydantic import BaseModel, SecretStr

from cortex_core.errors import ProviderError
from cortex_core.models import Vector
from cortex_core.providers._openai_server import OpenAIServer
from cortex_core.providers._text_and_vectors import clean_texts, unit_vectors

MAX_INPUTS = 100
"""Texts in one request: OpenAI takes 2,048, but smaller servers take fewer, or hold everybody up meanwhile."""


class _Embedding(BaseModel):
    index: int
    embedding: list[float]


class _Answer(BaseModel):
    """The part of an answer that is read; compatible servers differ in the rest."""

    data: list[_Embedding]


class OpenAIEmbedder:
    """A model on a server. Open it with `open`."""

    is_remote = True

    def __init__(self, server: OpenAIServer, *, model: str, dimensions: int, requested_dimensions: int | None) -> None:
        self._server = server
        self._requested_dimensions = requested_dimensions
        self.model = model
        self.dimensions = dimensions

    @classmethod
    async def open(
        cls, *, model: str, dimensions: int | None, base_url: str, api_key: SecretStr, timeout_seconds: float
    ) -> Self:
        """Make the client, and ask the server once if the length of its vectors isn't given.

        Args:
            model: The model's name as the server knows it.
            dimensions: The length of vectors to ask for. Few models have a choice, and many servers refuse a request
                that names one: None takes what the model gives.
            base_url: Where the API is, with its version; empty for OpenAI's own.
            api_key: Empty for servers that ask for none.
            timeout_seconds: The deadline of each request, its retries included.

        Raises:
            ConfigError: `base_url` isn't a URL.
            ProviderError: The server was asked, and failed as in `embed`.
        """
        server = OpenAIServer.open(
            section="embedding", base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds
        )
        try:
            length = dimensions or len((await _request(server, model, None, ["length"]))[0])
        except BaseException:
            await server.close()
            raise
        return cls(server, model=model, dimensions=length, requested_dimensions=dimensions)

    async def embed(self, text: str) -> Vector:
        """Embed one text in a request of its own, beside those of a running batch."""
        (vector,) = await self._embed_some(clean_texts([text]))
        return vector

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts, `MAX_INPUTS` a request, one request after the other."""
        cleaned = clean_texts(texts)
        vectors: list[Vector] = []
        for start in range(0, len(cleaned), MAX_INPUTS):
            vectors += await self._embed_some(cleaned[start : start + MAX_INPUTS])
        return vectors

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _embed_some(self, texts: list[str]) -> list[Vector]:
        rows = await _request(self._server, self.model, self._requested_dimensions, texts)
        if any(len(row) != self.dimensions for row in rows):
            lengths = sorted({len(row) for row in rows})
            raise ProviderError(
                f"The embedding model {self.model} returned vectors of {lengths} dimensions instead of "
                f"{self.dimensions}: correct `embedding.dimensions` or leave it out."
            )
        return unit_vectors(np.array(rows, dtype=np.float32), model=self.model)


async def _request(server: OpenAIServer, model: str, dimensions: int | None, texts: list[str]) -> list[list[float]]:
    """Return one row for each text, in their order."""
    async with server.call() as client:
        response = await client.embeddings.with_raw_response.create(
            model=model,
            input=texts,
            dimensions=omit if dimensions is None else dimensions,
            encoding_format="float",  # the client's own default, base64, is unknown to many servers
        )
        answer = _Answer.model_validate_json(response.http_response.content)
    rows = {item.index: item.embedding for item in answer.data}
    if sorted(rows) != list(range(len(texts))):
        raise server.bad_answer(f"{len(answer.data)} vectors for {len(texts)} texts")
    return [rows[index] for index in range(len(texts))]

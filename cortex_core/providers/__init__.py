"""What the core asks of models outside it: ports for embedders and chat models.

The ports live here, each implementation in a module of its own. Only `cortex_core.bootstrap` imports an implementation;
everything else takes a port. Implementations raise nothing but the errors of `cortex_core.errors`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from cortex_core.late_interaction import Embedding
from cortex_core.models import Vector
from cortex_core.prompts import Prompt

__all__ = [
    "ChatMessage",
    "ChatModel",
    "ChatRequest",
    "ChatServer",
    "Completion",
    "Embedder",
    "PieceEmbedder",
    "Usage",
    "Vector",
]

T = TypeVar("T", bound=BaseModel)


class Embedder(Protocol):
    """Turns texts into vectors of shape (dimensions,) and unit length; their dot product is their similarity.

    A text must hold something besides whitespace. Lone surrogates in it are replaced, and a model reads only the
    beginning of what is too long for it.
    """

    @property
    def model(self) -> str:
        """The name of the embedding space, stored with every vector."""

    @property
    def dimensions(self) -> int:
        """The length of every vector."""

    @property
    def is_remote(self) -> bool:
        """Whether texts go to a server: recall then puts a deadline on it."""

    async def embed(self, text: str) -> Vector:
        """Embed one text that somebody waits for; it goes before the batches.

        Raises:
            InvalidInputError: The text is empty.
            ProviderError: The model gave no usable vector.
            ProviderUnavailableError: The model failed or was too slow; later it may work.
        """

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts in the background, one vector for each in the order given; raises as `embed` does."""

    async def close(self) -> None:
        """Release the model or the connections; the embedder can't be used any more."""


@runtime_checkable
class PieceEmbedder(Embedder, Protocol):
    """An embedder that also tells the vector of every word piece, from the same run of its model."""

    async def encode(self, text: str) -> Embedding:
        """Embed one text that somebody waits for; raises as `embed` does."""

    async def encode_batch(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts in the background, in the order given; raises as `embed` does."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message to a chat model; its content stays out of the representation, hence out of logs."""

    role: Literal["system", "user", "assistant"]
    content: str = field(repr=False)


class ChatModel(Protocol):
    """Continues a conversation, or answers in a shape that a program can read.

    Each call names the account whose budget pays for it, as `Audience.account_of` does; what is nobody's own is empty.
    """

    @property
    def model(self) -> str:
        """The model's name."""

    async def complete(self, messages: Sequence[ChatMessage], *, max_tokens: int, account: str = "") -> str:
        """Answer the last message, for somebody who waits, in at most `max_tokens` tokens; never with nothing.

        Raises:
            ProviderError: The server refused the request or gave no usable answer.
            ProviderUnavailableError: The server failed or was too slow; later it may work.
            BudgetExhaustedError: It could cost more than the account's day has left.
        """

    async def ask(self, prompt: Prompt, shape: type[T], *, max_tokens: int, account: str = "") -> T:
        """Return the model's answer in this shape, for background work; it takes its time and tries again.

        Raises:
            ProviderError, ProviderUnavailableError, BudgetExhaustedError: As in `complete`.
            UnreadableAnswerError: The answer doesn't have this shape, also after the model was told so.
        """

    async def close(self) -> None:
        """Release the connections; the model can't be used any more."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a server.

    Attributes:
        shape: What the answer should be an object of; None for free text.
        account: Whose budget pays for it.
    """

    messages: Sequence[ChatMessage]
    max_tokens: int
    shape: type[BaseModel] | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a request took."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer, and what it took if the server says so."""

    text: str = field(repr=False)
    usage: Usage | None = None


class ChatServer(Protocol):
    """Sends one request at a time: what a chat model is built on, and where its costs arise."""

    @property
    def model(self) -> str:
        """The model's name."""

    async def send(self, request: ChatRequest) -> Completion:
        """Return an answer that isn't empty; `shape` is what the server is asked for, not what is sure to come.

        Raises:
            ProviderError: It was refused, or nothing of use came back; `is_billed` tells which.
            ProviderUnavailableError: The server failed or was too slow; `retry_after` tells whether to try again.
        """

    async def close(self) -> None:
        """Release the connections."""

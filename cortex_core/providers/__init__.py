"""What the core asks of models outside it: ports for embedders and chat models.

The ports live here, each implementation in a module of its own. Only `cortex_core.bootstrap` imports an implementation;
everything else takes a port. Implementations raise nothing but the errors of `cortex_core.errors`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from cortex_core.late_interaction import Embedding
from cortex_core.models import Vector

__all__ = ["ChatMessage", "ChatModel", "Embedder", "PieceEmbedder", "Vector"]


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
    """Continues a conversation."""

    @property
    def model(self) -> str:
        """The model's name."""

    async def complete(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> str:
        """Answer the last message in at most `max_tokens` tokens; never with nothing.

        Raises:
            ProviderError: The server refused the request or gave no usable answer.
            ProviderUnavailableError: The server failed or was too slow; later it may work.
        """

    async def close(self) -> None:
        """Release the connections; the model can't be used any more."""

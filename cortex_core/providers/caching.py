"""An embedder that remembers what it embedded lately, so that a message is embedded once on its way through."""

from collections import OrderedDict
from collections.abc import Sequence

from cortex_core.late_interaction import Embedding
from cortex_core.models import Vector, hash_content
from cortex_core.providers import Embedder, PieceEmbedder

_CAPACITY = 2048  # about 8 MB of chat; 60 MB if every text were as long as the model reads


class CachingEmbedder:
    """Wraps an embedder with a cache of the least recently used kind, keyed by the text's hash.

    Whatever it wraps, it answers with whole embeddings: without pieces where the model gives none.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._embeddings: OrderedDict[bytes, Embedding] = OrderedDict()

    @property
    def model(self) -> str:
        """The name of the embedding space."""
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        """The length of every vector."""
        return self._embedder.dimensions

    @property
    def is_remote(self) -> bool:
        """Whether texts leave this machine."""
        return self._embedder.is_remote

    def peek(self, text: str) -> Embedding | None:
        """Return the text's embedding if it is known."""
        key = hash_content(text)
        if key in self._embeddings:
            self._embeddings.move_to_end(key)
        return self._embeddings.get(key)

    async def embed(self, text: str) -> Vector:
        """Embed one text as a whole; raises as the wrapped embedder does."""
        return (await self.encode(text)).vector

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts as wholes, in their order; raises as the wrapped embedder does."""
        return [embedding.vector for embedding in await self.encode_batch(texts)]

    async def encode(self, text: str) -> Embedding:
        """Embed one text; raises as the wrapped embedder does."""
        known = self.peek(text)
        if known is not None:
            return known
        if isinstance(self._embedder, PieceEmbedder):
            embedding = await self._embedder.encode(text)
        else:
            embedding = Embedding(await self._embedder.embed(text), None)
        self._keep(text, embedding)
        return embedding

    async def encode_batch(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts in their order; raises as the wrapped embedder does."""
        unknown = list(dict.fromkeys(text for text in texts if self.peek(text) is None))
        fresh = dict(zip(unknown, await self._encode_anew(unknown), strict=True)) if unknown else {}
        embeddings = [fresh[text] if text in fresh else await self.encode(text) for text in texts]
        for text, embedding in fresh.items():
            self._keep(text, embedding)
        return embeddings

    async def close(self) -> None:
        """Close the wrapped embedder."""
        self._embeddings.clear()
        await self._embedder.close()

    async def _encode_anew(self, texts: Sequence[str]) -> list[Embedding]:
        if isinstance(self._embedder, PieceEmbedder):
            return await self._embedder.encode_batch(texts)
        return [Embedding(vector, None) for vector in await self._embedder.embed_batch(texts)]

    def _keep(self, text: str, embedding: Embedding) -> None:
        self._embeddings[hash_content(text)] = embedding
        if len(self._embeddings) > _CAPACITY:
            self._embeddings.popitem(last=False)

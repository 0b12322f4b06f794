"""An embedder that remembers what it embedded lately, so that a message is embedded once on its way through."""

from collections import OrderedDict
from collections.abc import Sequence

from cortex_core.models import Vector, hash_content
from cortex_core.providers import Embedder

_CAPACITY = 2048  # about 3 MB at 384 dimensions


class CachingEmbedder:
    """Wraps an embedder with a cache of the least recently used kind, keyed by the text's hash."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()

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

    def peek(self, text: str) -> Vector | None:
        """Return the text's vector if it is known."""
        key = hash_content(text)
        if key in self._vectors:
            self._vectors.move_to_end(key)
        return self._vectors.get(key)

    async def embed(self, text: str) -> Vector:
        """Embed one text; raises as the wrapped embedder does."""
        known = self.peek(text)
        if known is not None:
            return known
        vector = await self._embedder.embed(text)
        self._keep(text, vector)
        return vector

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts in their order; raises as the wrapped embedder does."""
        unknown = list(dict.fromkeys(text for text in texts if self.peek(text) is None))
        fresh = dict(zip(unknown, await self._embedder.embed_batch(unknown), strict=True)) if unknown else {}
        vectors = [fresh[text] if text in fresh else await self.embed(text) for text in texts]
        for text, vector in fresh.items():
            self._keep(text, vector)
        return vectors

    async def close(self) -> None:
        """Close the wrapped embedder."""
        self._vectors.clear()
        await self._embedder.close()

    def _keep(self, text: str, vector: Vector) -> None:
        self._vectors[hash_content(text)] = vector
        if len(self._vectors) > _CAPACITY:
            self._vectors.popitem(last=False)

"""Any sentence-transformers model by name, behind the extra `sentence-transformers` (which brings PyTorch)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from cortex_core.errors import MissingExtraError, ProviderError
from cortex_core.models import Vector
from cortex_core.providers._model_thread import ModelThread, plan_slices
from cortex_core.providers._text_and_vectors import clean_texts, unit_vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SLICE_CHARS = 1_024
"""Padded characters in one forward pass of a batch, about 256 word pieces: see `local.SLICE_PIECES`."""


class SentenceTransformerEmbedder:
    """A model of the sentence-transformers library on this machine. Open it with `open`."""

    is_remote = False

    def __init__(self, thread: ModelThread, transformer: "SentenceTransformer", *, model: str, dimensions: int) -> None:
        self._thread = thread
        self._transformer = transformer
        self.model = model
        self.dimensions = dimensions

    @classmethod
    async def open(cls, model: str) -> Self:
        """Load a model by name or path, off the event loop; its first use downloads it.

        Raises:
            MissingExtraError: The extra isn't installed.
            ProviderError: There is no such model here or in the hub.
        """
        thread = ModelThread("cortex-embedder")
        try:
            transformer, dimensions = await thread.run(_load, model)
        except BaseException:
            await thread.close()
            raise
        return cls(thread, transformer, model=model, dimensions=dimensions)

    async def embed(self, text: str) -> Vector:
        """Embed one text; at most one slice of a running batch goes before it."""
        (vector,) = await self._thread.run(self._encode, clean_texts([text]))
        return vector

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts in slices of like length; vectors come back in the order of the texts."""
        cleaned = clean_texts(texts)
        vectors: dict[int, Vector] = {}
        async with self._thread.background():
            for indices in plan_slices([len(text) for text in cleaned], budget=SLICE_CHARS):
                slice_vectors = await self._thread.run(self._encode, [cleaned[index] for index in indices])
                vectors.update(zip(indices, slice_vectors, strict=True))
        return [vectors[index] for index in range(len(cleaned))]

    async def close(self) -> None:
        """Finish what was begun and free the thread."""
        await self._thread.close()

    def _encode(self, texts: list[str]) -> list[Vector]:
        rows = self._transformer.encode(texts, batch_size=len(texts), show_progress_bar=False)
        return unit_vectors(np.asarray(rows, dtype=np.float32), model=self.model)


def _load(model: str) -> tuple["SentenceTransformer", int]:
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise MissingExtraError(
            "Models of sentence-transformers need an extra: pip install 'clara-cortex[sentence-transformers]'"
        ) from error
    try:
        transformer = SentenceTransformer(model)
    except (OSError, ValueError) as error:
        raise ProviderError(f"The embedding model {model} can't be loaded: check `embedding.model`.") from error
    return transformer, int(np.asarray(transformer.encode(["length"], show_progress_bar=False)).shape[1])

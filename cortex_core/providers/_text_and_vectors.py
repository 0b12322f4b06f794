"""What every embedder does with texts before its model and with vectors after it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cortex_core.errors import InvalidInputError, ProviderError
from cortex_core.models import Vector


def clean_texts(texts: Sequence[str]) -> list[str]:
    """Make texts fit for a tokenizer and for JSON: lone surrogates become U+FFFD.

    Raises:
        InvalidInputError: A text is empty or whitespace. Models give such texts a vector too (or refuse the whole
            request), but one that says nothing and would be recalled at random.
    """
    if any(not text.strip() for text in texts):
        raise InvalidInputError("An empty text can't be embedded: give it at least one visible character.")
    # By way of UTF-16, so that two surrogates which make up one character become that character.
    return [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]


def unit_vectors(rows: NDArray[np.float32], *, model: str) -> list[Vector]:
    """Scale each row of shape (texts, dimensions) to unit length.

    Raises:
        ProviderError: A row is zero, infinite or not a number. Stored, it would have no distance to anything.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise ProviderError(
            f"The embedding model {model} returned a vector that is zero or not a number. Check that it is an "
            "embedding model (`embedding.model`) and that its files are whole."
        )
    # Copies, for a view that somebody keeps would keep the vectors of its whole batch.
    return [row.copy() for row in (rows / lengths).astype(np.float32, copy=False)]

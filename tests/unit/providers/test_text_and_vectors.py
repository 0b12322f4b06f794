import numpy as np
import pytest

from cortex_core.errors import ProviderError
from cortex_core.providers._text_and_vectors import clean_texts, unit_vectors


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain ünïcode 漢字 🎉", "plain ünïcode 漢字 🎉"),
        ("lone \ud83d here", "lone \ufffd here"),
        ("\udc00", "\ufffd"),
        ("\ud83c\udf89", "🎉"),
        ("\ufeffmark", "\ufeffmark"),
        ("nul\x00", "nul\x00"),
    ],
    ids=ascii,
)
def test_cleaned_text_can_be_encoded(text: str, cleaned: str) -> None:
    assert clean_texts([text]) == [cleaned]
    cleaned.encode()


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_vector_without_direction_is_refused(bad: float) -> None:
    rows = np.array([[1, 2], [bad, 0]], dtype=np.float32)
    with pytest.raises(ProviderError, match="some-model returned a vector that is zero or not a number"):
        unit_vectors(rows, model="some-model")


def test_vectors_get_unit_length() -> None:
    (vector,) = unit_vectors(np.array([[3, 4]], dtype=np.float32), model="some-model")
    np.testing.assert_allclose(vector, [0.6, 0.8])
    assert vector.dtype == np.float32

import sys

import pytest

from cortex_core.errors import MissingExtraError
from cortex_core.providers.sentence_transformers import SentenceTransformerEmbedder


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python's own way to say that a module can't be imported: holds whether or not the extra is installed.
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clara-cortex\[sentence-transformers\]'"):
        await SentenceTransformerEmbedder.open("all-mpnet-base-v2")

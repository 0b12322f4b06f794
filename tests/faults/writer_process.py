"""A process that stores as fast as it can until it is killed.

Each memory's content goes to the file `acknowledged` after `store()` has said yes. With `--queue` it is a deliberately
broken writer, which says yes as soon as a memory is in a queue of its own.
"""

import asyncio
import os
import sys
from pathlib import Path

from cortex_core import MemoryConfig, MemoryManager
from tests.harness import ScriptedEmbedder

WRITERS = 16
_QUEUED_WRITERS = 2


async def main(config: MemoryConfig, name: str, acknowledged: Path, *, has_queue: bool) -> None:
    file = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        async def write(writer: int) -> None:
            number = 0
            while True:
                owner, content = f"user-{writer % 4}", f"{name}-{writer}-{number}"
                if has_queue:
                    queue.put_nowait((owner, content))
                    await asyncio.sleep(0.002)
                elif not (await memory.store(owner, content)).success:
                    continue
                os.write(file, f"{content}\n".encode())
                number += 1

        async def write_queued() -> None:
            while True:
                await memory.store(*await queue.get())

        async with asyncio.TaskGroup() as group:
            for writer in range(WRITERS):
                group.create_task(write(writer))
            for _ in range(_QUEUED_WRITERS):
                group.create_task(write_queued())


if __name__ == "__main__":
    _, config_json, process_name, path, *options = sys.argv
    settings = MemoryConfig.model_validate_json(config_json)
    asyncio.run(main(settings, process_name, Path(path), has_queue="--queue" in options))

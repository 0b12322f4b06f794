"""Where a benchmark's servers keep their data for the time being."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def make_folder() -> Iterator[Path]:
    """Make a folder and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="cortex-benchmark-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # run by root, the servers are another account's and have to pass
        yield Path(folder)

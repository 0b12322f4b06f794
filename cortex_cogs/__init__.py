"""The cogs under a name of our own, for hosts whose `cogs/` has an `__init__.py` and therefore hides ours.

`load_extension("cortex_cogs.memory")` loads the very file that `load_extension("cogs.memory")` loads elsewhere.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parent.parent / "cogs")]

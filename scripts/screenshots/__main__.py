"""Take the pictures of the documentation anew: `python -m scripts.screenshots [--only NAME]`.

Everything in them is real: runs of the playground over the same data, used through its page in headless Chromium.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from cortex_core.stores.embedded import EmbeddedServers

from .page import ClarasPage
from .scenes import STORIES
from .steps import Scene, Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT, PAGE_HEIGHT = 1100, 1600, 540  # the page is tall, so that a scene fits; its picture is cut out of it


@contextmanager
def passable_folder() -> Iterator[Path]:
    """Make a folder for the time being that also the account of root's servers can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def playground(data: Path, place: str) -> Iterator[str]:
    """Run the playground over `data` and give its address."""
    awake = {f"CORTEX_CORRECTIONS__QUIET_{bound}_HOUR": "0" for bound in ("FROM", "UNTIL")}
    settings = {"CORTEX_EMBEDDED__DATA_DIR": str(data), "PLACE": place, **awake}
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(ROOT / "playground.py")],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("Playground: "):
            raise SystemExit("The playground did not start; what it said stands above.")
        yield line.removeprefix("Playground: ").strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def tell(story: Story, browser: "Browser", folder: Path, only: str | None) -> None:
    """Play the scenes of a story up to the last picture that is wanted, and save those pictures."""
    wanted = [index for index, scene in enumerate(story) if scene.name and only in {None, scene.name}]
    if not wanted:
        return
    with passable_folder() as data:
        for index, scene in enumerate(story[: wanted[-1] + 1]):
            if scene.is_next_week:
                with ThreadPoolExecutor() as thread:  # the browser's event loop runs in this one
                    thread.submit(asyncio.run, pass_a_week(data)).result()
            play(scene, data, browser, folder / f"{scene.name}.png" if index in wanted else None)


async def pass_a_week(data: Path) -> None:
    """Let the last digests be a week older."""
    async with await EmbeddedServers.open(data) as servers:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute("UPDATE owners SET digest_sent_at = digest_sent_at - interval '7 days'")
        await connection.close()


def play(scene: Scene, data: Path, browser: "Browser", output: Path | None) -> None:
    """Play a scene in a playground of its own, and save how it ends if there is an `output`."""
    height, scale = (PAGE_HEIGHT, 2) if scene.is_whole_page else (HEIGHT, 1)
    with (
        playground(data, scene.place) as address,
        browser.new_page(
            viewport={"width": WIDTH, "height": height},
            device_scale_factor=scale,
            bypass_csp=True,  # so that the script may ask the page whether it is ready
        ) as tab,
    ):
        page = ClarasPage(tab)
        page.open(address)
        for step in scene.steps:
            page.play(step)
        if output:
            page.picture(scene, output)
            print(output, flush=True)
        page.leave()


def main() -> int:
    """Write the pictures; the exit code is 1 when something that they need is missing."""
    names = [scene.name for story in STORIES for scene in story if scene.name]
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images", help="the folder to write to")
    parser.add_argument("--only", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--browser", help="path of Chromium or Chrome; found by itself when it is on the PATH")
    arguments = parser.parse_args()

    browser_path = arguments.browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        print(
            "Chromium is missing: install it (Debian: `apt install chromium`) or name one by --browser.",
            file=sys.stderr,
        )
        return 1
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only this script needs it
    except ModuleNotFoundError:
        print("The package playwright is missing: run `pip install playwright`.", file=sys.stderr)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=browser_path, args=BROWSER_ARGUMENTS) as browser,
    ):
        for story in STORIES:
            tell(story, browser, arguments.output, arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())

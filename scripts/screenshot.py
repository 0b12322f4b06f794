"""Take the README's picture: Clara recalls in the playground what somebody told her before a restart.

Everything in it is real: two runs of the playground over the same data, typed into its page in headless Chromium.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
TOLD = "My cat is called Miso and she hates the vacuum cleaner."
ASKED = "Clara, what is my cat called?"
ANSWER = "Miso"
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
WIDTH, HEIGHT = 1100, 540
ANSWER_TIMEOUT_MS = 30_000


@contextmanager
def passable_folder() -> Iterator[Path]:
    """Make a folder for the time being that also the account of root's servers can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def playground(data: Path, place: str) -> Iterator[str]:
    """Run the playground over `data` and give its address."""
    settings = {"CORTEX_EMBEDDED__DATA_DIR": str(data), "PLACE": place}
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


def say(page: "Page", text: str) -> None:
    """Type `text` as a person would, and wait until it stands in the channel."""
    box = page.locator("#channel-composer-input")
    box.click()
    box.press_sequentially(text, delay=10)
    box.press("Enter")
    page.locator("#channel-message-list").get_by_text(text).first.wait_for(timeout=ANSWER_TIMEOUT_MS)


def take(browser_path: str, output: Path, place: str) -> None:
    """Tell Clara something, restart the playground, ask, and save what the page shows."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only this script needs it

    with (
        passable_folder() as data,
        tempfile.TemporaryDirectory() as profile,
        sync_playwright() as playwright,
        playwright.chromium.launch_persistent_context(
            profile,
            executable_path=browser_path,
            args=BROWSER_ARGUMENTS,
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=2,
        ) as browser,
    ):
        page = browser.new_page()
        for text in (TOLD, ASKED):
            with playground(data, place) as address:
                page.goto(address)
                say(page, text)
                if text == ASKED:
                    page.locator("#channel-message-list").get_by_text(ANSWER).first.wait_for(timeout=ANSWER_TIMEOUT_MS)
                    output.parent.mkdir(parents=True, exist_ok=True)
                    page.locator("#messages-toggle").click()  # the channel alone
                    page.locator("#channel-name").click()  # no caret and no hover in the picture
                    page.screenshot(path=output)
                page.goto("about:blank")


def main() -> int:
    """Write the picture; the exit code is 1 when something that it needs is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "playground.png")
    parser.add_argument("--place", default="general", choices=("general", "staff", "dm"))
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
        take(browser_path, arguments.output, arguments.place)
    except ModuleNotFoundError as missing:
        if missing.name != "playwright":
            raise
        print("The package playwright is missing: run `pip install playwright`.", file=sys.stderr)
        return 1
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

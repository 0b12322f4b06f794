"""Clara's page in headless Chromium, used as a person would: composer, slash picker, buttons, menus and forms."""

from pathlib import Path
from typing import TYPE_CHECKING

from .steps import Fill, Menu, Pick, Press, Say, Scene, Step, Use

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PATIENCE_MS = 30_000
SETTLING_MS = 300
MARGIN = 12
MAX_BYTES = 150_000
_READY = "window.simcordPreview && window.simcordPreview.ready"


class ClarasPage:
    """Plays the steps of scenes on an open page of the playground."""

    def __init__(self, page: "Page") -> None:
        self._page = page
        self._messages = page.locator("#channel-message-list")
        self._box = page.locator("#channel-composer-input")

    def open(self, address: str) -> None:
        """Go to a playground that was just started."""
        self._page.goto(address)
        self._messages.locator("[data-message-id]").first.wait_for(timeout=PATIENCE_MS)
        self._settle()

    def leave(self) -> None:
        """Let go of a playground that is about to stop."""
        self._page.goto("about:blank")

    def play(self, step: Step) -> None:
        """Do one step, and wait until the page shows what it promises."""
        self._become(step.who)
        match step:
            case Say(text=text):
                self._type(text)
                self._box.press("Enter")
                self._messages.get_by_text(text).first.wait_for(timeout=PATIENCE_MS)
            case Use(command=command, options=options):
                self._type(f"/{command}")
                self._page.locator("#command-picker-listbox").get_by_text(f"/{command}", exact=True).first.click()
                for name, value in options.items():
                    self._fill_option(name, value)
                self._page.locator("#send-message").click()
                self._page.locator(".command-chip").wait_for(state="detached", timeout=PATIENCE_MS)
            case Menu(menu=menu, message=message):
                target = self._messages.locator("[data-message-id]").filter(has_text=message).last
                target.hover()
                target.get_by_role("button", name="Reply").click()
                self._type(menu)
                self._box.press("Enter")
            case Press(label=label):
                self._messages.get_by_role("button", name=label, exact=True).last.click()
            case Pick(entry=entry):
                self._messages.locator(".preview-select button").last.click()
                self._page.get_by_role("option").filter(has_text=entry).first.click()
                self._page.keyboard.press("Escape")
            case Fill(values=values):
                form = self._page.locator("#modal-root")
                for field, value in zip(form.locator("input, textarea").all(), values, strict=True):
                    field.fill(value)
                form.get_by_role("button", name="Submit").click()
        if step.then:
            self._page.locator("#channel-layout").get_by_text(step.then).last.wait_for(timeout=PATIENCE_MS)
        self._settle()

    def picture(self, scene: Scene, output: Path) -> None:
        """Save what the page shows: all of it, or the scene's messages alone."""
        self._page.locator("#channel-name").click()  # no caret and no hover in the picture
        if scene.is_whole_page:
            self._page.locator("#messages-toggle").click()
            self._settle()
            self._page.screenshot(path=output)
            return
        _, first, *_ = shown = self._messages.locator("[data-message-id]").all()
        column, last = _box_of(self._page.locator("#channel-layout")), _box_of(shown[-1])
        top = column["y"] if scene.shows_place else _box_of(first)["y"] - MARGIN / 2
        height = last["y"] + last["height"] + MARGIN - top
        clip = {"x": column["x"], "y": top, "width": column["width"], "height": height}
        self._page.screenshot(path=output, clip=clip)
        if output.stat().st_size > MAX_BYTES:
            raise SystemExit(f"{output} is larger than {MAX_BYTES:,} bytes; show fewer messages.")

    def _become(self, who: str) -> None:
        picker = self._page.locator("#viewer-picker")
        chosen = picker.locator("option:checked").inner_text()
        if chosen.split(" ")[0] != who:
            labels = [label for label in picker.locator("option").all_inner_texts() if label.split(" ")[0] == who]
            picker.select_option(label=labels[0])
            self._settle()

    def _type(self, text: str) -> None:
        self._box.click()
        self._box.press_sequentially(text, delay=5)

    def _fill_option(self, name: str, value: str) -> None:
        field = self._page.locator(f'.command-option-input[data-option="{name}"]')
        if not field.count():  # an optional one that has to be asked for
            self._page.locator(".command-ghost").click()
            self._page.get_by_role("option").filter(has_text=name).first.click()
        field.click()
        field.press_sequentially(value, delay=5)
        self._settle()
        suggestion = self._page.locator("#command-suggestion-listbox [role=option]").filter(has_text=value).first
        if suggestion.is_visible():
            suggestion.click()

    def _settle(self) -> None:
        self._page.wait_for_timeout(SETTLING_MS)
        self._page.wait_for_function(_READY, timeout=PATIENCE_MS)


def _box_of(element: "Locator") -> dict[str, float]:
    box: dict[str, float] | None = element.bounding_box()
    if box is None:
        raise SystemExit("A message that belongs into the picture isn't on the page.")
    return box

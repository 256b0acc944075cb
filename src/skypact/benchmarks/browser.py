"""A real Chromium without a window, for benchmarks, tests and pictures of the page.

Needs a source tree with `web/node_modules` (playwright-core) and Chromium on this machine.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WEB = Path(__file__).resolve().parents[3] / "web"
_DEFAULT_CHROMIUM = "/usr/bin/chromium"


def why_no_browser() -> str:
    """What is missing to run a browser here; empty when nothing is."""
    if not (WEB / "node_modules" / "playwright-core").exists():
        return "no web/node_modules/playwright-core (run: npm --prefix web ci)"
    if shutil.which("node") is None:
        return "this machine has no node on its PATH"
    if not Path(_chromium()).exists():
        return f"this machine has no Chromium at {_chromium()} (set SKYPACT_CHROMIUM)"
    return ""


def _chromium() -> str:
    return os.environ.get("SKYPACT_CHROMIUM", _DEFAULT_CHROMIUM)


class BrowserError(Exception):
    """The browser could not do what it was asked."""


class Browser:
    """One Chromium; closed with its `with` block."""

    def __init__(self) -> None:
        """Start the browser."""
        self._process = subprocess.Popen(
            ["node", str(WEB / "driver.mjs"), _chromium()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pages = 0

    def __enter__(self) -> Self:
        """The browser itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, by its own process."""
        self.close()

    def close(self) -> None:
        """End the browser and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def open(self, width: int = 1280, height: int = 720, scripts: tuple[str, ...] = ()) -> "BrowserPage":
        """A new page of its own context; `scripts` run in it before its own."""
        self._pages += 1
        name = f"page{self._pages}"
        self.command("open", page=name, width=width, height=height, scripts=list(scripts))
        return BrowserPage(self, name)

    def command(self, command: str, **details: Any) -> Any:
        """Send one command and wait for its answer.

        Raises:
            BrowserError: it failed, or the browser ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, **details}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BrowserError(f"the browser ended: {error}") from None
        line = self._process.stdout.readline()
        if not line:
            raise BrowserError("the browser ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(f"{command}: {answer['error']}")
        return answer["result"]


class BrowserPage:
    """One page of a browser."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._name = name

    def _do(self, command: str, **details: Any) -> Any:
        return self._browser.command(command, page=self._name, **details)

    def goto(self, url: str) -> int:
        """Load `url`; the HTTP status."""
        return int(self._do("goto", url=url))

    def reload(self) -> None:
        """Load the same address again."""
        self._do("reload")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self._do("evaluate", script=script)

    def wait(self, script: str, timeout: float = 15.0) -> None:
        """Return when the expression is true; `timeout` in s.

        Raises:
            BrowserError: it did not become true in time.
        """
        self._do("wait", script=script, timeout=timeout * 1000.0)

    def press(self, key: str) -> None:
        """Press one key, by its name in DOM events."""
        self._do("press", key=key)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self._do("type", text=text)

    def fill(self, selector: str, text: str) -> None:
        """Replace what a field holds."""
        self._do("fill", selector=selector, text=text)

    def click(self, selector: str) -> None:
        """Click on an element."""
        self._do("click", selector=selector)

    def click_at(self, x: float, y: float) -> None:
        """Click at a point of the page, in pixels."""
        self._do("click_at", x=x, y=y)

    def text(self, selector: str) -> str:
        """The text that an element shows."""
        return str(self._do("text", selector=selector))

    def screenshot(self, path: Path) -> None:
        """Write what the page shows to a PNG file."""
        self._do("screenshot", path=str(path))

    def console(self) -> list[str]:
        """Errors and warnings that the page wrote or threw."""
        return list(self._do("console"))

    def foreign_requests(self) -> list[str]:
        """Addresses beyond this machine that the page asked for (and did not get)."""
        return list(self._do("foreign"))

    def protocol(self, method: str, **parameters: Any) -> Any:
        """A call of the browser's own DevTools protocol."""
        return self._do("protocol", method=method, parameters=parameters)

    def close(self) -> None:
        """Close the page."""
        self._do("close")

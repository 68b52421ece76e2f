"""A real headless Chromium, and pages in it that report whatever they should not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = (
    "--no-sandbox",  # containers run tests as root
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
WAIT_MS = 60_000  # a machine that does much else is slow, not wrong
expect.set_options(timeout=WAIT_MS)
REFUSED = (
    "Failed to load resource: the server responded with a status of"  # of every 4xx, also an expected one
)


@pytest.fixture(scope="module")  # its event loop must not outlive the module: other tests run their own
def chromium() -> Iterator[Browser]:
    """The browser of this machine; where there is none the tests are skipped, but never in CI."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium; install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield browser
        browser.close()


@dataclass
class Opener:
    """Opens pages and keeps what went wrong in them."""

    browser: Browser
    problems: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(self, url: str, **options: object) -> Page:
        """A page of its own: with its own language, size and storage."""
        settings: dict[str, object] = {"locale": "en-US", "viewport": {"width": 1100, "height": 900}}
        context = self.browser.new_context(**settings | options)  # type: ignore[arg-type]
        context.set_default_timeout(WAIT_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", lambda request: self._check(request, urlsplit(url).netloc))
        page.goto(url)
        page.wait_for_function("() => document.getElementById('voice').options.length > 1")
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(REFUSED):
            self.problems.append(f"{kind}: {text}")

    def _check(self, request: Request, host: str) -> None:
        if urlsplit(request.url).netloc not in (host, ""):  # blob: and data: have none
            self.problems.append(f"request to {request.url}")

    def close(self) -> None:
        """Close all pages, before the server that they ask goes away."""
        while self.contexts:
            self.contexts.pop().close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Opener]:
    """Opens a page; at the end there was no error on its console, and no request to anybody else."""
    opener = Opener(chromium)
    yield opener
    opener.close()
    assert opener.problems == []

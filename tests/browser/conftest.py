"""The page in a real Chromium, fed by the real hub and server with made pictures."""

from contextlib import ExitStack

import pytest

from skypact.benchmarks.browser import Browser, why_no_browser
from skypact.benchmarks.scene import Publisher, Scene, served
from skypact.display.hub import DisplayHub
from skypact.display.views import PartnerViews

READY = "window.__app && __app.status().hasMap && __app.tracks().length > 0"


@pytest.fixture(scope="session")
def browser(page_folder):
    """One Chromium for all tests."""
    missing = why_no_browser()
    if missing:
        pytest.skip(missing)
    with Browser() as browser:
        yield browser


class Stage:
    """A served scene and the pages that look at it."""

    def __init__(self, browser):
        self.browser = browser
        self.stack = ExitStack()
        self.hub = DisplayHub()
        self.views = PartnerViews(self.hub)
        self.pages = []

    def serve(self, scene):
        """Serve `scene`; pictures come when the test publishes them."""
        self.scene = scene
        self.url = self.stack.enter_context(served(self.hub, scene.info, views=self.views))
        return self

    def play(self, period=0.5):
        """Publish the scene by itself, twice a second, so that tests wait less."""
        self.feed = self.stack.enter_context(Publisher(self.hub, self.scene, period))
        return self

    def publish(self, sequence, elapsed=None):
        self.hub.publish_picture(self.scene.picture(sequence, elapsed))
        self.hub.publish_health(self.scene.health())

    def open(self, address="", ready=READY):
        page = self.browser.open(1280, 720)
        self.pages.append(page)
        assert page.goto(f"{self.url}/{address}") == 200
        page.wait(ready, 90)
        return page

    def forgive(self, page):
        """Close a page whose errors the test has judged itself."""
        self.pages.remove(page)
        page.close()

    def close(self):
        """Close pages and server; no page may have written an error or a warning."""
        written = [line for page in self.pages for line in page.console()]
        for page in self.pages:
            page.close()
        self.stack.close()
        assert written == [], "the page wrote errors or warnings"


@pytest.fixture
def stage(browser):
    stage = Stage(browser)
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def live(browser):
    """A scene of 60 aircraft that moves by itself, for all tests of a module."""
    stage = Stage(browser).serve(Scene(60)).play()
    yield stage
    stage.close()

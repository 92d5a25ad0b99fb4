"""A real headless Chromium for pages; where there is none, the tests skip with that reason, but never in CI."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium():
    """The path of an installed Chromium."""
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    if path is None:
        absent(os.environ)
    return path


def absent(environ):
    """Skips, and fails where CI=true."""
    if environ.get("CI") == "true":
        pytest.fail("no Chromium is installed; in CI no test may skip")
    pytest.skip("no Chromium is installed (apt-get install chromium)")


class Opened:
    """One page in one window: what it loads and what its console says is kept."""

    def __init__(self, browser, path, **window):
        self.requests, self.errors = [], []
        self.page = browser.new_page(**window)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(path.as_uri())

    def ask(self, script):
        """The value of an expression in the page."""
        return self.page.evaluate(script)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Opens a file in a window of its own, which is closed in the end."""
    windows = []

    def open_page(path, **window):
        windows.append(Opened(browser, path, **window))
        return windows[-1]

    yield open_page
    for window in windows:
        window.page.close()

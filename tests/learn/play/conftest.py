"""The real server in a process of its own, and Debian's Chromium; without a browser, what needs one is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.learn.play.serving import Running, ended, started

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def absent(why: str) -> Any:
    """Skip, or fail where ARRAYNN_REQUIRE_PAGES=1 says that nothing may be missing."""
    if os.environ.get("ARRAYNN_REQUIRE_PAGES") == "1":
        pytest.fail(why)
    pytest.skip(f"{why}; ci/pages installs what is needed")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    running = started()
    yield running
    ended(running)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = os.environ.get("ARRAYNN_CHROMIUM") or shutil.which("chromium")
    if path is None:
        absent("there is no chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("there is no playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source."""
    path = os.environ.get("ARRAYNN_AXE")
    if not path or not Path(path).is_file():
        absent("ARRAYNN_AXE names no axe.min.js")
    assert path is not None
    return Path(path).read_text(encoding="utf-8")


@dataclass
class Watched:
    """A tab, and what it did that it should not: errors, and requests to other origins."""

    page: Any
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)


def watched(context: Any, origins: tuple[str, ...]) -> Watched:
    tab = Watched(context.new_page())
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.page.on("console", lambda said: tab.errors.append(said.text) if said.type in ("error", "warning") else None)
    allowed = (*origins, "data:", "blob:")
    tab.page.on("request", lambda one: None if one.url.startswith(allowed) else tab.outside.append(one.url))
    return tab


@pytest.fixture
def tab(chromium: Any, server: Running) -> Iterator[Watched]:
    """The page, ready, on a server of its module. Afterwards: no error, and nothing asked of others."""
    context = chromium.new_context(viewport={"width": 1360, "height": 1000})
    opened = watched(context, (f"http://127.0.0.1:{server.port}/",))
    opened.page.goto(server.url)
    opened.page.wait_for_selector("body[data-ready=yes]")
    yield opened
    context.close()
    assert opened.errors == []
    assert opened.outside == []

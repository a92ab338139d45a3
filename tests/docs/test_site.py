"""The built site in a browser. ARRAYNN_SITE names its folder; ci/pages builds it and says so."""

from __future__ import annotations

import pytest

from tests.learn.play.conftest import watched


@pytest.fixture
def tab(chromium, site):
    context = chromium.new_context()
    opened = watched(context, (site[1],))
    yield opened
    context.close()
    assert opened.errors == []
    assert opened.outside == []


def test_all_pages_open_without_errors_and_without_requests_to_other_sites(tab, site):
    folder, address = site
    pages = [path.relative_to(folder) for path in sorted(folder.rglob("*.html"))]
    own = [path for path in pages if path.parts[0] not in ("_modules", "play")]  # the live page has its own tests
    assert len(own) > 35
    for path in [*own, *[path for path in pages if path.parts[0] == "_modules"][::10]]:
        tab.goto(address + path.as_posix(), wait_until="load")
        assert tab.title()


@pytest.mark.parametrize(("words", "found"), [("dropout", "arraynn.dropout"), ("Adagrad", "arraynn.Adagrad")])
def test_search_finds_pages(tab, site, words, found):
    tab.goto(f"{site[1]}search.html?q={words}")
    tab.wait_for_selector("#search-results li")
    assert found in tab.text_content("#search-results")


def test_names_in_docstrings_are_links(tab, site):
    tab.goto(f"{site[1]}reference/layers.html")
    tab.click("dt#arraynn\\.ReLU + dd a.reference.internal >> nth=0")
    assert tab.url.endswith("#arraynn.relu")


def test_the_landing_page_shows_the_film(tab, site):
    tab.goto(site[1])
    assert tab.evaluate("document.querySelector('picture img').naturalWidth") == 560

"""The live page in the built site: Python in a web worker, the numbers of the library, nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
import sys

import numpy as np
import pytest

import arraynn as nn
from arraynn.learn.play.server import FOLDERS, MIME_TYPES
from tests.learn.play.conftest import absent, watched
from tests.learn.play.serving import ROOT
from tests.learn.play.test_page import change, code, no_problem, settle, train_for_a_while, violations

sys.path.append(str(ROOT / "ci" / "docs"))
import live as building

LOCKED = building.LOCKED
READY = {"timeout": 120_000}
SETTINGS = {"layers": [{"units": 16, "activation": "Tanh", "dropout": 0.1}, {"units": 8}], "batch_size": 100}


@pytest.fixture(scope="module")
def live(site):
    """(the page's folder, its address)."""
    folder, address = site
    if not (folder / "play/worker.js").is_file():
        absent("the site was built without --pyodide")
    return folder / "play", f"{address}play/"


@pytest.fixture(scope="module")
def context(chromium, live):
    opened = chromium.new_context(viewport={"width": 1360, "height": 1000})
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', (live[0] / "index.html").read_text("utf-8"))
    assert policy is not None

    def with_policy(route):
        """A worker has the policy of its own answer; a host that sends one to all its files must not break it."""
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "Content-Security-Policy": policy[1]})

    opened.route("**/worker.js", with_policy)
    yield opened
    opened.close()


def opened(context, address, part=""):
    tab = watched(context, (address,))
    tab.seen = []
    tab.page.on("request", lambda one: tab.seen.append(one.url))
    tab.goto(address + part)
    tab.wait_for_selector("body[data-ready=yes]", **READY)
    return tab


@pytest.fixture(scope="module")
def whole(context, live):
    """One page for all tests, as Python takes its time to start."""
    return opened(context, live[1])


@pytest.fixture
def tab(whole):
    """That page with a run that is new, and what was wrong before forgotten."""
    whole.errors.clear()
    whole.outside.clear()
    change(whole, "#data", "circles")
    change(whole, "#data", "spiral")
    yield whole
    assert whole.errors == []
    assert whole.outside == []


def saved(tab, button, path):
    with tab.expect_download() as file:
        tab.click(button)
    file.value.save_as(path)
    return path


def test_twenty_epochs_give_the_weights_of_the_library(context, live, tmp_path):
    tab = opened(context, live[1], "#settings=" + json.dumps(SETTINGS))
    assert no_problem(tab)
    start = tab.evaluate("play.state.frame.params[0].weight.norm")
    tab.locator("#speed").fill("2")
    for _ in range(20 * 3):  # batches of 100 of 300 points
        tab.click("#step")
        settle(tab)
    assert tab.evaluate("[play.state.frame.epoch, play.state.frame.position]") == [20, 0]
    assert tab.evaluate("play.state.frame.params[0].weight.norm") != start
    program = saved(tab, "#download", tmp_path / "network.py").read_text(encoding="utf-8")
    there = nn.Model.load(saved(tab, "#save", tmp_path / "model.safetensors"), backend="numpy")
    names: dict = {}
    exec(program, names)
    here = names["model"]
    assert "epochs=20," in program
    assert here.step == there.step == 60
    np.testing.assert_allclose(there.history["loss"], here.history["loss"], rtol=1e-5)
    for path, weight in nn.tree.items(here.params):
        np.testing.assert_allclose(dict(nn.tree.items(there.params))[path], weight, rtol=0, atol=1e-5, err_msg=path)
    assert any(url.endswith(".wasm") for url in tab.seen)  # what the worker asks for is watched as well
    assert any("/arraynn-" in url for url in tab.seen)
    assert tab.errors == []
    assert tab.outside == []


def test_the_program_runs_in_the_browser_too(tab):
    """On the page's own thread, to the page's weights: what it prints of them is what it has."""
    change(tab, "#batch_size", 100)
    for _ in range(4):  # an epoch by fit, and an update of the next
        tab.click("#step")
    settle(tab)
    program = code(tab)
    assert "epochs=1," in program
    assert "advance(" in program
    run = """async program => {
      const { loadPyodide } = await import("./pyodide/pyodide.mjs");
      const python = await loadPyodide({ indexURL: new URL("./pyodide/", location.href).href, stdout() {} });
      await python.loadPackage("arraynn", { messageCallback() {} });
      python.runPython(program);
      return python.runPython("[float((w.astype(float)**2).sum()**0.5) for w in nn.tree.leaves(model.params)]").toJs();
    }"""
    norms = tab.evaluate(run, program)
    assert tab.evaluate("play.state.frame.params.map(one => one.weight.norm)") == [float(f"{v:.6g}") for v in norms]


def test_it_trains_draws_and_explains(tab):
    assert "arraynn" in tab.text_content("#about")
    assert "on numpy" in tab.text_content("#about")
    train_for_a_while(tab)
    tab.click("#answers", position={"x": 50, "y": 60})
    settle(tab)
    assert "np.concatenate" in code(tab)
    tab.click("#explain")
    tab.wait_for_selector("#full[open]", **READY)
    assert "Adam on '0.weight'" in tab.text_content("#stages")
    tab.click("#close")
    assert no_problem(tab)


def test_features_that_need_a_server_are_not_offered(tab):
    assert tab.locator("#quit").is_hidden()
    assert tab.locator("#exact").is_hidden()
    assert "up to rounding" in tab.text_content("#close-to")
    assert "file" not in tab.evaluate("[...document.querySelectorAll('#data option')].map(o => o.value)")


def test_an_impossible_request_gives_one_line_of_error(tab):
    change(tab, "#samples", "99999")
    assert "must be an integer from 1 to 2000" in tab.text_content("#problem")
    assert tab.input_value("#samples") == "100"


def test_a_film_is_drawn_in_the_browser(tab, tmp_path):
    image = pytest.importorskip("PIL.Image")
    tab.click("#step")
    settle(tab)
    with image.open(saved(tab, "#film", tmp_path / "film.webp")) as film:
        assert film.n_frames == 2
    assert [url for url in tab.seen if "pillow" in url]  # which is loaded when it is asked for


def test_a_lesson_is_opened_from_its_page(context, live):
    tab = watched(context, (live[1][: -len("play/")],))
    tab.goto(live[1] + "../course/09_adagrad_optimizer.html")
    tab.click("a[href$='#preset=09']")
    tab.wait_for_selector("body[data-ready=yes]", **READY)
    assert "nn.Adagrad(" in code(tab)
    assert tab.input_value("#preset") == "09"
    assert tab.errors == []
    assert tab.outside == []


def test_every_lesson_opens_in_the_browser(tab):
    names = tab.evaluate("[...document.querySelectorAll('#preset option')].map(o => o.value).filter(Boolean)")
    assert len(names) == 18
    for name in names:
        tab.locator("#preset").select_option(name)
        settle(tab)
        assert no_problem(tab), name
        if tab.evaluate("document.querySelector('#full').open"):
            tab.click("#close")


def test_axe_finds_no_violation(tab, axe):
    tab.click("#step")
    settle(tab)
    tab.evaluate(axe)
    assert violations(tab) == []


def test_a_library_missing_for_films_stops_only_films(context, live):
    page = opened(context, live[1])
    page.route("**/pillow-*.whl", lambda route: route.fulfill(status=404))
    page.click("#film")
    page.wait_for_selector("#problem:not([hidden])")
    assert "fetch" in page.text_content("#problem").lower()
    page.click("#step")
    settle(page)
    assert page.evaluate("play.state.frame.epoch") == 1
    assert no_problem(page)


def test_while_python_loads_the_page_says_so_and_ignores_clicks(context, live):
    page = context.new_page()
    page.route("**/pyodide.asm.wasm", lambda route: None)  # never answered
    page.goto(live[1])
    page.wait_for_selector("#about:has-text('loading Python')")
    assert page.evaluate("[...document.querySelectorAll('main, #code, header .run')].every(e => e.inert)")


def test_where_python_cannot_be_loaded_the_page_says_why(context, live):
    page = context.new_page()
    page.route("**/arraynn-*.whl", lambda route: route.fulfill(status=200, body="no wheel"))
    page.goto(live[1])
    page.wait_for_selector("body[data-ready=yes]", **READY)
    assert "Python does not run in this browser" in page.text_content("#problem")


def test_the_page_equals_that_of_the_server_except_for_two_lines(live):
    for folder in FOLDERS:
        for file in folder.iterdir():
            if file.suffix in MIME_TYPES and file.name != "index.html":
                assert (live[0] / file.name).read_bytes() == file.read_bytes()
    given = (FOLDERS[0] / "index.html").read_text("utf-8").splitlines()
    more = [line for line in (live[0] / "index.html").read_text("utf-8").splitlines() if line not in given]
    assert len(more) == 2
    assert "'wasm-unsafe-eval'" in more[0]
    assert "unsafe-inline" not in more[0]
    assert " 'unsafe-eval'" not in more[0]


def test_the_lock_file_has_the_checksum_of_each_wheel(live):
    lock = json.loads((live[0] / "pyodide/pyodide-lock.json").read_text("utf-8"))
    wheels = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (live[0] / "pyodide").glob("*.whl")}
    assert wheels == {one["file_name"]: one["sha256"] for one in lock["packages"].values()}


def test_a_file_is_accepted_only_with_its_checksum(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "pyodide.mjs").write_bytes(b"abc")
    good = hashlib.sha256(b"abc").hexdigest()
    building.copied(tmp_path / "pyodide.mjs", good, target)
    assert (target / "pyodide.mjs").read_bytes() == b"abc"
    (tmp_path / "pyodide.mjs").write_bytes(b"abd")
    with pytest.raises(SystemExit, match=f"it must be {good}"):
        building.copied(tmp_path / "pyodide.mjs", good, target)
    with pytest.raises(SystemExit, match=r"other\.whl is not in .*; ci/docs/pyodide .* brings it"):
        building.copied(tmp_path / "other.whl", good, target)


def test_a_wheel_is_checked_against_the_lock_file(tmp_path, monkeypatch):
    files, target = tmp_path / "files", tmp_path / "target"
    files.mkdir()
    target.mkdir()
    entries = {name: {"file_name": f"{name}.whl", "sha256": hashlib.sha256(b"it").hexdigest()} for name in LOCKED}
    (files / "pyodide-lock.json").write_text(json.dumps({"packages": entries}), encoding="utf-8")
    monkeypatch.setattr(building, "CORE", {"pyodide-lock.json": building.sha256(files / "pyodide-lock.json")})
    for name in LOCKED:
        (files / f"{name}.whl").write_bytes(b"it")
    (files / "numpy.whl").write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"numpy\.whl has the SHA-256"):
        building.packages(files, target)
    assert not (target / "numpy.whl").exists()

"""The page in a browser: each control does what it says, by mouse and by keys; nothing leaves the machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

import arraynn as nn
from arraynn.learn.play.settings import ACTIVATIONS, OPTIMIZERS
from tests.learn.play.conftest import watched
from tests.learn.play.serving import ROOT, ended, started

WAIT = {"timeout": 60_000}


def settle(tab) -> None:
    """Wait until all that was asked is answered and shown."""
    calls = None
    while calls != (calls := tab.evaluate("[play.stats.calls, play.stats.pending]")) or calls[1]:
        tab.wait_for_timeout(60)


def until(tab, condition: str) -> None:
    """Wait for a condition. (Playwright's own waiting evaluates text in the page, which its policy forbids.)"""
    end = time.monotonic() + 60
    while not tab.evaluate(condition):
        assert time.monotonic() < end, condition
        tab.wait_for_timeout(30)


def train_for_a_while(tab) -> None:
    """Train by the button: what the page draws of the network's answers changes."""
    before = tab.evaluate("document.querySelector('#answers').toDataURL()")
    tab.click("#train")
    until(tab, "play.state.frame.epoch > 20")
    tab.click("#train")
    settle(tab)
    assert tab.evaluate("document.querySelector('#answers').toDataURL()") != before


def change(tab, selector: str, value) -> None:
    place = tab.locator(selector)
    kind = place.evaluate("e => e.type")
    if kind == "checkbox":
        place.set_checked(value)
    elif kind == "select-one":
        place.select_option(str(value))
    else:
        place.fill(str(value))
        place.press("Enter")
    settle(tab)


def code(tab) -> str:
    return tab.text_content("#source")


def weights(tab) -> str:
    """All that the page shows of the weights."""
    return tab.evaluate("JSON.stringify(play.state.frame.params)")


def no_problem(tab) -> bool:
    return tab.locator("#problem").is_hidden()


CONTROLS = [
    ("#data", "circles", "nn.datasets.circles("), ("#data", "sine", "nn.datasets.sine("),
    ("#samples", 50, "samples=50"), ("#classes", 4, "classes=4"), ("#noise", 0.3, "noise=0.3"), ("#seed", 7, "seed=7)"),
    ("#book", True, "RandomState(0)"),
    ("#weights_seed", 9, 'backend="numpy", seed=9'), ("#l1", 0.001, "nn.L1L2(l1=0.001)"),
    ("#l2", 0.002, "nn.L1L2(l2=0.002)"),
    ("#units-0", 5, "nn.Dense(5"), ("#activation-0", "Tanh", "nn.Tanh()"), ("#dropout-0", 0.25, "nn.Dropout(0.25)"),
    ("#batch_norm-0", True, "nn.BatchNorm()"), ("#loss_options-label_smoothing", 0.1, "label_smoothing=0.1"),
    ("#optimizer", "SGD", "nn.SGD(0.02)"), ("#optimizer_options-beta1", 0.8, "beta1=0.8"),
    ("#learning_rate", 0.5, "nn.Adam(0.5)"), ("#schedule", "CosineDecay", "nn.CosineDecay(0.02)"),
]  # fmt: skip


@pytest.mark.parametrize(("selector", "value", "said"), CONTROLS, ids=str)
def test_every_control_changes_its_setting(tab, selector, value, said):
    assert said not in code(tab)
    change(tab, selector, value)
    assert said in code(tab)
    assert no_problem(tab)


def test_the_other_controls_change_their_settings(tab):
    change(tab, "#data", "moons")
    change(tab, "#loss", "Focal")
    assert "nn.Focal()" in code(tab)
    change(tab, "#loss_options-gamma", 1)
    assert "gamma=1" in code(tab)
    change(tab, "#schedule", "StepDecay")
    change(tab, "#schedule_options-every", 10)
    assert "every=10" in code(tab)
    change(tab, "#optimizer", "SGD")
    change(tab, "#optimizer_options-momentum", 0.9)
    change(tab, "#optimizer_options-nesterov", True)
    assert "nesterov=True" in code(tab)
    change(tab, "#batch_size", 32)
    tab.click("#step")
    settle(tab)
    assert "batch_size=32" in code(tab)
    tab.click("#more")
    settle(tab)
    assert tab.locator("#layers li").count() == 2
    assert code(tab).count("nn.Dense(") == 3
    tab.locator("#which").select_option("1")
    settle(tab)
    assert tab.evaluate("play.state.frame.neurons.units") == 64
    tab.click("#less-0")
    settle(tab)
    assert "nn.Dense(16" in code(tab)
    tab.click("#less-0")
    settle(tab)
    assert code(tab).count("nn.Dense(") == 1
    assert no_problem(tab)


def test_every_activation_with_every_optimizer_is_offered(tab):
    offered = tab.evaluate("[...document.querySelectorAll('#activation-0 option')].map(o => o.value)")
    assert offered == list(ACTIVATIONS)
    assert tab.evaluate("[...document.querySelectorAll('#optimizer option')].map(o => o.value)") == list(OPTIMIZERS)
    for i, optimizer in enumerate(OPTIMIZERS):
        change(tab, "#activation-0", ACTIVATIONS[(i + 1) % len(ACTIVATIONS)])
        change(tab, "#optimizer", optimizer)
        tab.click("#step")
        settle(tab)
        assert f"nn.{optimizer}(" in code(tab)
        assert f"nn.{ACTIVATIONS[(i + 1) % len(ACTIVATIONS)]}()" in code(tab)
        assert no_problem(tab)


def test_train_pause_step_and_restart(tab):
    start = weights(tab)
    tab.click("#train")
    until(tab, "play.state.frame.epoch > 20")
    tab.click("#train")
    settle(tab)
    epoch = tab.evaluate("play.state.frame.epoch")
    time.sleep(0.5)
    assert tab.evaluate("play.state.frame.epoch") == epoch
    assert f"epoch {epoch}" in tab.text_content("#place")
    assert f"epochs={epoch}," in code(tab)
    assert weights(tab) != start
    tab.click("#step")
    settle(tab)
    assert tab.evaluate("play.state.frame.epoch") == epoch + 1
    tab.click("#restart")
    settle(tab)
    assert tab.evaluate("play.state.frame.epoch") == 0
    assert weights(tab) == start
    tab.click("#reseed")
    settle(tab)
    assert weights(tab) != start


def test_a_new_rate_keeps_the_weights(tab):
    tab.click("#step")
    settle(tab)
    before = weights(tab)
    change(tab, "#learning_rate", 0.3)
    assert weights(tab) == before
    assert tab.evaluate("play.state.frame.epoch") == 1
    tab.click("#step")
    settle(tab)
    assert "model.optimizer = nn.Adam(0.3)" in code(tab)


def test_the_program_gives_the_weights_that_the_page_saves(tab, tmp_path):
    change(tab, "#dropout-0", 0.1)
    change(tab, "#batch_size", 32)
    tab.click("#train")
    until(tab, "play.state.frame.epoch > 3")
    tab.click("#train")
    settle(tab)
    change(tab, "#learning_rate", 0.005)
    tab.click("#answers", position={"x": 50, "y": 60})
    settle(tab)
    tab.click("#step")
    settle(tab)
    with tab.expect_download() as saved:
        tab.click("#save")
    saved.value.save_as(tmp_path / "model.safetensors")
    with tab.expect_download() as program:
        tab.click("#download")
    assert program.value.suggested_filename == "network.py"
    program.value.save_as(tmp_path / "network.py")
    run = (
        "import numpy as np\nexec(open('network.py', encoding='utf-8').read())\n"
        "np.savez('weights.npz', **dict(nn.tree.items(model.params)))\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", run]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120, capture_output=True)
    loaded = nn.Model.load(tmp_path / "model.safetensors", backend="numpy")
    for path, weight in np.load(tmp_path / "weights.npz").items():
        assert weight.tobytes() == dict(nn.tree.items(loaded.params))[path].tobytes()


def test_a_film_can_be_recorded(tab, tmp_path):
    image = pytest.importorskip("PIL.Image")
    tab.click("#step")
    settle(tab)
    with tab.expect_download() as film:
        tab.click("#film")
    film.value.save_as(tmp_path / "film.webp")
    with image.open(tmp_path / "film.webp") as found:
        assert found.n_frames == 2


def test_points_are_added_by_click_and_by_keys(tab):
    count = tab.evaluate("play.state.points.length")
    box = tab.locator("#answers").bounding_box()
    tab.locator("#brush").select_option("2")
    tab.click("#answers", position={"x": box["width"] / 4, "y": box["height"] / 4})
    settle(tab)
    points, extent = tab.evaluate("play.state.points"), tab.evaluate("play.state.frame.extent")
    assert len(points) == count + 1
    left, right, bottom, top = extent
    assert points[-1][0] == pytest.approx(left + (right - left) / 4, abs=0.02)
    assert points[-1][1] == pytest.approx(top - (top - bottom) / 4, abs=0.02)
    assert points[-1][2] == 2
    tab.fill("#point0", "0.5")
    tab.fill("#point1", "-0.25")
    tab.press("#point1", "Enter")
    settle(tab)
    assert tab.evaluate("play.state.points.at(-1)") == [0.5, -0.25, 2]
    assert "np.concatenate" in code(tab)


def test_a_regression_shows_its_curve_and_takes_points(tab):
    change(tab, "#data", "sine")
    train_for_a_while(tab)
    count = tab.evaluate("play.state.points.length")
    tab.click("#answers", position={"x": 100, "y": 100})
    settle(tab)
    assert tab.evaluate("play.state.points.length") == count + 1
    change(tab, "#data", "plane")
    tab.click("#answers", position={"x": 100, "y": 100})
    settle(tab)
    assert no_problem(tab)


def test_divergence_names_step_and_layer(tab):
    change(tab, "#activation-0", "Identity")
    change(tab, "#optimizer", "SGD")
    change(tab, "#learning_rate", "1e9")
    tab.click("#train")
    tab.wait_for_selector("#problem:not([hidden])", **WAIT)
    said = tab.text_content("#problem")
    assert "diverged at epoch" in said
    assert "layers." in said or "loss" in said
    assert tab.get_attribute("#train", "aria-pressed") == "false"


def test_a_value_out_of_range_is_reported_and_reset(tab):
    tab.fill("#samples", "99999")
    tab.press("#samples", "Enter")
    settle(tab)
    assert "must be an integer from 1 to 2000" in tab.text_content("#problem")
    assert tab.input_value("#samples") == "100"
    tab.errors[:] = [error for error in tab.errors if "400" not in error]  # the browser's own line on the answer


def test_a_lesson_shows_what_it_states(tab):
    change(tab, "#preset", "10")
    assert "RandomState(0)" in code(tab)
    tab.locator("#speed").fill("5")
    tab.click("#train")
    until(tab, "play.state.frame.epoch > 101")
    tab.click("#train")
    settle(tab)
    said = tab.text_content("#stated")
    assert "Epoch 0: the lesson states accuracy 0.360, loss 1.099; here 0.360, 1.099." in said
    assert "Epoch 100: the lesson states accuracy 0.683, loss 0.769; here 0.683, 0.769." in said


def test_a_lesson_that_trains_nothing_opens_its_step(tab):
    tab.locator("#preset").select_option("04")
    tab.wait_for_selector("#full[open]", **WAIT)
    assert "dense backward" in tab.text_content("#full-title")
    assert "weight gradient[1, 0] = 2 · 1 + 5 · 2 + 2.7 · 3 = 20.1" in tab.text_content("#stages")


def test_the_explained_step_opens_at_the_click_and_is_navigated_by_keys(tab):
    tab.locator("#params button").nth(4).click()
    tab.wait_for_selector("#full[open]", **WAIT)
    assert "on '2.weight'" in tab.text_content("#stages .stage:not([hidden]) h2")
    tab.press("#stages .walk button >> nth=0", "Enter")
    assert tab.locator("#stages .stage:not([hidden])").count() == 1
    place = tab.text_content("#stages .place")
    tab.press("#stages .walk button >> nth=1", "Enter")
    assert tab.text_content("#stages .place") != place
    tab.click("#stages .walk button >> nth=2")
    assert tab.locator("#stages .stage:not([hidden])").count() == tab.locator("#stages .stage").count() > 10
    tab.keyboard.press("Escape")
    assert not tab.locator("#full").is_visible()


def test_the_link_holds_all_settings_and_never_the_token(tab, server):
    change(tab, "#data", "moons")
    change(tab, "#units-0", 7)
    change(tab, "#learning_rate", 0.123)
    tab.click("#answers", position={"x": 40, "y": 50})
    settle(tab)
    shown, address = code(tab), tab.evaluate("location.href")
    assert server.token not in address
    assert server.token not in tab.content()
    tab.reload()
    tab.wait_for_selector("body[data-ready=yes]")
    settle(tab)
    assert "nn.datasets.moons(" in code(tab)
    assert "nn.Dense(7" in code(tab)
    assert "nn.Adam(0.123)" in code(tab)
    assert code(tab).count("np.concatenate") == shown.count("np.concatenate")
    assert tab.evaluate("play.state.settings.added.length") == 1


def test_two_tabs_are_two_sessions(tab, server):
    other = watched(tab.page.context, (f"http://127.0.0.1:{server.port}/",))
    other.page.goto(server.url)
    other.page.wait_for_selector("body[data-ready=yes]")
    tab.click("#step")
    settle(tab)
    assert other.evaluate("play.state.frame.epoch") == 0
    change(other, "#data", "xor")
    tab.click("#step")
    settle(tab)
    assert "spiral" in code(tab)
    assert tab.evaluate("play.state.frame.epoch") == 2


def test_keys_alone_reach_every_control(tab):
    tab.click("#more")
    settle(tab)
    wanted = set(
        tab.evaluate("""[...document.querySelectorAll('button, input, select, summary, pre, a')]
      .filter(e => !e.disabled && e.checkVisibility()).map((e, i) => (e.dataset.place = i, String(i)))""")
    )
    tab.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(len(wanted) + 15):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.dataset.place || ''"))
    assert wanted - reached == set()


def test_keys_alone_train_step_and_change_settings(tab):
    tab.focus("#train")
    tab.keyboard.press("Space")
    until(tab, "play.state.frame.epoch > 2")
    tab.keyboard.press("Space")
    settle(tab)
    epoch = tab.evaluate("play.state.frame.epoch")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    settle(tab)
    assert tab.evaluate("play.state.frame.epoch") == epoch + 1
    tab.focus("#optimizer")
    tab.keyboard.press("ArrowUp")
    settle(tab)
    assert "nn.Adadelta(" in code(tab)
    assert tab.evaluate("document.activeElement.id") == "optimizer"
    tab.focus("#units-0")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")
    settle(tab)
    assert "nn.Dense(65" in code(tab)
    assert tab.evaluate("document.activeElement.id") == "units-0"


def test_pictures_have_equivalents_in_text(tab):
    tab.click("#step")
    settle(tab)
    for canvas in tab.locator("canvas[role=img]").all():
        assert len(canvas.get_attribute("aria-label")) > 20
    tab.locator("#regions-text summary").click()
    tab.locator("#curves-text summary").click()
    assert tab.locator("#regions-text tbody tr").count() == 7
    assert "class" in tab.text_content("#regions-text tbody")
    assert tab.locator("#curves-text tbody tr").count() == 1


def test_a_click_on_the_neurons_opens_the_step_at_their_layer(tab):
    tab.click("#neurons", position={"x": 20, "y": 20})
    tab.wait_for_selector("#full[open]", **WAIT)
    assert "'layers.1'" in tab.text_content("#stages .stage:not([hidden]) h2")


def test_at_most_one_announcement_a_second(tab):
    tab.evaluate("""() => { window.told = []; new MutationObserver(() => told.push(performance.now()))
      .observe(document.querySelector('#status'), { childList: true, characterData: true, subtree: true }); }""")
    tab.click("#train")
    tab.wait_for_timeout(4500)
    tab.click("#train")
    settle(tab)
    told = tab.evaluate("told")
    assert len(told) >= 2
    assert min(b - a for a, b in pairwise(told)) >= 950
    live = tab.evaluate("[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map(e => e.id)")
    assert sorted(live) == ["problem", "status"]


def test_a_hidden_tab_makes_no_calls(tab):
    tab.click("#train")
    until(tab, "play.state.frame.epoch > 2")
    tab.evaluate("""() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });
      document.dispatchEvent(new Event('visibilitychange')); }""")
    tab.wait_for_timeout(700)
    calls = tab.evaluate("play.stats.calls")
    tab.wait_for_timeout(1000)
    assert tab.evaluate("play.stats.calls") == calls
    tab.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    until(tab, f"play.stats.calls > {calls} + 3")
    tab.click("#train")
    settle(tab)


def test_with_reduced_motion_pictures_change_a_few_times_a_second(tab):
    tab.page.emulate_media(reduced_motion="reduce")
    tab.click("#train")
    tab.wait_for_timeout(2500)
    gaps = tab.evaluate("play.stats.gaps")
    tab.click("#train")
    settle(tab)
    assert min(gaps[1:]) >= 290


def test_the_content_security_policy_is_in_force(tab):
    seen = tab.evaluate("""async () => {
      const broken = [];
      document.addEventListener('securitypolicyviolation', e => broken.push(e.effectiveDirective));
      for (const [tag, text] of [['script', 'window.ran = true'], ['style', 'body { opacity: .5 }']])
        document.head.append(Object.assign(document.createElement(tag), { textContent: text }));
      const image = new Image(); image.src = 'http://192.0.2.1/x.png';
      await fetch('http://192.0.2.1/').catch(() => {});
      await new Promise(r => setTimeout(r, 300));
      return [broken, Boolean(window.ran), getComputedStyle(document.body).opacity];
    }""")
    assert {name.replace("-elem", "") for name in seen[0]} == {"script-src", "style-src", "img-src", "connect-src"}
    assert seen[1:] == [False, "1"]
    tab.errors.clear()  # the refusals themselves
    tab.outside.clear()


@pytest.mark.parametrize("width", [1360, 800, 320])
def test_nothing_scrolls_sideways(tab, width):
    tab.page.set_viewport_size({"width": width, "height": 800})
    tab.click("#more")
    settle(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.click("#explain")
    tab.wait_for_selector("#full[open]", **WAIT)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.querySelector('#full').scrollWidth <= document.querySelector('#full').clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 320])
def test_axe_finds_no_violation(tab, axe, scheme, width):
    tab.page.emulate_media(color_scheme=scheme)
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.click("#step")
    settle(tab)
    tab.locator("#regions-text summary").click()
    tab.evaluate(axe)
    assert violations(tab) == []
    tab.click("#explain")
    tab.wait_for_selector("#full[open]", **WAIT)
    tab.click("#stages .walk button >> nth=2")
    assert violations(tab) == []


def violations(tab) -> list:
    """What axe-core finds against WCAG 2.2, A and AA."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    return tab.evaluate(
        """tags => axe.run(document, { runOnly: tags }).then(result =>
        result.violations.map(v => [v.id, v.nodes.map(n => n.html + n.failureSummary).slice(0, 3)]))""",
        tags,
    )


def test_the_page_draws_while_it_trains_and_shows_the_speed(tab):
    """A quarter of the steps of a bare fit and 50 ms between pictures are aimed at. Both depend on the machine and on
    what else it does, so they are printed; that it trains and draws at the same time is what must hold."""
    x, y = nn.datasets.spiral(100, 3)
    network = nn.Sequential(nn.Dense(64, weight_initializer=nn.initializers.he_normal), nn.ReLU(), nn.Dense(3))
    for _ in range(3):
        model = nn.Model(network, nn.softmax_cross_entropy, nn.Adam(0.02), backend="numpy")
        began = time.perf_counter()
        model.fit(x, y, epochs=2000, batch_size=None, verbose=0)
        bare = 2000 / (time.perf_counter() - began)
        tab.click("#train")
        for _ in range(60):  # the policy in force lets no string be waited for
            tab.wait_for_timeout(1000)
            if tab.evaluate("play.stats.gaps.length > 20 && play.stats.steps > 200"):
                break
        assert tab.evaluate("play.stats.gaps.length > 20 && play.stats.steps > 200")
        rate = tab.evaluate("1000 * play.stats.steps / (performance.now() - play.stats.began)")
        gap = float(np.median(tab.evaluate("play.stats.gaps")))
        tab.click("#train")
        settle(tab)
        print(f"fit {bare:.0f} steps/s, the page {rate:.0f} ({rate / bare:.0%}), {gap:.1f} ms between pictures")


def test_the_button_ends_the_server(chromium):
    running = started()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(running.url)
    page.wait_for_selector("body[data-ready=yes]")
    page.click("#quit")
    page.wait_for_selector("#problem:not([hidden])")
    assert "has ended" in page.text_content("#problem")
    assert running.process.wait(timeout=30) == 0
    context.close()
    ended(running)


def test_the_page_without_its_token_says_what_to_do(chromium, server):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_selector("body[data-ready=yes]")
    assert "open the address that arraynn play printed" in page.text_content("#problem")
    context.close()


def test_a_preset_is_opened_by_the_command_line(chromium):
    running = started("--preset", "09")
    context = chromium.new_context()
    page = context.new_page()
    page.goto(running.url)
    page.wait_for_selector("body[data-ready=yes]")
    assert "nn.Adagrad(" in page.text_content("#source")
    context.close()
    ended(running)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_explain_page_opens_on_its_own(chromium, axe, tmp_path, scheme):
    command = [sys.executable, "-m", "arraynn", "explain"]
    subprocess.run([*command, "--html", str(tmp_path / "out.html")], cwd=ROOT, check=True, capture_output=True)
    stages = json.loads(subprocess.run([*command, "--json"], cwd=ROOT, check=True, capture_output=True).stdout)
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 320, "height": 800})
    tab = watched(context, ((tmp_path / "out.html").as_uri(),))
    tab.goto((tmp_path / "out.html").as_uri())
    tab.wait_for_selector(".walk")
    assert tab.locator(".stage:not([hidden])").count() == 1
    for n in range(1, len(stages)):
        tab.press(".walk button >> nth=1", "Enter")
        assert f"step {n + 1} of {len(stages)}: {stages[n]['stage']}" in tab.text_content(".place")
    shown = {float(value) for value in tab.evaluate("[...document.querySelectorAll('data')].map(d => d.value)")}
    assert float(stages[-1]["learning rate"]) in shown
    assert stages[1]["y"]["values"][0][0] in shown
    tab.click(".walk button >> nth=2")
    assert tab.locator(".stage:not([hidden])").count() == len(stages)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320
    tab.evaluate(axe)
    assert violations(tab) == []
    assert tab.errors == []
    assert tab.outside == []
    context.close()

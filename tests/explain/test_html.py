"""The page of a step: each number equal to the plain data, each worked line true, no address that leads outside."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import main
from arraynn.explain._worked import entries, worked_example

OPTIMIZERS = [
    nn.SGD(0.1), nn.SGD(0.1, momentum=0.9), nn.SGD(0.1, momentum=0.9, nesterov=True), nn.Adagrad(0.1), nn.RMSProp(0.1),
    nn.Adam(nn.InverseTimeDecay(0.1, decay=0.1)), nn.Lion(), nn.Lion(0.01, weight_decay=0.1), nn.Adadelta(0.1),
    nn.AdamW(0.1, weight_decay=0.1), nn.AMSGrad(0.1), nn.NAdam(0.1), nn.RAdam(0.1),
]  # fmt: skip
CASES = {
    "classes": (nn.Sequential(nn.Dense(3), nn.ReLU(), nn.Dense(3)), nn.softmax_cross_entropy),
    "smooth": (nn.Sequential(nn.Dense(3), nn.Tanh(), nn.Dense(3)), nn.SoftmaxCrossEntropy(label_smoothing=0.1)),
    "probabilities": (nn.Sequential(nn.Dense(3), nn.Softmax()), nn.cross_entropy),
    "values": (nn.Sequential(nn.Dense(4), nn.Sigmoid(), nn.Dropout(0.5), nn.Dense(1)), nn.mean_squared_error),
    "wide": (nn.Sequential(nn.Dense(64), nn.BatchNorm(), nn.ReLU(), nn.Dense(3)), nn.softmax_cross_entropy),
    "nested": (nn.Sequential(nn.Residual(nn.Dense(2), nn.Tanh()), nn.Dense(3)), nn.softmax_cross_entropy),
}


class Numbers(HTMLParser):
    """What a page holds: the values of <data>, links, texts by class, and tags."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.addresses: list[str] = []
        self.kind = ""

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "data":
            self.values.append(given["value"])
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action")]
        self.kind = given.get("class", "") if tag == "p" else self.kind
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "p":
            self.texts.setdefault(self.kind, []).append(text)


def read(html: str) -> Numbers:
    page = Numbers()
    page.feed(html)
    assert page.open == []
    return page


def explained(case: str, optimizer=None, **options):
    network, loss = CASES[case]
    x, y = nn.datasets.spiral(2, 3)
    y = x[:, :1] * 2 if case == "values" else y
    model = nn.Model(network, loss, optimizer, backend="numpy", **options)
    model.fit(x, y, epochs=2, verbose=0)
    return model.explain(x + 0.1, y)


def numbers(stages) -> list[float]:
    """All numbers of plain data, but for what the page only links to."""
    found: list[float] = []

    def walk(value):
        if isinstance(value, dict):
            for key, part in value.items():
                if key != "shape":
                    walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append(value)

    walk(stages)
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_page_has_the_numbers_of_the_json_and_no_others(case):
    found = explained(case)
    stages = json.loads(json.dumps(found.stages))
    page = read(found.html())
    shown = [json.loads(value.replace("nan", "NaN").replace("inf", "Infinity")) for value in page.values]
    assert set(map(repr, shown)) == set(map(repr, numbers(stages)))
    # and array by array, in their order, where they are not repeated from the stage before
    for n, part in enumerate(found.html(whole=False).split('<li class="stage"')[1:]):
        for name, value in stages[n].items():
            table = re.search(rf'aria-label="{re.escape(name)}">(.*?)</div>', part)
            if table and isinstance(value, dict):
                own = [float(text) for text in re.findall(r'<data value="([^"]+)"', table[1])]
                assert own == numbers(value["values"])


@pytest.mark.parametrize(
    ("case", "optimizer"), [*((case, None) for case in CASES), *(("classes", rule) for rule in OPTIMIZERS)], ids=repr
)
def test_every_worked_line_is_true_by_its_own_formula(case, optimizer):
    lines = true_lines(explained(case, optimizer))
    if case == "classes":
        assert len(lines) >= 14


ACTIVATIONS = [kind() for kind in nn.layers.named_activations().values() if kind is not nn.Identity]


@pytest.mark.parametrize("layer", [*ACTIVATIONS, nn.Dropout(0.5), nn.Dropout(0.1), nn.Softmax()], ids=repr)
@pytest.mark.parametrize("seed", [0, 1])
def test_worked_lines_of_a_layer_are_true_both_ways(layer, seed):
    network = nn.Sequential(nn.Dense(4), layer, nn.Dense(2))
    model = nn.Model(network, nn.mean_squared_error, nn.SGD(0.1), backend="numpy", seed=seed).build((3,))
    rng = np.random.default_rng(seed)
    found = model.explain(2 * rng.standard_normal((2, 3)), rng.standard_normal((2, 2)))
    true_lines(found)
    own = [stage for stage in found.stages if stage["what"] == f"{type(layer).__name__} 'layers.1'"]
    assert [stage["stage"] for stage in own] == ["forward", "backward"]
    assert all(worked_example(stage, own[0]) for stage in own)


@pytest.mark.parametrize("x", [-2.0, -0.5, 0.5, 4.0])
@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_worked_lines_of_an_activation_are_true_on_each_side(layer, x):
    model = nn.Model(nn.Sequential(layer), nn.mean_squared_error, nn.SGD(0.1), backend="numpy").build((1,))
    assert len([line for line in true_lines(model.explain([[x]], [[0.25]])) if "gradient" in line or "y[" in line]) == 3


@pytest.mark.parametrize("name", ["mean_absolute_error", "binary_cross_entropy", "sigmoid_cross_entropy"])
def test_worked_lines_of_a_loss_are_true(name):
    loss = getattr(nn, name)
    last = [nn.Sigmoid()] if loss is nn.binary_cross_entropy else []
    model = nn.Model(nn.Sequential(nn.Dense(1), *last), loss, nn.SGD(0.1), backend="numpy", seed=0).build((3,))
    x, y = np.random.default_rng(0).standard_normal((4, 3)), np.asarray([0, 1, 1, 0])
    for targets in (y, 1 - y):
        lines = true_lines(model.explain(x, targets))
        assert any(line.startswith("data_loss = ") for line in lines)
        assert any(line.startswith("outputs gradient[") for line in lines)
    assert not any("data_loss = -" in line for line in true_lines(model.explain(x, y, sample_weight=[1, 2, 3, 4])))


@pytest.mark.parametrize("rule", [nn.L1(0.1), nn.L2(5e-4), nn.L1L2(0.1, 0.2)], ids=repr)
def test_worked_lines_of_a_penalty_are_true(rule):
    layer = nn.Dense(2, weight_regularizer=rule, bias_regularizer=rule)
    model = nn.Model(nn.Sequential(layer), nn.mean_squared_error, nn.SGD(0.1), backend="numpy", seed=0).build((3,))
    x = np.random.default_rng(0).standard_normal((4, 3))
    model.fit(x, x[:, :2], epochs=3, verbose=0)  # a bias that is not 0
    found = model.explain(x, x[:, :2])
    true_lines(found)
    (stage,) = (one for one in found.stages if one["stage"] == "penalty" and one["what"] != "loss")
    lines = worked_example(stage, found.stages[1])
    assert [line.split("[")[0].split(" =")[0] for line in lines] == ["penalty", "weight gradient", "bias gradient"]


def test_the_rate_of_a_schedule_is_worked_out():
    found = explained("classes", nn.Adagrad(nn.InverseTimeDecay(0.1, decay=0.5)))
    step = found.stages[-1]["step"]
    assert step > 0
    assert f"learning rate = 0.1 / (1 + 0.5 · {step}) = {0.1 / (1 + 0.5 * step):.6g}" in true_lines(found)


def true_lines(found):
    """The worked lines of a page, each computed by what it says, and looked up in the data."""
    html = found.html(whole=False)
    names = {"max": max, "min": min, "tanh": math.tanh, "exp": math.exp, "log": math.log, "abs": abs, "sign": np.sign}
    lines = read(html).texts.get("worked", [])
    parts = html.split('<li class="stage"')[1:]
    for line in lines:
        where, said, result = line.split(" = ")
        python = re.sub(
            r"√(\([^)]*\)|[\d.e+-]+)", r"(\1)**0.5", said.replace("·", "*").replace("²", "**2").replace("³", "**3")
        )
        scale = max(abs(float(number)) for number in re.findall(r"[\d.]+(?:e[+-]\d+)?", said))
        assert eval(python, names) == pytest.approx(float(result), rel=2e-4, abs=1e-5 * scale)
        # the result is the number that stands there in the data
        stage = found.stages[next(n for n, part in enumerate(parts) if _escaped(line) in part)]
        name, _, place = where.partition("[")
        value = stage[name] if not place else entries(stage[name])[tuple(map(int, place.rstrip("]").split(",")))]
        assert f"{value + 0.0:.6g}" == result
    return lines


@pytest.mark.parametrize(
    ("labels", "loss", "worked"),
    [
        ([[0, 2, 1], [1, 1, 0]], nn.softmax_cross_entropy, True),
        ([[0, 2, -1], [1, 1, -1]], nn.SoftmaxCrossEntropy(ignore_label=-1), False),
        (np.full((2, 3, 3), 1 / 3), nn.softmax_cross_entropy, False),
    ],
    ids=["labels", "padding", "distributions"],
)
def test_worked_lines_of_sequences_are_true(labels, loss, worked):
    """A dense layer on (N, T, D), and labels (N, T): each place is a row of its own."""
    network = nn.Sequential(nn.Dense(2), nn.Tanh(), nn.Dense(3))
    model = nn.Model(network, loss, nn.SGD(0.1), backend="numpy", seed=0).build((3, 2))
    x = np.random.default_rng(0).standard_normal((2, 3, 2))
    lines = true_lines(model.explain(x, np.asarray(labels)))
    assert sum(line.startswith("y[") for line in lines) == 3
    assert any(line.startswith("weight gradient[") for line in lines)
    assert any(line.startswith("data_loss") for line in lines) == worked


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("case", CASES)
def test_links_point_to_the_stages_a_gradient_comes_from(case):
    found = explained(case, clip_norm=0.01)
    page = read(found.html())
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    updates = [n for n, stage in enumerate(found.stages) if stage["stage"] == "update" and "gradient" in stage]
    parts = found.html(whole=False).split('<li class="stage"')[1:]
    for n in updates:
        sources = [int(number) - 1 for number in re.findall(r'#stage-(\d+)">step', parts[n])]
        assert sources, found.stages[n]["what"]
        name = found.stages[n]["what"].split(".")[-1].rstrip("'")
        total = sum(np.asarray(found.stages[i][f"{name} gradient"]["values"], dtype=object).size for i in sources)
        assert total >= 1
        assert any(found.stages[i]["stage"] == "backward" for i in sources)
        assert '">clipped</a>' in parts[n]


def test_the_page_has_no_outside_links_and_allows_no_other_scripts():
    html = explained("classes").html()
    assert all(address.startswith(("#", "data:")) for address in read(html).addresses)
    assert not re.search(r"https?:", html)
    assert "unsafe-inline" not in html
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'")
    assert not re.search(r'\son\w+=|\sstyle="', html)


def test_names_are_escaped():
    class Odd(nn.Activation):
        """A <script>alert(1)</script> & "layer", y = x."""

        def function(self, x):
            return x, lambda dy: dy

    html = nn.Model(nn.Sequential(nn.Dense(2), Odd()), backend="numpy").explain().html()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_without_data_the_page_says_what_is_not_computed():
    html = nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy").explain().html()
    assert "no x was given" in html


def test_a_notebook_shows_the_page_in_a_frame():
    found = explained("classes")
    framed = found._repr_html_()
    assert framed.startswith("<iframe sandbox=")
    assert _attribute(framed, "srcdoc") == found.html()


def _attribute(tag: str, name: str) -> str:
    seen: dict[str, str] = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            seen.update(attributes)

    Reader().feed(tag)
    return seen[name]


def test_the_command_writes_the_page_of_the_step_it_prints(tmp_path, capsys):
    assert main(["explain", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)
    assert main(["explain", "--html", str(tmp_path / "out.html")]) == 0
    shown = {repr(json.loads(value)) for value in read((tmp_path / "out.html").read_text(encoding="utf-8")).values}
    assert shown == set(map(repr, numbers(stages)))
    assert main(["explain", "--json", "--html", "x.html"]) == 2

"""A stage's formula with the numbers of one element put in, as a line that can be checked by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

Entries = dict[tuple[int, ...], float]
MOST = 12  #: terms of a sum; longer ones explain nothing


def worked(stage: Mapping[str, Any], forward: Mapping[str, Any]) -> list[str]:
    """Lines such as "y[0, 1] = 0.5 · 2 + 1 = 2" of a stage, for its largest element; none for a kind not known here,
    or where the numbers that it takes are not all there.

    forward : of a backward stage, the same layer's forward or the loss.
    """
    kind = stage["what"].split(" ")[0]
    rule = _RULES.get((stage["stage"], kind))
    try:
        return list(rule(stage, forward)) if rule else []
    except (KeyError, TypeError):  # abbreviated arrays, several inputs, values that are not computed
        return []


def entries(array: Any) -> Entries:
    """The numbers of an array's plain data that are there, by their places."""
    found: Entries = {}

    def walk(values: Any, shape: list[int], place: tuple[int, ...]) -> None:
        if not shape:
            found[place] = values
            return
        for position, value in enumerate(values):
            if value != "…":
                behind = len(values) < shape[0] or "…" in values
                cut = values.index("…") if behind else len(values)
                walk(value, shape[1:], (*place, position if position < cut else shape[0] - len(values) + position))

    walk(array["values"], array["shape"], ())
    return found


def _largest(values: Entries, within: Any = None) -> tuple[int, ...]:
    places = [place for place in values if within is None or within(place)]
    return max(places, key=lambda place: abs(values[place]))


def show(value: Any) -> str:
    """A number as in a page's tables; a negative one in brackets, for what stands before it."""
    text = f"{value + 0.0:.6g}"
    return f"({text})" if text.startswith("-") else text


def _line(name: str, place: tuple[int, ...], said: str, value: float) -> str:
    where = f"[{', '.join(map(str, place))}]" if place else ""
    return f"{name}{where} = {said} = {value + 0.0:.6g}"


def _sum(pairs: list[tuple[float, float]]) -> str:
    if len(pairs) > MOST:
        raise KeyError("too long")
    return " + ".join(f"{show(a)} · {show(b)}" for a, b in pairs)


def _dense(stage: Any, _: Any) -> Iterator[str]:
    x, w, b, y = (entries(stage[name]) for name in ("x", "weight", "bias", "y"))
    n_in, (*row, j) = stage["weight"]["shape"][0], _largest(y)
    terms = _sum([(x[(*row, k)], w[k, j]) for k in range(n_in)])
    yield _line("y", (*row, j), f"{terms} + {show(b[j,])}", y[(*row, j)])


def _dense_backward(stage: Any, forward: Any) -> Iterator[str]:
    x, w, dy = entries(forward["x"]), entries(forward["weight"]), entries(stage["y gradient"])
    (*shape, n_out), dw, db = (
        stage["y gradient"]["shape"],
        *(entries(stage[f"{n} gradient"]) for n in ("weight", "bias")),
    )
    if math.prod(shape) > MOST:
        return
    rows = list(itertools.product(*map(range, shape)))  # each place is a row of its own
    k, j = _largest(dw)
    yield _line("weight gradient", (k, j), _sum([(x[(*row, k)], dy[(*row, j)]) for row in rows]), dw[k, j])
    (j,) = _largest(db)
    yield _line("bias gradient", (j,), " + ".join(show(dy[(*row, j)]) for row in rows), db[j,])
    if isinstance(stage["x gradient"], Mapping):
        dx = entries(stage["x gradient"])
        *row, k = _largest(dx)
        yield _line("x gradient", (*row, k), _sum([(dy[(*row, j)], w[k, j]) for j in range(n_out)]), dx[(*row, k)])


def _elementwise(formula: str) -> Any:
    def line(stage: Any, _: Any) -> Iterator[str]:
        x, y = entries(stage["x"]), entries(stage["y"])
        place = _largest(y)
        yield _line("y", place, formula.format(x=show(x[place])), y[place])

    return line


def _elementwise_backward(formula: str) -> Any:
    def line(stage: Any, forward: Any) -> Iterator[str]:
        x, y, dy, dx = (entries(one) for one in (forward["x"], forward["y"], stage["y gradient"], stage["x gradient"]))
        place = _largest(dx)
        said = formula.format(x=show(x[place]), y=show(y[place]), dy=show(dy[place]))
        yield _line("x gradient", place, said, dx[place])

    return line


def _cross_entropy(stage: Any, _: Any) -> Iterator[str]:
    p, rows = entries(stage["probabilities"]), _labels(stage)
    if len(rows) > MOST or stage["settings"].get("label_smoothing") or "sample_weight" in stage:
        return
    logs = " + ".join(f"log({show(p[(*place, t)])})" for place, t in rows.items())
    yield _line("data_loss", (), f"-({logs}) / {len(rows)}", stage["data_loss"])


def _cross_entropy_backward(stage: Any, forward: Any) -> Iterator[str]:
    p, rows, dz = entries(forward["probabilities"]), _labels(forward), entries(stage["outputs gradient"])
    if forward["settings"].get("label_smoothing") or "sample_weight" in forward:
        return
    *row, k = _largest(dz)
    place, hit = (*row, k), int(rows[tuple(row)] == k)
    said = (
        f"({show(p[place])} - {hit}) / {len(rows)}"
        if forward["what"].startswith("Softmax")
        else f"-{hit} / {show(p[place])} / {len(rows)}"
    )
    yield _line("outputs gradient", place, said, dz[place])


def _labels(stage: Any) -> dict[tuple[int, ...], int]:
    """The label of each row, or of each place of a sequence; KeyError where not all of them count, or are no labels."""
    shape, ignored = stage["targets"]["shape"], stage["settings"].get("ignore_label")
    if len(shape) == len(stage["probabilities"]["shape"]):
        raise KeyError("distributions")
    targets = entries(stage["targets"])
    rows = {place: int(targets[place]) for place in itertools.product(*map(range, shape))}
    if ignored is not None and ignored in rows.values():
        raise KeyError("labels that do not count")
    return rows


def _squares(stage: Any, _: Any) -> Iterator[str]:
    outputs, targets = entries(stage["outputs"]), entries(stage["targets"])
    count = math.prod(stage["outputs"]["shape"])
    if count > MOST or "sample_weight" in stage:
        return
    parts = " + ".join(f"({show(outputs[place])} - {show(targets[place])})²" for place in outputs)
    yield _line("data_loss", (), f"({parts}) / {count}", stage["data_loss"])


def _squares_backward(stage: Any, forward: Any) -> Iterator[str]:
    outputs, targets, d = (entries(one) for one in (forward["outputs"], forward["targets"], stage["outputs gradient"]))
    if "sample_weight" in forward:
        return
    place, count = _largest(d), math.prod(stage["outputs gradient"]["shape"])
    said = f"2 · ({show(outputs[place])} - {show(targets[place])}) / {count}"
    yield _line("outputs gradient", place, said, d[place])


def _total(stage: Any, _: Any) -> Iterator[str]:
    yield _line("loss", (), f"{show(stage['data_loss'])} + {show(stage['penalty'])}", stage["loss"])


def _update(rule: Any) -> Any:
    def line(stage: Any, _: Any) -> Iterator[str]:
        arrays = {name: entries(value) for name, value in stage.items() if isinstance(value, dict) and "shape" in value}
        place = _largest(arrays["gradient"])
        here = {name: values[place] for name, values in arrays.items()}
        options, c = stage["settings"], stage["scalars"]
        for name, said in rule(here, options, c):
            yield _line(name, place, said, here[name])

    return line


def _sgd(v: Any, options: Any, c: Any) -> Iterator[tuple[str, str]]:
    step = f"{show(c['lr'])} · {show(v['gradient'])}"
    if not options["momentum"]:
        yield "after", f"{show(v['before'])} - {step}"
        return
    yield "v after", f"{show(options['momentum'])} · {show(v['v before'])} - {step}"
    ahead = f"{show(options['momentum'])} · {show(v['v after'])} - {step}"
    yield "after", f"{show(v['before'])} + {ahead if options['nesterov'] else show(v['v after'])}"


def _adagrad(v: Any, options: Any, c: Any) -> Iterator[tuple[str, str]]:
    yield "s after", f"{show(v['s before'])} + {show(v['gradient'])}²"
    yield "after", _quotient(v, "gradient", "s after", c["lr"], options["epsilon"])


def _rmsprop(v: Any, options: Any, c: Any) -> Iterator[tuple[str, str]]:
    rho = show(options["rho"])
    yield "s after", f"{rho} · {show(v['s before'])} + (1 - {rho}) · {show(v['gradient'])}²"
    yield "after", _quotient(v, "gradient", "s after", c["lr"], options["epsilon"])


def _adam(v: Any, options: Any, c: Any) -> Iterator[tuple[str, str]]:
    for name, beta, power in (("m", show(options["beta1"]), ""), ("v", show(options["beta2"]), "²")):
        hat = {"m": "m̂", "v": "v̂"}[name]
        yield f"{name} after", f"{beta} · {show(v[f'{name} before'])} + (1 - {beta}) · {show(v['gradient'])}{power}"
        yield hat, f"{show(v[f'{name} after'])} / {show(c[{'m': '1 - β1^t', 'v': '1 - β2^t'}[name]])}"
    yield "after", _quotient(v, "m̂", "v̂", c["lr"], options["epsilon"])


def _quotient(v: Any, above: str, below: str, lr: float, epsilon: float) -> str:
    return f"{show(v['before'])} - {show(lr)} · {show(v[above])} / (√{show(v[below])} + {show(epsilon)})"


_RULES: dict[tuple[str, str], Any] = {
    ("forward", "Dense"): _dense,
    ("backward", "Dense"): _dense_backward,
    ("forward", "ReLU"): _elementwise("max({x}, 0)"),
    ("backward", "ReLU"): _elementwise_backward("{dy} · ({x} > 0)"),
    ("forward", "Tanh"): _elementwise("tanh({x})"),
    ("backward", "Tanh"): _elementwise_backward("{dy} · (1 - {y}²)"),
    ("forward", "Sigmoid"): _elementwise("1 / (1 + exp(-{x}))"),
    ("backward", "Sigmoid"): _elementwise_backward("{dy} · {y} · (1 - {y})"),
    ("loss", "SoftmaxCrossEntropy"): _cross_entropy,
    ("backward", "SoftmaxCrossEntropy"): _cross_entropy_backward,
    ("loss", "CrossEntropy"): _cross_entropy,
    ("backward", "CrossEntropy"): _cross_entropy_backward,
    ("loss", "MeanSquaredError"): _squares,
    ("backward", "MeanSquaredError"): _squares_backward,
    ("penalty", "loss"): _total,
    ("update", "SGD"): _update(_sgd),
    ("update", "Adagrad"): _update(_adagrad),
    ("update", "RMSProp"): _update(_rmsprop),
    ("update", "Adam"): _update(_adam),
}

"""Worked examples: a stage's formula with the numbers of one element substituted, to be checked by hand."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._plain import show
from ._worked_activations import ACTIVATIONS
from ._worked_updates import UPDATES, rate

Entries = dict[tuple[int, ...], float]
Rule = Callable[[Any, Any], Iterator[str]]  #: (stage, its forward stage) -> lines
MAX_TERMS = 12  #: terms of a sum; longer sums are left out, as nobody checks them by hand


def worked_example(stage: Mapping[str, Any], forward: Mapping[str, Any]) -> list[str]:
    """Lines such as "y[0, 1] = 0.5 · 2 + 1 = 2", which compute the stage's largest element.

    There are none for a layer, loss or optimizer without a rule here, or where an abbreviated array lacks a number.
    forward : for a backward stage, the forward stage of the same layer, or the loss stage.
    """
    kind = stage["what"].split(" ")[0]
    name = stage["stage"]
    rule = _update if name == "update" else _RULES.get((name, kind)) or (_penalty if name == "penalty" else None)
    try:
        return list(rule(stage, forward)) if rule else []
    except (KeyError, TypeError, AttributeError):  # abbreviated arrays, several inputs, values that are not computed
        return []


def entries(array: Any) -> Entries:
    """The numbers of an array's plain data by their indices, without those that were abbreviated."""
    found: Entries = {}

    def walk(values: Any, shape: list[int], index: tuple[int, ...]) -> None:
        if not shape:
            found[index] = values
            return
        for position, value in enumerate(values):
            if value != "…":
                behind = len(values) < shape[0] or "…" in values
                cut = values.index("…") if behind else len(values)
                walk(value, shape[1:], (*index, position if position < cut else shape[0] - len(values) + position))

    walk(array["values"], array["shape"], ())
    return found


def _largest(values: Entries, within: Any = None) -> tuple[int, ...]:
    indices = [index for index in values if within is None or within(index)]
    return max(indices, key=lambda index: abs(values[index]))


def _line(name: str, index: tuple[int, ...], text: str, value: float) -> str:
    where = f"[{', '.join(map(str, index))}]" if index else ""
    return f"{name}{where} = {text} = {value + 0.0:.6g}"


def _sum(pairs: list[tuple[float, float]]) -> str:
    if len(pairs) > MAX_TERMS:
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
    if math.prod(shape) > MAX_TERMS:
        return
    rows = list(itertools.product(*map(range, shape)))  # each index is one row
    k, j = _largest(dw)
    yield _line("weight gradient", (k, j), _sum([(x[(*row, k)], dy[(*row, j)]) for row in rows]), dw[k, j])
    (j,) = _largest(db)
    yield _line("bias gradient", (j,), " + ".join(show(dy[(*row, j)]) for row in rows), db[j,])
    if isinstance(stage["x gradient"], Mapping):
        dx = entries(stage["x gradient"])
        *row, k = _largest(dx)
        yield _line("x gradient", (*row, k), _sum([(dy[(*row, j)], w[k, j]) for j in range(n_out)]), dx[(*row, k)])


def _elementwise(formula: Callable[[float], str] | str) -> Rule:
    """The rule of an elementwise layer. formula : a template of x and the layer's settings; it may depend on x."""

    def line(stage: Any, _: Any) -> Iterator[str]:
        x, y = entries(stage["x"]), entries(stage["y"])
        index = _largest(y)
        text = formula(x[index]) if callable(formula) else formula
        yield _line("y", index, text.format(x=show(x[index]), **stage["settings"]), y[index])

    return line


def _elementwise_backward(formula: Callable[[float], str] | str) -> Rule:
    def line(stage: Any, forward: Any) -> Iterator[str]:
        x, y, dy, dx = (entries(one) for one in (forward["x"], forward["y"], stage["y gradient"], stage["x gradient"]))
        index = _largest(dx)
        text = formula(x[index]) if callable(formula) else formula
        numbers = {"x": show(x[index]), "y": show(y[index]), "dy": show(dy[index])}
        yield _line("x gradient", index, text.format(**numbers, **forward["settings"]), dx[index])

    return line


def _dropout(stage: Any, _: Any) -> Iterator[str]:
    x, y = entries(stage["x"]), entries(stage["y"])
    index = _largest(y)
    if y[index]:  # 0 means that every element was dropped
        yield _line("y", index, f"{show(x[index])} / (1 - {show(stage['settings']['rate'])})", y[index])


def _dropout_backward(stage: Any, forward: Any) -> Iterator[str]:
    dy, dx = entries(stage["y gradient"]), entries(stage["x gradient"])
    index = _largest(dx)
    if dx[index]:
        yield _line("x gradient", index, f"{show(dy[index])} / (1 - {show(forward['settings']['rate'])})", dx[index])


def _softmax(stage: Any, _: Any) -> Iterator[str]:
    x, y = entries(stage["x"]), entries(stage["y"])
    *row, k = _largest(y)
    terms = [f"exp({show(x[(*row, j)])})" for j in range(stage["y"]["shape"][-1])]
    if len(terms) <= MAX_TERMS:
        yield _line("y", (*row, k), f"{terms[k]} / ({' + '.join(terms)})", y[(*row, k)])


def _softmax_backward(stage: Any, forward: Any) -> Iterator[str]:
    y, dy, dx = (entries(one) for one in (forward["y"], stage["y gradient"], stage["x gradient"]))
    index = _largest(dx)
    row = index[:-1]
    mean = _sum([(dy[(*row, j)], y[(*row, j)]) for j in range(forward["y"]["shape"][-1])])
    yield _line("x gradient", index, f"{show(y[index])} · ({show(dy[index])} - ({mean}))", dx[index])


def _penalty(stage: Any, forward: Any) -> Iterator[str]:
    """The penalty on a layer's weights and biases, where they are few, and its gradient at the largest one."""
    parts, count = [], 0
    lines = []
    for name in ("weight", "bias"):
        rule = forward["settings"].get(f"{name}_regularizer")
        if not rule or f"{name} gradient" not in stage:
            continue
        l1, l2 = (float(value) for value in re.fullmatch(r"L1L2\(l1=(.*), l2=(.*)\)", rule).groups())  # type: ignore[union-attr]
        w, dw = entries(forward[name]), entries(stage[f"{name} gradient"])
        count += math.prod(forward[name]["shape"])
        if l1:
            parts.append(f"{show(l1)} · ({' + '.join(f'abs({show(v)})' for v in w.values())})")
        if l2:
            parts.append(f"{show(l2)} · ({' + '.join(f'{show(v)}²' for v in w.values())})")
        index = _largest(dw)
        slopes = [f"{show(l1)} · sign({show(w[index])})"] if l1 else []
        slopes += [f"2 · {show(l2)} · {show(w[index])}"] if l2 else []
        lines.append(_line(f"{name} gradient", index, " + ".join(slopes), dw[index]))
    if parts and count <= MAX_TERMS:
        yield _line("penalty", (), " + ".join(parts), stage["penalty"])
    yield from lines


def _cross_entropy(stage: Any, _: Any) -> Iterator[str]:
    p, rows = entries(stage["probabilities"]), _labels(stage)
    if len(rows) > MAX_TERMS or stage["settings"].get("label_smoothing") or "sample_weight" in stage:
        return
    logs = " + ".join(f"log({show(p[(*index, t)])})" for index, t in rows.items())
    yield _line("data_loss", (), f"-({logs}) / {len(rows)}", stage["data_loss"])


def _cross_entropy_backward(stage: Any, forward: Any) -> Iterator[str]:
    p, rows, dz = entries(forward["probabilities"]), _labels(forward), entries(stage["outputs gradient"])
    if forward["settings"].get("label_smoothing") or "sample_weight" in forward:
        return
    *row, k = _largest(dz)
    index, hit = (*row, k), int(rows[tuple(row)] == k)
    text = (
        f"({show(p[index])} - {hit}) / {len(rows)}"
        if forward["what"].startswith("Softmax")
        else f"-{hit} / {show(p[index])} / {len(rows)}"
    )
    yield _line("outputs gradient", index, text, dz[index])


def _labels(stage: Any) -> dict[tuple[int, ...], int]:
    """The label of each row, or of each position of a sequence.

    Raises KeyError for targets that are distributions, and where labels are ignored.
    """
    shape, ignored = stage["targets"]["shape"], stage["settings"].get("ignore_label")
    if len(shape) == len(stage["probabilities"]["shape"]):
        raise KeyError("distributions")
    targets = entries(stage["targets"])
    rows = {index: int(targets[index]) for index in itertools.product(*map(range, shape))}
    if ignored is not None and ignored in rows.values():
        raise KeyError("ignored labels")
    return rows


def _mean(part: Callable[[int], str] | str, sign: str = "") -> Rule:
    """The rule of a loss that is a mean over outputs. part : what output o adds, by its target t and probability p."""

    def line(stage: Any, _: Any) -> Iterator[str]:
        found = _outputs(stage)
        if len(found) <= MAX_TERMS:
            parts = " + ".join(_substitute(part, **here) for here in found.values())
            yield _line("data_loss", (), f"{sign}({parts}) / {len(found)}", stage["data_loss"])

    return line


def _mean_backward(part: Callable[[int], str] | str) -> Rule:
    def line(stage: Any, forward: Any) -> Iterator[str]:
        found, d = _outputs(forward), entries(stage["outputs gradient"])
        index = _largest(d)
        yield _line("outputs gradient", index, f"{_substitute(part, **found[index])} / {len(found)}", d[index])

    return line


def _outputs(stage: Any) -> dict[tuple[int, ...], dict[str, float]]:
    """Each output with its target and its probability. Raises KeyError where rows have weights."""
    if "sample_weight" in stage:
        raise KeyError("weights")
    arrays = {"o": entries(stage["outputs"]), "t": entries(stage["targets"])}
    if "probabilities" in stage:
        arrays["p"] = entries(stage["probabilities"])
    if len(arrays["o"]) < math.prod(stage["outputs"]["shape"]):
        raise KeyError("abbreviated")
    return {index: {name: values[index] for name, values in arrays.items()} for index in arrays["o"]}


def _substitute(part: Callable[[int], str] | str, **numbers: float) -> str:
    if callable(part):
        if numbers["t"] not in (0, 1):
            raise KeyError("a target between the classes 0 and 1")
        part = part(int(numbers["t"]))
    return part.format(**{name: show(value) for name, value in numbers.items()})


def _total(stage: Any, _: Any) -> Iterator[str]:
    yield _line("loss", (), f"{show(stage['data_loss'])} + {show(stage['penalty'])}", stage["loss"])


def _update(stage: Any, _: Any) -> Iterator[str]:
    """The learning rate of a schedule, and the update of the parameter with the largest gradient."""
    if text := rate(stage):
        yield _line("learning rate", (), text, stage["learning rate"])
    rule = UPDATES.get(stage["what"].split(" ")[0])
    if rule is None:
        return
    arrays = {name: entries(value) for name, value in stage.items() if isinstance(value, dict) and "shape" in value}
    index = _largest(arrays["gradient"])
    here = {name: values[index] for name, values in arrays.items()}
    for name, text in rule(here, stage["settings"], stage["scalars"]):
        yield _line(name, index, text, here[name])


_RULES: dict[tuple[str, str], Rule] = {
    **{("forward", name): _elementwise(formula) for name, (formula, _) in ACTIVATIONS.items()},
    **{("backward", name): _elementwise_backward(formula) for name, (_, formula) in ACTIVATIONS.items()},
    ("forward", "Dense"): _dense,
    ("backward", "Dense"): _dense_backward,
    ("loss", "SoftmaxCrossEntropy"): _cross_entropy,
    ("backward", "SoftmaxCrossEntropy"): _cross_entropy_backward,
    ("loss", "CrossEntropy"): _cross_entropy,
    ("backward", "CrossEntropy"): _cross_entropy_backward,
    ("forward", "Dropout"): _dropout,
    ("backward", "Dropout"): _dropout_backward,
    ("forward", "Softmax"): _softmax,
    ("backward", "Softmax"): _softmax_backward,
    ("loss", "MeanSquaredError"): _mean("({o} - {t})²"),
    ("backward", "MeanSquaredError"): _mean_backward("2 · ({o} - {t})"),
    ("loss", "MeanAbsoluteError"): _mean("abs({o} - {t})"),
    ("backward", "MeanAbsoluteError"): _mean_backward("sign({o} - {t})"),
    ("loss", "BinaryCrossEntropy"): _mean(lambda t: "log({p})" if t else "log(1 - {p})", "-"),
    ("backward", "BinaryCrossEntropy"): _mean_backward(lambda t: "-1 / {p}" if t else "1 / (1 - {p})"),
    ("loss", "SigmoidCrossEntropy"): _mean(lambda t: "log({p})" if t else "log(1 - {p})", "-"),
    ("backward", "SigmoidCrossEntropy"): _mean_backward("({p} - {t})"),
    ("penalty", "loss"): _total,
}

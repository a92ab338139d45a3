"""Optimizers' formulas with the numbers of one element substituted: pairs (name of the result, formula)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._plain import show

Lines = Iterator[tuple[str, str]]


def rate(stage: Mapping[str, Any]) -> str:
    """The formula of a scheduled learning rate; "" for a constant one and for schedules without a formula here."""
    found = re.fullmatch(
        r"InverseTimeDecay\(learning_rate=(.*), decay=(.*)\)", str(stage["settings"].get("learning_rate"))
    )
    return f"{show(float(found[1]))} / (1 + {show(float(found[2]))} · {stage['step']})" if found else ""


def _sgd(v: Any, options: Any, c: Any) -> Lines:
    step = f"{show(c['lr'])} · {show(v['gradient'])}"
    if not options["momentum"]:
        yield "after", f"{show(v['before'])} - {step}"
        return
    yield "v after", f"{show(options['momentum'])} · {show(v['v before'])} - {step}"
    ahead = f"{show(options['momentum'])} · {show(v['v after'])} - {step}"
    yield "after", f"{show(v['before'])} + {ahead if options['nesterov'] else show(v['v after'])}"


def _adagrad(v: Any, options: Any, c: Any) -> Lines:
    yield "s after", f"{show(v['s before'])} + {show(v['gradient'])}²"
    yield "after", _quotient(v, "gradient", "s after", c["lr"], options["epsilon"])


def _rmsprop(v: Any, options: Any, c: Any) -> Lines:
    rho = show(options["rho"])
    yield "s after", f"{rho} · {show(v['s before'])} + (1 - {rho}) · {show(v['gradient'])}²"
    yield "after", _quotient(v, "gradient", "s after", c["lr"], options["epsilon"])


def _adam(v: Any, options: Any, c: Any) -> Lines:
    yield from (*_moment("m", v, options, c), *_moment("v", v, options, c))
    yield "after", _quotient(v, "m̂", "v̂", c["lr"], options["epsilon"], c.get("1 - lr λ"))


def _amsgrad(v: Any, options: Any, c: Any) -> Lines:
    yield from (*_moment("m", v, options, c), *_moment("v", v, options, c, hat=False))
    yield "u after", f"max({show(v['u before'])}, {show(v['v after'])})"
    yield "û", f"{show(v['u after'])} / {show(c['1 - β2^t'])}"
    yield "after", _quotient(v, "m̂", "û", c["lr"], options["epsilon"])


def _nadam(v: Any, options: Any, c: Any) -> Lines:
    yield from _moment("m", v, options, c, hat=False)
    ahead = f"{show(c['μ_{t+1}'])} · {show(v['m after'])} / (1 - {show(c['Π_{i≤t+1} μ_i'])})"
    yield "m̂", f"{ahead} + (1 - {show(c['μ_t'])}) · {show(v['gradient'])} / (1 - {show(c['Π_{i≤t} μ_i'])})"
    yield from _moment("v", v, options, c)
    yield "after", _quotient(v, "m̂", "v̂", c["lr"], options["epsilon"])


def _radam(v: Any, options: Any, c: Any) -> Lines:
    yield from (*_moment("m", v, options, c), *_moment("v", v, options, c, hat=False))
    if c["ρ_t"] <= 5:
        yield "after", f"{show(v['before'])} - {show(c['lr'])} · {show(v['m̂'])}"
        return
    step = f"{show(c['lr'])} · {show(c['r'])} · {show(v['m̂'])} · √{show(c['1 - β2^t'])}"
    yield "after", f"{show(v['before'])} - {step} / (√{show(v['v after'])} + {show(options['epsilon'])})"


def _adadelta(v: Any, options: Any, c: Any) -> Lines:
    rho, epsilon, g = show(options["rho"]), show(options["epsilon"]), show(v["gradient"])
    yield "s after", f"{rho} · {show(v['s before'])} + (1 - {rho}) · {g}²"
    yield "Δ", f"√({show(v['u before'])} + {epsilon}) / √({show(v['s after'])} + {epsilon}) · {g}"
    yield "u after", f"{rho} · {show(v['u before'])} + (1 - {rho}) · {show(v['Δ'])}²"
    yield "after", f"{show(v['before'])} - {show(c['lr'])} · {show(v['Δ'])}"


def _lion(v: Any, options: Any, c: Any) -> Lines:
    m, g, first, second = show(v["m before"]), show(v["gradient"]), show(options["beta1"]), show(options["beta2"])
    sign = f"sign({first} · {m} + (1 - {first}) · {g})"
    yield "after", f"{_decayed(v, c.get('1 - lr λ'))} - {show(c['lr'])} · {sign}"
    yield "m after", f"{second} · {m} + (1 - {second}) · {g}"


def _moment(name: str, v: Any, options: Any, c: Any, hat: bool = True) -> Lines:
    """A moving average of the gradient (m) or of its square (v), and its bias-corrected value."""
    beta, power = (show(options["beta1"]), "") if name == "m" else (show(options["beta2"]), "²")
    yield f"{name} after", f"{beta} · {show(v[f'{name} before'])} + (1 - {beta}) · {show(v['gradient'])}{power}"
    if hat:
        corrected, by = ("m̂", "1 - β1^t") if name == "m" else ("v̂", "1 - β2^t")
        yield corrected, f"{show(v[f'{name} after'])} / {show(c[by])}"


def _quotient(v: Any, above: str, below: str, lr: float, epsilon: float, decay: float | None = None) -> str:
    step = f"{show(lr)} · {show(v[above])} / (√{show(v[below])} + {show(epsilon)})"
    return f"{_decayed(v, decay)} - {step}"


def _decayed(v: Any, decay: float | None) -> str:
    """The value before the step, times the factor of weight decay where there is one."""
    return show(v["before"]) if decay in (None, 1.0) else f"{show(decay)} · {show(v['before'])}"


UPDATES: dict[str, Callable[[Any, Any, Any], Lines]] = {
    "SGD": _sgd,
    "Adagrad": _adagrad,
    "RMSProp": _rmsprop,
    "Adadelta": _adadelta,
    "Adam": _adam,
    "AdamW": _adam,
    "AMSGrad": _amsgrad,
    "NAdam": _nadam,
    "RAdam": _radam,
    "Lion": _lion,
}

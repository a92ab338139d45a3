"""Loops compiled by Numba, where the extra `fast` is installed: one pass over memory instead of a dozen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..compiler.rules import Rule, rule_of


@cache
def available() -> bool:
    """Whether Numba is installed. It is imported when a loop is first compiled, which takes a second or two."""
    return find_spec("numba") is not None


@cache
def compiled(source: str) -> Callable[..., None]:
    """The function `loop` of the source, without Python's lock; a division by 0 is inf or nan, and nothing is
    reordered or contracted, as NumPy has it."""
    import math

    import numba

    scope: dict[str, Any] = {"np": np, "math": math}
    exec(source, scope)
    loop: Callable[..., None] = numba.njit(nogil=True, error_model="numpy")(scope["loop"])
    return loop


@cache
def _of(rule: Rule) -> Callable[..., None]:
    return compiled(rule.numba())


def fused(
    rule: Any, p: np.ndarray, g: np.ndarray, slots: dict[str, np.ndarray], scalars: Any
) -> Callable[..., None] | None:
    """run(p, g, slots, scalars), in place on flat arrays, of a rule, for such arrays; None where there is none that
    gives NumPy's bits."""
    if any(x.dtype != p.dtype for x in (g, *slots.values())):
        return None
    found = rule_of(rule, tuple(slots), scalars, p.dtype)
    if found is None or not found.exact:
        return None
    loop = _of(found)

    def run(p: np.ndarray, g: np.ndarray, own: dict[str, np.ndarray], c: Any) -> None:
        loop(p, g, *own.values(), *found.constants(c))

    return run

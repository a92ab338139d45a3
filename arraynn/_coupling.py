"""Whether a batch may be split into blocks of rows before a layer, a loss or a metric.

The library's own blocks state it. For blocks from outside, a batch is split only if they state that it may be.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

_PACKAGE = __package__


class Splittable:
    """The base class of layers, losses and metrics, which state whether a batch may be split before them.

    batch_coupled : False promises that a batch may be split into blocks of rows: a layer's rows do not depend on other
        rows; a loss divides by the `total` it is given, so that values and gradients of the blocks add up; a metric's
        sums add up. With True, a batch is never split. Classes of this library state it. A class from outside counts as
        coupled unless it, or a base class from outside, says `batch_coupled = False`, as a class attribute or as a
        property. couples_rows : the older name, which may be stated or read instead.
    coupled_in_inference : the same for a layer without a key; equal to batch_coupled unless stated.
    exchanges_parts : whether a coupled layer can nevertheless be given a part of a batch, because it exchanges what it
        needs with the other parts, by `key.parts.gather`.
    """

    batch_coupled: Any = False
    exchanges_parts: Any = False
    #: whether the class or a base class states it; a class from outside that does not counts as coupled
    coupling_is_stated: ClassVar[bool] = True

    @property
    def couples_rows(self) -> bool:
        return bool(self.batch_coupled)

    @property
    def coupled_in_inference(self) -> bool:
        return bool(self.batch_coupled)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not outside(cls.__module__):
            return
        states = next(kind for kind in cls.__mro__ if {"batch_coupled", "couples_rows"} & vars(kind).keys())
        cls.coupling_is_stated = outside(states.__module__)
        if not cls.coupling_is_stated:  # what a class of the library states does not hold for a subclass from outside
            _give(cls, "batch_coupled", True)  # not stated, but possible
        elif "batch_coupled" not in vars(states):
            _give(cls, "batch_coupled", property(lambda self: bool(self.couples_rows)))
        elif "couples_rows" not in vars(states):
            _give(cls, "couples_rows", property(lambda self: bool(self.batch_coupled)))
        inference = next(kind for kind in cls.__mro__ if "coupled_in_inference" in vars(kind))
        if not outside(inference.__module__):
            _give(cls, "coupled_in_inference", property(lambda self: bool(self.batch_coupled)))


def outside(module: str) -> bool:
    """Whether a module of this name does not belong to the library."""
    return module != _PACKAGE and not module.startswith(f"{_PACKAGE}.")


def batch_coupled(block: Any) -> bool:
    """Whether a batch must not be split before a layer, a loss or a metric; True if it does not state it.

    A function states it by an attribute of that name; for a partial, its function's statement counts.
    """
    for name in ("batch_coupled", "couples_rows"):
        if hasattr(block, name):
            return bool(getattr(block, name))
    if isinstance(block, partial):
        return batch_coupled(block.func)
    # not __module__, which decorators copy from the wrapped function
    return outside(getattr(block, "__globals__", {}).get("__name__", ""))


def exchanges_parts(block: Any) -> bool:
    """Whether a coupled layer can be given a part of a batch, because it exchanges numbers with the other parts."""
    return bool(getattr(block, "exchanges_parts", False))


def says_coupled(block: Any) -> bool:
    """Whether a block states that it is coupled; a block from outside that states nothing does not."""
    return bool(getattr(block, "coupling_is_stated", False)) and batch_coupled(block)


def coupled_in_inference(layer: Any) -> bool:
    """`batch_coupled` for a layer called without a key, in inference."""
    return bool(getattr(layer, "coupled_in_inference", batch_coupled(layer)))


def _give(cls: Any, name: str, value: Any) -> None:
    setattr(cls, name, value)

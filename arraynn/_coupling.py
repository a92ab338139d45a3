"""Whether a batch may be split into blocks of rows: the library's blocks say so, blocks from outside are not split
unless they say so."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

_PACKAGE = __package__


class Splittable:
    """The base of layers, losses and metrics, which state whether a batch may be split before them.

    batch_coupled : False promises that a batch may be cut into blocks of rows: a layer's rows do not depend on other
        rows, a loss divides by the `total` it is given, so that values and gradients of the blocks add up, and so do a
        metric's sums. True is never split. Classes of this library state it; a class from outside of it counts as
        coupled unless it says `batch_coupled = False`, as a class attribute or as a property, itself or by a base of
        its own. couples_rows : the older name, which may be stated or read instead.
    coupled_in_inference : the same for a layer without a key; as batch_coupled unless stated.
    exchanges_parts : whether a layer that is coupled can be given a part of a batch all the same, because it exchanges
        what it needs with the other parts, by `key.parts.gather`.
    """

    batch_coupled: Any = False
    exchanges_parts: Any = False
    #: whether a class says it, itself or by a base; one from outside that does not counts as coupled all the same
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
        if not cls.coupling_is_stated:  # the statement of one of the library's classes is not about this one
            _give(cls, "batch_coupled", True)  # which is not what it says, but what is not excluded
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
    """Whether a batch must not be split before a layer, a loss or a metric, of whatever base; True where it does not
    say. A function says it by an attribute of that name; a partial one says what its function says."""
    for name in ("batch_coupled", "couples_rows"):
        if hasattr(block, name):
            return bool(getattr(block, name))
    if isinstance(block, partial):
        return batch_coupled(block.func)
    # not __module__, which a decorator copies from the function that it wraps
    return outside(getattr(block, "__globals__", {}).get("__name__", ""))


def exchanges_parts(block: Any) -> bool:
    """Whether a coupled layer can be given a part of a batch, as it exchanges its numbers with the other parts."""
    return bool(getattr(block, "exchanges_parts", False))


def says_coupled(block: Any) -> bool:
    """Whether a block says that it is coupled; one from outside that says nothing does not."""
    return bool(getattr(block, "coupling_is_stated", False)) and batch_coupled(block)


def coupled_in_inference(layer: Any) -> bool:
    """`batch_coupled`, of a layer without a key."""
    return bool(getattr(layer, "coupled_in_inference", batch_coupled(layer)))


def _give(cls: Any, name: str, value: Any) -> None:
    setattr(cls, name, value)

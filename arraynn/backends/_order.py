"""What a step that was written down (`_lazy`) computes: in which order, what is the same, until when it is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ._lazy import Lazy, parts
from ._operations import PYTHON, VIEWS, TraceError

#: ops whose nodes stand for themselves: two of the same arguments are two
ALONE = {"input", "number", "flat", "joined", "update", "large", "result", "call", "part"}
FOREVER = math.inf
#: types whose printed form tells values apart, -0.0 from 0.0 too
PRINTED = {bool, int, float, str, type(None), type(...)}


class Group:
    """Small parameters that are updated as one. leaves : (place, p, g, slots) of each, where place tells its update and
    its number there. columns : their p's, then the slots of each name; flats : what stands for each of these, laid end
    to end; new : what the rule makes of the flats; joined : the gradients, end to end."""

    def __init__(self, rule: Callable[..., Any], scalars: Any, dtype: np.dtype, leaves: list[Any]) -> None:
        self.leaves, names = leaves, tuple(leaves[0][3])
        self.columns = [[p for _, p, _, _ in leaves], *([own[name] for _, _, _, own in leaves] for name in names)]
        size = sum(p.size for p in self.columns[0])
        self.flats = [Lazy("flat", (), (size,), dtype) for _ in self.columns]
        self.joined = Lazy("joined", [g for _, _, g, _ in leaves], (size,), dtype)
        p, slots = rule(self.flats[0], self.joined, dict(zip(names, self.flats[1:], strict=True)), scalars)
        if slots.keys() != {*names}:
            raise TraceError(f"a rule returns the slots {[*slots]} for {[*names]}")
        new = [p, *(slots[name] for name in names)]
        if not all(isinstance(x, Lazy) and (x.shape, x.dtype) == ((size,), dtype) for x in new):
            raise TraceError("a rule must return arrays like those that it is given")
        self.new = [x.value() for x in new]


class Order:
    """nodes : all that `finals` need, each once, in the order in which it was asked for.

    given : ids of the inputs that are consumed. small : the most elements of a parameter that is updated with others.
    until : by id, the last place in the order where a node is read, itself or a view of it; FOREVER for finals.
    roots : by id of a view, that of what it is a view of. opened : by id of an update, what it is made of.
    """

    def __init__(self, finals: list[Lazy], given: set[int], small: float) -> None:
        self.groups: list[Group] = []
        self.opened: dict[int, list[Lazy]] = {}
        self.roots: dict[int, int] = {}
        self.until: dict[int, float] = {}
        self._same: dict[Any, Lazy] = {}
        self._merged: dict[int, Lazy] = {}
        for node in self._reached(finals):
            if node.op == "update":
                self._open(node, given, small)
        self.nodes = [node for node in self._reached(finals) if self.first(node) is node]
        self.finals = {id(self.first(node)) for node in finals}
        targets = [self.first(new) for group in self.groups for new in group.new]
        self._live([*map(self.first, finals), *targets])

    def needs(self, node: Lazy) -> Iterable[Lazy]:
        if id(node) in self.opened:
            return self.opened[id(node)]
        shifted = unsigned_shift(node)
        return shifted[:1] if shifted else parts(node.args)

    def first(self, node: Lazy) -> Lazy:
        """The first node that computes the same."""
        if id(node) not in self._merged:

            def known(x: Any) -> Any:
                if isinstance(x, (tuple, list)):
                    return type(x)(map(known, x))
                if isinstance(x, slice):
                    return "slice", known((x.start, x.stop, x.step))
                if isinstance(x, Lazy):
                    return "node", id(self.first(x))
                # other objects' printed forms may leave something out, as those of large arrays do
                return type(x), repr(x) if type(x) in PRINTED else id(x)

            options = tuple((name, known(value)) for name, value in node.kwargs.items())
            key = node.op, repr(known(node.args)), repr(options), node.dtype, node.shape
            self._merged[id(node)] = node if node.op in ALONE else self._same.setdefault(key, node)
        return self._merged[id(node)]

    def place(self, node: Lazy) -> int:
        """Where in the order it is."""
        return next(i for i, other in enumerate(self.nodes) if other is node)

    def root(self, node: Lazy) -> int:
        return self.roots.get(id(node), id(node))

    def _reached(self, finals: Iterable[Lazy]) -> list[Lazy]:
        seen: dict[int, Lazy] = {}
        stack = list(finals)
        while stack:
            node = stack.pop()
            if id(node) not in seen:
                seen[id(node)] = node
                stack += self.needs(node)
        return sorted(seen.values(), key=lambda node: node.serial)

    def _open(self, update: Lazy, given: set[int], small: float) -> None:
        """An update: small parameters become one flat array that its rule is called with; the others stay alone."""
        rule, scalars, rest = update.kwargs["rule"], update.kwargs["scalars"], iter(update.args)
        opened: list[Lazy] = []
        alike: dict[Any, list[Any]] = {}
        for i, names in enumerate(update.kwargs["names"]):
            p, g, own = next(rest), next(rest), {name: next(rest) for name in names}
            fits = p.size <= small and all(id(x) in given for x in (p, *own.values()))
            if fits and all((x.dtype, x.shape) == (p.dtype, p.shape) for x in (g, *own.values())):
                alike.setdefault((p.dtype, names), []).append(((id(update), i), p, g, own))
            else:
                one = Lazy("large", (p, g, *own.values()), (), "bool")
                one.kwargs = {"rule": rule, "scalars": scalars, "own": own, "place": (id(update), i)}
                opened.append(one)
        for (dtype, _), leaves in alike.items():
            group = Group(rule, scalars, dtype, leaves)
            self.groups.append(group)
            opened += [*group.new, *group.flats]
            self.roots |= {
                id(x): id(flat) for flat, column in zip(group.flats, group.columns, strict=True) for x in column
            }
        self.opened[id(update)] = [*opened, *parts(_numbers(scalars))]

    def _live(self, finals: list[Lazy]) -> None:
        for place, node in enumerate(self.nodes):
            self.until.setdefault(id(node), place)
            needs = [self.first(part) for part in self.needs(node)]
            if any(part.op == "result" for part in needs):
                raise TypeError("something is computed from what an update returns")
            if node.op in VIEWS:
                self.roots[id(node)] = self.root(needs[0])
            self.until |= {self.root(part): place for part in needs}
        self.until |= {self.root(node): FOREVER for node in finals}


def number(node: Lazy) -> bool:
    """Whether Python computes it: a number among the arguments, or made of such and nothing else."""
    if node.op == "number":
        return True
    return node.op in PYTHON and node.shape == () and all(map(number, parts(node.args)))


def unsigned_shift(node: Lazy) -> tuple[Lazy, int] | None:
    """(x, bits) where the node is int32 x >> bits with the sign's copies masked out: one shift of an unsigned x."""
    if node.op != "bitwise_and" or node.dtype != np.int32 or not isinstance(node.args[0], Lazy):
        return None
    shift, mask = node.args
    if shift.op != "bitwise_right_shift" or not all(isinstance(x, int) for x in (mask, shift.args[1])):
        return None
    x, bits = shift.args
    fits = isinstance(x, Lazy) and x.shape != () and x.dtype == np.int32
    return (x, bits) if fits and mask == 2 ** (32 - bits) - 1 else None


def _numbers(scalars: Any) -> list[Any]:
    return [x for value in scalars.values() for x in (_numbers(value) if isinstance(value, dict) else [value])]

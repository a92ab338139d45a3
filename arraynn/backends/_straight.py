"""From a step that was written down (`_lazy`) to NumPy calls in a row, which write into memory that is used again.

There is no second formula: each operation is the call that the blocks themselves make, in the order in which they made
it, so the bits are theirs, but for the sign of a zero in a reduction of short rows, and for blocks that leave arrays in
Fortran's order, which NumPy adds up in another one. What goes is Python's work in between, new arrays, and what is
computed twice; and the small parameters lie end to end, so that an optimizer goes through them as through one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat.numpy as host
import numpy as np

from .. import tree
from . import _loops
from ._arguments import Arguments, Flat
from ._calls import REDUCTIONS, Calls
from ._cuts import Operand
from ._disjoint import Disjoint
from ._lazy import Lazy, parts, values
from ._lines import Value
from ._memory import Memory
from ._operations import ELEMENTWISE, VIEWS, TraceError, refusals
from ._order import FOREVER, Group, Order, number


def traced(
    function: Callable[..., Any], arguments: tuple[Any, ...], donated: tuple[int, ...], small: float
) -> tuple[Arguments, Any, Order]:
    """What function returns for arrays that stand for the arguments', and the order in which it computes that."""
    head = Arguments(arguments)
    for i in donated:
        for x in tree.leaves(head.written[i]):
            x.owned = True
    given = {id(x) for i in donated for x in tree.leaves(head.written[i])}
    before = refusals()
    outputs = values(function(*head.written))
    if refusals() != before:
        raise TraceError("the function went on after an operation that cannot be traced")
    return head, outputs, Order(list(parts(tree.leaves(outputs))), given, small)


class Straight(Calls):
    """run(*arguments): function, of nests of NumPy arrays and numbers, for arguments of these forms and shapes.

    donated : places of the arguments that it consumes. small : the most elements of a parameter that is updated as one
    with others; flats : what lays these out, shared by the programs of a function. large(rule, p, g, slots, scalars,
    threads) -> p, slots updates what is larger, by the workers' threads where the step has no products.
    apart : whether what is consumed is looked at each time, and refused where two leaves share memory.
    run raises `Other` for other arguments, before anything is written. Here, a function that cannot be written down
    raises what lazy arrays raise: AttributeError, KeyError, TypeError, ValueError.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        donated: tuple[int, ...] = (),
        small: float = 0,
        large: Callable[..., Any] | None = None,
        flats: dict[Any, Flat] | None = None,
        apart: bool = True,
    ) -> None:
        self.flats = {} if flats is None else flats
        head, self.outputs, self.order = traced(function, arguments, donated, small)
        outputs = self.outputs
        self.returned: set[int] = set()  # ids of the arrays whose memory is returned
        super().__init__(large=large, **head.scope)
        self.values = {i: Value(name) for i, name in head.names.items()}  # by id
        self.homes: dict[int, tuple[str, Memory]] = {}  # by id, where a node's numbers should lie
        self.results: dict[Any, str] = {}  # of updates, by what `_lazy.update` calls them
        self.copies: dict[int, list[tuple[Lazy, str]]] = {}  # by id of a joined node, what is copied into its place
        laid = [self._lay(k, group, head) for k, group in enumerate(self.order.groups)]
        chains = _loops.chains(self.order)
        self.inside = {id(node) for chain in chains.values() for node in chain}  # what a loop computes, and keeps
        for place, node in enumerate(self.order.nodes):
            if place in chains:
                self._loop(place, chains[place])
            elif node.op == "joined":
                self.lines += [f"copyto({name}, {self._name(g)})" for g, name in self.copies[id(node)]]
            elif id(node) not in self.values and id(node) not in self.inside:
                self.values[id(node)] = self._emit(place, node)
            self.scratch.release(place)
        self._arrive()
        result = self._text(outputs)
        *take, give = self.scratch.ends() or [""]
        hashed = dict.fromkeys(head.hashed[id(node)] for node in self.order.nodes if id(node) in head.hashed)
        body = [
            *head.lines,
            *head.checks.values(),
            *(self._apart(head, donated) if apart else ()),
            *laid,
            *hashed,
            *take,
            *self.lines,
            give,
            f"return {result}",
        ]
        self.source = f"def run({', '.join(head.parameters)}):\n" + "".join(f"    {line}\n" for line in body if line)
        self.scope |= self.scratch.names()
        exec(compile(self.source, "<step>", "exec"), self.scope)
        self.run: Callable[..., Any] = self.scope["run"]

    def poison(self) -> None:
        """Fill the memory that the next run works in with nan, and with the lowest integer."""
        if not self.scratch.made:
            return
        idle = self.scope["idle"]
        scratch = idle.pop() if idle else self.scope["make"]()
        for x in scratch:
            if x.flags.writeable:
                x[...] = np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min if x.dtype.kind == "i" else 1
        idle.append(scratch)

    def _apart(self, head: Arguments, donated: tuple[int, ...]) -> list[str]:
        """The line that refuses leaves which share memory and are both written to."""
        leaves = [(path, x) for i in donated for path, x in tree.items(tree.trained(head.written[i]))]
        leaves = [(path, x) for path, x in leaves if isinstance(x, Lazy) and x.op == "input"]
        if len(leaves) < 2:
            return []
        laid = [x for group in self.order.groups for column in group.columns for x in column]
        if len(self.order.groups) == 1 and len(laid) == len(leaves):  # what lays them out knows them already
            names = {id(x): path for path, x in leaves}
            self.scope["flat0"].apart = Disjoint([names[id(x)] for x in laid])
            return []
        self.scope["disjoint"] = Disjoint([path for path, _ in leaves])
        return [f"disjoint(({', '.join(head.names[id(x)] for _, x in leaves)}))"]

    # Parameters that are updated as one.

    def _lay(self, k: int, group: Group, head: Arguments) -> str:
        """The line that takes a group's flat arrays; and where its gradients and its results should lie."""
        until = self.order.until
        for j, flat in enumerate(group.flats):
            memory = Memory(f"f{k}_{j}", until=until[id(flat)])
            self.values[id(flat)] = Value(memory.name, memory, whole=True)
            self.homes.setdefault(id(self.order.first(group.new[j])), (memory.name, memory))
        names = ", ".join(self.values[id(x)].name for column in group.columns for x in column)
        for x in (x for column in group.columns for x in column):
            del head.checks[self.values[id(x)].name]  # they are known, or looked at there
        shapes, dtype = tuple(p.shape for p in group.columns[0]), group.flats[0].dtype
        self.scope[f"flat{k}"] = self.flats.setdefault((k, len(group.columns), shapes, dtype), Flat(shapes, dtype))
        for place, p, _, own in group.leaves:
            self.results |= {(*place, name): self.values[id(x)].name for name, x in (("", p), *own.items())}
        self._join(group.joined)
        flats = ", ".join(self.values[id(flat)].name for flat in group.flats)
        return f"({names},), ({flats},) = flat{k}(({names},))"

    def _join(self, joined: Lazy) -> None:
        """Let the gradients be written side by side from the first, where they are read no longer than together."""
        memory = self.scratch.new(joined.size * joined.dtype.itemsize)
        whole = self.scratch.array(memory, joined.shape, joined.dtype)
        self.values[id(joined)] = Value(whole, memory, whole=True, early=True)
        memory.until = self.order.until[id(joined)]
        place, start, copies = self.order.place(joined), 0, self.copies.setdefault(id(joined), [])
        for g in map(self.order.first, joined.args):
            name = self.scratch.array(memory, g.shape, g.dtype, start)
            start += g.size
            computed = g.op in ELEMENTWISE or g.op in REDUCTIONS or g.op in ("astype", "matmul")
            if computed and self.order.until[id(g)] == place and id(g) not in {*self.homes, *self.order.finals}:
                self.homes[id(g)] = name, Memory(name)
            else:
                copies.append((g, name))

    def _arrive(self) -> None:
        """What an update computed, to where its parameters lie, if it is not there."""
        targets = [pair for group in self.order.groups for pair in zip(group.flats, group.new, strict=True)]
        pairs = [(self.values[id(flat)], self.values[id(self.order.first(new))]) for flat, new in targets]
        astray = [(home, value) for home, value in pairs if value.memory is not home.memory or not value.whole]
        self.lines += [f"z{i} = {value.name}.copy()" for i, (_, value) in enumerate(astray)]
        self.lines += [f"copyto({home.name}, z{i})" for i, (home, _) in enumerate(astray)]

    # How it is computed.

    def _loop(self, place: int, chain: list[Lazy]) -> None:
        outputs = [node for node in chain if self.order.until[id(node)] > place or node is chain[-1]]
        loop = _loops.Chain(chain, outputs, self.order.first)
        operands = [self._operand(x, dtype) for x, dtype in loop.inputs]
        for i, (x, _) in enumerate(loop.inputs):
            if isinstance(x, Lazy) and not x.shape and x.op != "literal" and not number(x):
                self.scope["asarray"] = host.asarray  # a loop takes arrays, NumPy may have a scalar here
                operands[i] = Operand(f"asarray({operands[i].name})")
        single = self._alone(x for x, _ in loop.inputs)
        for node in outputs:
            self.values[id(node)] = self._target(place, node, single)
        names = [self._name(node) for node in outputs]
        source, arguments = loop.source([operand.name for operand in operands], names)
        self.lines.append(f"{self._object(_loops.compiled(source))}({', '.join(arguments)})")

    def _emit(self, place: int, node: Lazy) -> Value:
        """The lines that compute a node, and where its numbers are then."""
        own = f"r{node.serial}"
        if number(node):
            return self._line(f"n{node.serial}", self._python(node))
        if node.weak:
            raise TraceError(f"{node.op} of a number: as an array it would have a dtype of its own")
        if node.op in ELEMENTWISE or node.op == "astype":
            return self._copied(place, node) if node.op in ("astype", "where") else self._elementwise(place, node)
        if node.op in VIEWS:
            return self._view(node)
        if node.op in ("literal", "arange", "full"):
            name = self._constant(node.op, node.args, node.shape, node.dtype)
            return Value(name, Memory(name, until=FOREVER), whole=True, early=True)
        if node.op == "matmul":
            a, b = map(self._name, node.args)
            return self._call(place, node, self._product(node), f"{a}, {b}, ")
        if node.op in REDUCTIONS and not {*node.kwargs} - {"axis", "keepdims"} and len(node.args) == 1:
            return self._reduction(place, node)
        if node.op in ("update", "result"):
            return Value("None")  # see `results`
        if node.op == "large":
            return self._large(node)
        if node.op == "call":
            self.scope[f"call{node.serial}"] = node.kwargs["function"]
            return self._line(own, f"call{node.serial}(*{self._text(node.kwargs['arguments'], copy=False)})")
        if node.op == "part":
            return self._line(own, f"{self._name(node.args[0])}{node.args[1]}")
        # any other function makes an array of its own
        self.scope[node.op] = getattr(host, node.op)
        options = "".join(f", {key}={self._object(value)}" for key, value in node.kwargs.items())
        return self._line(own, f"{node.op}({', '.join(map(self._argument, node.args))}{options})")

    def _large(self, node: Lazy) -> Value:
        p, g = map(self._name, node.args[:2])
        own = ", ".join(f"{name!r}: {self._name(x)}" for name, x in node.kwargs["own"].items())
        rule, scalars = self._object(node.kwargs["rule"]), self._text(node.kwargs["scalars"], copy=False)
        threads = not any(other.op == "matmul" for other in self.order.nodes)
        value = self._line(f"u{node.serial}", f"large({rule}, {p}, {g}, {{{own}}}, {scalars}, {threads})")
        texts = {name: f"{value.name}[1][{name!r}]" for name in node.kwargs["own"]} | {"": f"{value.name}[0]"}
        self.results |= {(*node.kwargs["place"], name): text for name, text in texts.items()}
        return value

    # Names and texts.

    def _argument(self, x: Any) -> str:
        if isinstance(x, (tuple, list)) and list(parts(x)):
            return f"[{', '.join(map(self._argument, x))}]"
        return self._name(x) if isinstance(x, Lazy) else self._object(x)

    def _text(self, nest: Any, copy: bool = True) -> str:
        """The source of a nest: of results, which must not lie in memory that is used again, or of arguments."""
        if type(nest) is dict:
            return "{" + ", ".join(f"{key!r}: {self._text(value, copy)}" for key, value in nest.items()) + "}"
        if type(nest) in (list, tuple):
            inside = "".join(f"{self._text(value, copy)}, " for value in nest)
            return f"[{inside}]" if type(nest) is list else f"({inside})"
        if isinstance(nest, Lazy) and nest.op == "result":
            return self.results[id(nest.args[0]), *nest.args[1:]]
        if isinstance(nest, Lazy):
            node = self.order.first(nest)
            value, root = self.values[id(node)], self.order.root(node)
            if not copy or number(node):
                return value.name
            again = root in self.returned
            self.returned.add(root)
            return f"{value.name}.copy()" if again or value.memory is not None else value.name
        if copy and nest is not None and type(nest) not in (bool, int, float, str):
            raise TraceError(f"a result of type {type(nest).__name__}")
        return self.values[id(nest)].name if hasattr(nest, "words") else self._object(nest)

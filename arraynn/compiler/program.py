"""From a function to its programs: traced once for each form of its arguments, lowered, kept, and printed on request.

ARRAYNN_DEBUG=graph,source,memory prints what is made. ARRAYNN_STRICT_COMPILE=1 makes an error inside the compiler an
error; else the function runs as it is, and a warning says so.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from . import tuning
from .graph import Graph, Node, Operand, TraceError, reachable
from .passes import simplify
from .signature import GuardFailed, Signature
from .trace import flattened

log = logging.getLogger("arraynn")


@dataclass(frozen=True)
class Program:
    """run(*arguments), for arguments of one form; GuardFailed for others, before anything is written.

    source : of run. graph : what it computes. arena : the source that makes its memory; memory : how that is used.
    poison() fills the memory that the next run works in with nan, and with the lowest integer.
    """

    run: Callable[..., Any]
    source: str
    graph: Graph
    arena: str = ""
    memory: str = ""
    poison: Callable[[], None] = lambda: None


class Traced:
    """A function's graph: what it returned, as a nest with an Operand for each of the outputs."""

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self.signature, self.graph = signature, signature.graph
        results = function(*signature.tracers)
        self.form, outputs = flattened(self.graph, results)
        if self.graph.refusal:  # said somewhere, and caught there
            raise TraceError(self.graph.refusal)
        self.outputs = simplify(self.graph, outputs)

    def order(self) -> list[Node]:
        return reachable([*self.outputs, *self.graph.effects])


def make(
    function: Callable[..., Any],
    signature: Callable[[Graph], Signature],
    lower: Callable[[Traced], Program],
    twice: bool = False,
) -> Program | None:
    """The function's program for such arguments; None where it cannot be compiled, with the reason in the log.

    twice : trace it twice, and refuse it where the two differ.
    """
    try:
        traced = Traced(function, signature(Graph()))
        if twice and fingerprint(traced) != fingerprint(Traced(function, signature(Graph()))):
            raise TraceError("two traces of it differ")
    except Exception as error:  # whatever the function raises on tracers
        if _ours(error) and strict():
            raise
        log.info("this function is not compiled, and runs as it is: %s: %s", type(error).__name__, error)
        return None
    try:
        program = lower(traced)
    except TraceError as error:
        log.info("this function is not compiled, and runs as it is: %s", error)
        return None
    except Exception as error:
        if strict():
            raise
        log.warning("the compiler failed, and the function runs as it is: %s: %s", type(error).__name__, error)
        return None
    _show(program, traced)
    return program


def fingerprint(traced: Traced) -> list[Any]:
    """What two traces of one function have in common: nodes, what makes them, and constants by their bits."""

    def text(x: Any) -> Any:
        if isinstance(x, dict):
            return [(key, text(value)) for key, value in x.items()]
        if isinstance(x, (tuple, list)):
            return [*map(text, x)]
        if isinstance(x, np.ndarray):
            return x.dtype.str, x.shape, x.tobytes()
        plain = isinstance(x, (bool, int, float, str, slice, np.generic, np.dtype, Operand))
        return repr(x) if plain else type(x)

    order = traced.order()
    places = {node.serial: i for i, node in enumerate(order)}
    nodes = [
        (
            node.op,
            [places[x.serial] for x in node.operands],
            node.shape,
            node.dtype.str,
            node.weak,
            text(node.attributes),
        )
        for node in order
    ]
    return [*nodes, text(traced.form), [places[node.serial] for node in traced.outputs]]


def strict() -> bool:
    """Whether an error inside the compiler is one for its caller."""
    return os.environ.get("ARRAYNN_STRICT_COMPILE") == "1"


def _ours(error: BaseException) -> bool:
    """Whether the error was raised in the compiler's own code, and is no refusal."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    inside = trace is not None and Path(trace.tb_frame.f_code.co_filename).parent == Path(__file__).parent
    return inside and not isinstance(error, (TraceError, AttributeError))


def _show(program: Program, traced: Traced) -> None:
    wanted = os.environ.get("ARRAYNN_DEBUG", "").split(",")
    parts: dict[str, Callable[[], str]] = {
        "graph": lambda: "\n".join(map(repr, traced.order())),
        "source": lambda: program.source,
        "memory": lambda: f"{program.arena}\n{program.memory}",
    }
    for name, text in parts.items():
        if name in wanted:
            print(f"# {name}\n{text()}", file=sys.stderr)


def form_of(nest: Any) -> Any:
    """The key of a specialization: the form of the arguments, and the shapes and dtypes of their arrays."""
    if isinstance(nest, dict):
        return type(nest), tuple((key, form_of(x)) for key, x in nest.items())
    if isinstance(nest, (list, tuple)):
        return type(nest), tuple(map(form_of, nest))
    if nest is None or type(nest) in (bool, str):
        return nest
    if hasattr(nest, "shape"):
        return type(nest), tuple(nest.shape), nest.dtype
    if hasattr(nest, "words"):
        return type(nest), getattr(nest.parts, "count", None)
    return type(nest)


def specialized(
    function: Callable[..., Any],
    program: Callable[[tuple[Any, ...]], Program | None],
    form: Callable[[tuple[Any, ...]], Any] = form_of,
    dropped: Callable[[], bool] = lambda: False,
) -> Callable[..., Any]:
    """function(*arguments), as a program for each form of its arguments; as it is where there is none.

    program : makes the program for such arguments. form : what tells them apart. dropped : whether the programs are
    given up.
    """
    programs: dict[Any, Callable[..., Any]] = {}
    being_made: dict[Any, Event] = {}
    recent: tuple[Callable[..., Any], ...] = ()  # a whole batch and the last of an epoch take turns

    def run(*arguments: Any) -> Any:
        nonlocal recent
        if dropped():
            return function(*arguments)
        for known in recent:
            try:
                result = known(*arguments)
            except GuardFailed:
                continue
            if known is not recent[0]:
                recent = (known, *(other for other in recent if other is not known))
            return result
        key = form(arguments)
        if key not in programs and len(programs) < tuning.PROGRAMS:
            own = Event()
            first = being_made.setdefault(key, own)
            if first is not own:  # other threads wait, and do not make it once more
                first.wait()
            else:
                try:
                    made = program(arguments)
                    programs[key] = function if made is None else made.run
                finally:
                    del being_made[key]
                    own.set()
        found = programs.get(key, function)
        if found is function:
            return function(*arguments)
        # one that takes any arguments would refuse none
        recent = (found, *(other for other in recent[: tuning.RECENT - 1] if other is not found))
        try:
            return found(*arguments)
        except GuardFailed:  # what the form does not tell apart
            return function(*arguments)

    return run

"""Which steps of a GPU's schedule share a launch: random programs give their own numbers in any grouping, and what
should be one launch is one."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arraynn.compiler import fusion, grouping, opaque, tuning
from arraynn.compiler.cuda_codegen import Kernel
from arraynn.compiler.cuda_launch import BlockKernel
from arraynn.compiler.graph import Graph, TraceError, depth_first
from arraynn.compiler.launches import Launch, merged
from arraynn.compiler.program import Traced
from arraynn.compiler.signature import Signature
from tests.backends import graphs, kernels


def schedule(function: Callable[..., Any], *arrays: np.ndarray) -> tuple[Traced, list[fusion.Step]]:
    traced = Traced(function, Signature(Graph(), arrays, (0,)))
    finals = {x.serial for x in traced.outputs}
    return traced, merged(fusion.kernels(depth_first([*traced.outputs, *traced.graph.effects]), finals), finals)


def told(steps: list[fusion.Step]) -> list[str]:
    """launch, kernel, or the operation, but for views."""
    names = ["launch" if isinstance(s, Launch) else "kernel" if s.fused else s.nodes[0].op for s in steps]
    return [name for step, name in zip(steps, names, strict=True) if step.fused or step.nodes[0].kind != "view"]


def launches(function: Callable[..., Any], *shapes: tuple[int, ...]) -> list[str]:
    return told(schedule(function, *(np.zeros(shape, "float32") for shape in shapes))[1])


Run = Callable[[BlockKernel, list[np.ndarray]], list[np.ndarray]]


def computed(traced: Traced, steps: list[fusion.Step], arrays: list[np.ndarray], run: Run) -> list[Any]:
    """The results, step after step. run : computes a launch. A KeyError tells of a step before what it needs."""
    values: dict[int, Any] = {}
    for x in depth_first(traced.outputs):
        if x.op == "input":
            values[x.serial] = arrays[int(x.attributes["name"][1:])]
        elif x.op == "full":
            values[x.serial] = np.full(x.shape, x.value, x.dtype)
    for step in steps:
        if isinstance(step, Launch) or step.fused:
            made = BlockKernel(step) if isinstance(step, Launch) else Kernel(step)
            given = [values[x.serial] for x in made.inputs]
            found = run(made, given) if isinstance(made, BlockKernel) else graphs.evaluated(made, given)
            values |= {x.serial: np.array(a, order="C") for x, a in zip(made.outputs, found, strict=True)}
        else:
            (node,) = step.nodes
            args = [values[x.serial] for x in node.operands]
            if node.op == "getitem":
                values[node.serial] = args[0][node.attributes["index"]]
                continue
            args += [node.shape] if node.op in ("reshape", "broadcast_to") else []
            found = getattr(np, node.op)(*args, **node.attributes.get("options", {}))
            values[node.serial] = found if node.kind == "view" else np.array(found, node.dtype, order="C")
    return [values[x.serial] for x in traced.outputs]


def in_c(functions: dict[str, Any]) -> Run:
    """Launches by the host's compiler. Their memory must lie as they take it."""

    def run(kernel: BlockKernel, arrays: list[np.ndarray]) -> list[np.ndarray]:
        assert all(x.flags.c_contiguous for x in arrays), [
            (x, a.strides) for x, a in zip(kernel.inputs, arrays, strict=True)
        ]
        made = [np.full(x.shape, 77, x.dtype) for x in kernel.outputs]
        given = [*kernel.grid, tuning.THREADS, *map(np.int64, kernel.counts), *arrays, *made]
        functions[kernel.source()](*(x if type(x) is int else kernels.argument_of(x) for x in given))
        return made

    return run


class Program:
    """A random function of x (rows, columns), v (columns,), c (rows, 1): elementwise, reductions, views, products."""

    def __init__(self, seed: int, lines: tuple[str, ...] = ()) -> None:
        rng = random.Random(seed)
        if lines:
            self.rows = self.columns = 3
            self.lines, self.results = list(lines), lines[-1].partition(" = ")[0]
            return
        self.rows, self.columns = rng.choice([1, 2, 3, 7, 40, 300]), rng.choice([1, 2, 3, 3, 7, 33])
        names, self.lines = ["x", "v", "c"], []
        sample = self.arrays(0)
        for i in range(rng.randint(3, 18)):
            a, b = (rng.choice(names[-5:] if rng.random() < 0.7 else names) for _ in range(2))
            axis = rng.choice(["axis=0", "axis=1, keepdims=True", "axis=1", "axis=0, keepdims=True", ""])
            form = rng.choice([
                *[f"{a} {rng.choice('+-*')} {b}"] * 5,
                *[f"xp.{rng.choice(['sum', 'sum', 'max', 'min', 'mean'])}({a}{', ' if axis else ''}{axis})"] * 4,
                f"xp.abs({a}) * 0.5", f"xp.where({a} > 0, {b}, {a})", f"xp.ones_like(x[:, 0]) @ {a}",
                f"{a}[:, None]", f"{a}[:, 0]", f"{a}[None, :]", f"xp.reshape({a}, (-1, 1))",
                f"{a} @ xp.matrix_transpose({b})", f"xp.matrix_transpose({a})",
            ])  # fmt: skip
            self.lines.append(f"y{i} = {form}")
            try:
                found = self.function(f"y{i}")(*sample)[0]
                fits = found.size <= 100_000
            except (ValueError, IndexError, TypeError):
                fits = False
            if fits:
                names.append(f"y{i}")
            else:
                self.lines.pop()
        self.results = ", ".join(f"{name} * 1" for name in rng.sample(names, min(3, len(names))))

    def arrays(self, seed: int) -> list[np.ndarray]:
        """Of values whose sums are exact."""
        rng = np.random.default_rng(seed)
        shapes = (self.rows, self.columns), (self.columns,), (self.rows, 1)
        return [rng.integers(-3, 4, shape).astype("float64") / 4 for shape in shapes]

    def function(self, results: str = "") -> Callable[..., Any]:
        body = "".join(f"    {line}\n" for line in self.lines)
        scope: dict[str, Any] = {"namespace": lambda x: x.__array_namespace__()}
        text = f"def function(x, v, c):\n    xp = namespace(x)\n{body}    return {results or self.results},\n"
        exec(text, scope)
        found: Callable[..., Any] = scope["function"]
        return found


#: of arrays with as many rows as columns, whose shapes do not tell numbers of rows from numbers of columns
SQUARE = (
    ("s = xp.sum(x, axis=1)", "y = x * s"),
    ("s = xp.sum(x, axis=1)", "y = x - s[None, :] + s[:, None]"),
    ("s = xp.sum(x, axis=1)", "w = v * 2", "y = x * w + s[:, None]"),
    ("s = xp.sum(x, axis=1)", "w = v * 2", "y = x * (w[None, :] + v) + s[:, None]"),
    ("s = xp.sum(x, axis=1)", "w = v * 2", "y = (s + w) * 2"),
    ("s = xp.sum(x, axis=0)", "y = x * s + s[:, None]"),
    ("s = xp.sum(x, axis=1)", "y = xp.reshape(s, (1, 3)) * x"),
    ("s = xp.sum(x, axis=1, keepdims=True)", "y = xp.reshape(s, (1, 3)) * x + xp.sum(x * s, axis=1)"),
    ("s = xp.max(x, axis=1, keepdims=True)", "y = xp.broadcast_to(s, (3, 3)) * x"),
    ("s = xp.max(x, axis=1)", "y = xp.broadcast_to(s, (3, 3)) * x + s[:, None]"),
    ("s = xp.max(x, axis=0)", "y = xp.broadcast_to(s, (3, 3)) * x - xp.sum(x * s)"),
    ("s = xp.argmax(x, axis=1)", "y = s[:, None] == xp.argmin(x, axis=1)"),
    ("s = xp.argmax(x, axis=0)", "y = s + xp.sum(xp.astype(x, xp.int32), axis=0)"),
)


def test_random_programs_give_their_own_numbers() -> None:
    """Each by NumPy's functions, in the order of the schedule; and some of them with their launches in C++."""
    tried = []
    programs = [*(Program(seed, lines) for seed, lines in enumerate(SQUARE)), *map(Program, range(400))]
    for seed, program in enumerate(programs):
        try:
            traced, steps = schedule(program.function(), *program.arrays(seed))
        except TraceError:  # a program that the tracer refuses
            continue
        tried.append((program, program.arrays(seed), traced, steps))
    assert len(tried) > 200
    own = [BlockKernel(step) for *_, steps in tried[:100] for step in steps if isinstance(step, Launch)]
    sources = list({kernel.source(): None for kernel in own})
    assert len(sources) > 50
    has_compiler = kernels.compiler() is not None
    functions = dict(zip(sources, kernels.compiled_together(sources), strict=True)) if has_compiler else {}
    for i, (program, arrays, traced, steps) in enumerate(tried):
        read = {x.serial for step in steps for x in step.reads()} | {x.serial for x in traced.outputs}
        assert {x.serial for step in steps if step.fused for x in step.outputs} <= read, "\n".join(program.lines)
        want = program.function()(*arrays)
        for run in [graphs.evaluated, in_c(functions)] if i < 100 and functions else [graphs.evaluated]:
            for a, b in zip(computed(traced, steps, arrays, run), want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg="\n".join(program.lines))


def test_a_softmax_is_one_launch_and_so_is_a_normalization() -> None:
    def softmax(x: Any) -> Any:
        xp = x.__array_namespace__()
        e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def normalized(x: Any, scale: Any) -> Any:
        xp = x.__array_namespace__()
        centred = x - xp.mean(x, axis=0)
        return centred / xp.sqrt(xp.mean(centred * centred, axis=0)) * scale

    assert launches(softmax, (300, 3)) == launches(softmax, (5, 7, 64)) == ["launch"]
    assert launches(normalized, (300, 64), (64,)) == ["launch"]


def test_sums_that_nobody_waits_for_go_together() -> None:
    def function(x: Any, w: Any, v: Any) -> Any:
        xp = x.__array_namespace__()
        ones = xp.ones_like(x[:, 0])
        y = x @ w
        z = y @ v
        return ones @ x, ones @ y, ones @ z, xp.sum(z)

    assert launches(function, (300, 4), (4, 5), (5, 6)) == ["matmul", "matmul", "launch"]


def test_elementwise_results_of_several_shapes_go_together_where_they_are_needed_at_once() -> None:
    def function(p: Any, q: Any, g: Any, h: Any) -> Any:
        leaves = [(p, g * 2, {}), (q, h * 2, {})]
        (a, _), (b, _) = opaque.update(lambda *_: None, leaves, {})
        return a, b

    assert launches(function, (2, 2), (3,), (2, 2), (3,))[:2] == ["launch", "update"]


def test_what_an_update_consumes_is_read_before() -> None:
    def function(p: Any, g: Any) -> Any:
        xp = p.__array_namespace__()
        penalty = xp.sum(p * p)
        ((new, _),) = opaque.update(lambda *_: None, [(p, g, {})], {})
        return new, penalty

    assert launches(function, (4, 3), (4, 3))[:2] == ["launch", "update"]


def test_what_is_made_of_an_updates_result_is_no_part_of_a_group_before_it() -> None:
    def function(p: Any, g: Any) -> Any:
        xp = p.__array_namespace__()
        norm = xp.sum(p * p, axis=1, keepdims=True)
        ((new, _),) = opaque.update(lambda *_: None, [(p, g, {})], {})
        return new, new / norm

    assert launches(function, (4, 3), (4, 3)) == ["launch", "update", "result", "kernel"]


def test_long_sums_are_left_to_the_library() -> None:
    """A block of threads would take longer than a launch, and most of the GPU would have nothing to do."""

    def function(x: Any) -> Any:
        return x.__array_namespace__().ones_like(x[:, 0]) @ x

    most = tuning.LANE * tuning.THREADS // tuning.COLUMNS
    assert launches(function, (most, 512)) == ["launch"]
    assert launches(function, (most + 1, 512)) == ["matmul"]


def test_a_long_recurrence_is_grouped_without_looking_through_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reduction looked through all steps, and each step through all that it computes again: minutes."""
    looked, lies = 0, grouping._lies

    def counted(*args: Any) -> bool:
        nonlocal looked
        looked += 1
        return lies(*args)

    def function(x: Any, w: Any, count: int) -> Any:
        xp = x.__array_namespace__()
        cell = x
        for _ in range(count):
            gate = x @ w
            gate = gate - xp.mean(gate, axis=1, keepdims=True)
            cell = cell * 0.5 + gate / xp.sqrt(xp.mean(gate * gate, axis=1, keepdims=True) + 1e-5)
            x = xp.tanh(cell) * gate
        return x

    monkeypatch.setattr(grouping, "_lies", counted)
    found = []
    for count in (100, 200):
        looked = 0
        schedule(lambda x, w, count=count: function(x, w, count), *(np.zeros((8, 8), "float32") for _ in range(2)))
        found.append(looked)
    assert found[1] < 2.5 * found[0], found


def test_what_is_put_off_keeps_no_more_memory_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any, w: Any) -> Any:
        xp, sums = x.__array_namespace__(), []
        for _ in range(4):
            x = x @ w
            sums.append(xp.sum(x, axis=0))
        return tuple(sums)

    assert launches(function, (300, 8), (8, 8)) == ["matmul"] * 4 + ["launch"]
    monkeypatch.setattr(tuning, "PUT_OFF", 300 * 8 * 4)
    assert launches(function, (300, 8), (8, 8)).count("launch") == 2


def test_reductions_share_no_more_memory_than_a_block_has() -> None:
    def function(x: Any) -> Any:
        return tuple(x.__array_namespace__().sum(x * float(i), axis=0) for i in range(40))

    steps = schedule(function, np.zeros((5, 4), "float32"))[1]
    groups = [group for step in steps if isinstance(step, Launch) for group in step.groups]
    assert max(sum(x.op == "sum" for x in group.nodes) for group in groups) == tuning.REDUCTIONS
    assert tuning.REDUCTIONS * tuning.THREADS * 8 <= 48 << 10


def test_a_launch_takes_no_more_arguments_than_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(*arrays: Any) -> Any:
        return tuple(x.__array_namespace__().sum(x, axis=0) for x in arrays)

    shapes = [(5, i + 2) for i in range(9)]
    assert launches(function, *shapes) == ["launch"]
    monkeypatch.setattr(tuning, "ARGUMENTS", 9)
    assert launches(function, *shapes) == ["launch"] * 3

"""The CUDA kernels made from the optimizers' rules, proved without a GPU: compiled for every architecture by NVRTC,
run by the host's C++ compiler against the portable rule, and launched through the hook with a stand-in for CuPy."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends.base import Backend
from arraynn.backends.cupy import backend as cupy_backend
from arraynn.backends.cupy import update_kernel
from arraynn.backends.cupy.backend import CuPy
from arraynn.compiler.rules import Rule, rule_of
from tests.backends import kernels

RULES = [
    nn.SGD(0.1),
    nn.SGD(0.1, momentum=0.9),
    nn.SGD(0.1, momentum=0.9, nesterov=True),
    nn.Adagrad(0.1),
    nn.RMSProp(0.1),
    nn.Adam(0.1),
    nn.AdamW(0.1, weight_decay=0.01),
    nn.NAdam(0.1),
    nn.AMSGrad(0.1),
    nn.Adadelta(0.1),
    nn.Lion(0.1, weight_decay=0.01),
    nn.RAdam(0.1),
    nn.EMA(nn.Adam(0.1), decay=0.9),
    nn.SWA(nn.SGD(0.1, momentum=0.9), start=2, every=2),
]
SEEN = {type(rule) for rule in RULES}
RULES += [kind(0.1) for kind in nn.optimizers.named_optimizers().values() if kind not in SEEN]
NAMES = [f"{type(rule).__name__}{i}" for i, rule in enumerate(RULES)]
SHAPES = [(7, 5), (5,), (3, 0), (600, 1), ()]
needs_compiler = pytest.mark.skipif(kernels.compiler() is None, reason="no C++ compiler: g++ or clang++")
every_rule = pytest.mark.parametrize("rule", RULES, ids=NAMES)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def leaves_of(rule: Any, dtype: str, shapes: Any = SHAPES, seed: int = 0) -> list[Any]:
    """(p, g, slots) for each shape, of every size of number; a few are 0, infinite, nan."""
    rng = np.random.default_rng(seed)

    def draw(shape: Any) -> np.ndarray:
        x = rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 2, shape)
        return np.asarray(np.where(rng.random(shape) < 0.1, rng.choice([0.0, -0.0, np.inf, np.nan], shape), x), dtype)

    leaves = []
    for shape in shapes:
        p, g = draw(shape), draw(shape)
        leaves.append((p, g, rule.init_one(p)))
    return leaves


def loop_of(rule: Any, dtype: str = "float32") -> Rule:
    found = rule_of(rule.update_one, tuple(rule.init_one(np.zeros(1, dtype))), rule.scalars(0), dtype)
    assert found is not None, f"{rule} cannot be traced"
    return found


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cupy of which there are kernels and devices only, and NumPy arrays that say they are on one."""

    class Device:
        entered: ClassVar[list[int]] = []

        def __init__(self, number: int) -> None:
            self.id = number

        def __enter__(self) -> None:
            self.entered.append(self.id)

        def __exit__(self, *error: Any) -> None:
            pass

        def __eq__(self, other: Any) -> bool:
            return bool(self.id == other.id)

    module = SimpleNamespace(RawKernel=kernels.HostKernel, cuda=SimpleNamespace(Device=Device), ndarray=OnGPU)
    monkeypatch.setitem(sys.modules, "cupy", module)
    cupy_backend._kernel.cache_clear()
    yield module
    cupy_backend._kernel.cache_clear()


class OnGPU(np.ndarray):
    """A NumPy array that names a GPU as its device."""

    number = 0

    @property
    def device(self) -> Any:  # type: ignore[override]
        return sys.modules["cupy"].cuda.Device(self.number)


def on_gpu(leaves: list[Any], number: int = 0) -> list[Any]:
    def move(x: np.ndarray) -> np.ndarray:
        moved = x.copy(order="K").view(OnGPU)
        moved.number = number
        return moved

    return [(move(p), move(g), {name: move(slot) for name, slot in slots.items()}) for p, g, slots in leaves]


def same(got: list[Any], want: list[Any]) -> None:
    for (p, slots), (q, own) in zip(got, want, strict=True):
        np.testing.assert_array_equal(np.asarray(p), q)
        assert slots.keys() == own.keys()
        for name in own:
            np.testing.assert_array_equal(np.asarray(slots[name]), own[name])


def launches(rule: Any, dtype: str, leaves: int) -> int:
    return len(cupy_backend._kernel(loop_of(rule, dtype), leaves, False).launches)


@needs_compiler
@every_rule
@both_dtypes
def test_a_kernel_run_on_the_host_gives_the_bits_of_the_rule(stand_in: Any, rule: Any, dtype: str) -> None:
    leaves = leaves_of(rule, dtype)
    moved = on_gpu(leaves)
    run, reference = CuPy.elementwise(rule.update_one), Backend.elementwise(rule.update_one)
    with np.errstate(all="ignore"):
        for step in range(4):
            want = reference(leaves, rule.scalars(step))
            got = run(moved, rule.scalars(step))
            assert launches(rule, dtype, len(SHAPES)) == step + 1
            same(got, want)
            leaves = [(p, g, slots) for (p, slots), (_, g, _) in zip(want, leaves, strict=True)]
            moved = [(p, g, slots) for (p, slots), (_, g, _) in zip(got, moved, strict=True)]


@needs_compiler
def test_one_launch_updates_all_leaves_and_writes_in_place(stand_in: Any) -> None:
    rule = nn.Adam(0.1)
    moved = on_gpu(leaves_of(rule, "float32", [(3,)] * (update_kernel.LEAVES + 2)))
    results = CuPy.elementwise(rule.update_one)(moved, rule.scalars(0))
    assert all(p is leaf[0] and slots is leaf[2] for (p, slots), leaf in zip(results, moved, strict=True))
    assert [launches(rule, "float32", n) for n in (update_kernel.LEAVES, 2)] == [1, 1]


@needs_compiler
def test_leaves_of_several_dtypes_and_gpus_go_each_to_their_own(stand_in: Any) -> None:
    rule = nn.Adam(0.1)
    leaves = [
        *leaves_of(rule, "float32", [(4,)]),
        *leaves_of(rule, "float64", [(5,)]),
        *leaves_of(rule, "float32", [(6,)]),
    ]
    moved = [*on_gpu(leaves[:2]), *on_gpu(leaves[2:], number=1)]
    got = CuPy.elementwise(rule.update_one)(moved, rule.scalars(0))
    same(got, Backend.elementwise(rule.update_one)(leaves, rule.scalars(0)))
    assert stand_in.cuda.Device.entered == [0, 0, 1]


@needs_compiler
def test_memory_that_is_not_contiguous_takes_the_portable_rule(stand_in: Any) -> None:
    rule = nn.SGD(0.1)
    p, g = np.ones((4, 3), "float32").T, np.ones((3, 4), "float32")
    moved = on_gpu([(p, g, {})])
    assert not moved[0][0].flags.c_contiguous
    same(CuPy.elementwise(rule.update_one)(moved, rule.scalars(0)), [(rule.update_one(p.copy(), g, {}, {"lr": 0.1}))])


def test_what_is_no_method_of_an_optimizer_takes_the_portable_rule(stand_in: Any) -> None:
    leaf = (np.ones(2), np.ones(2), {})
    assert CuPy.elementwise(lambda p, g, slots, c: (p - g, slots))([leaf], {})[0][0].tolist() == [0, 0]
    assert CuPy.elementwise(nn.SGD(0.1).update_one)([], {}) == []


@every_rule
def test_every_rule_has_a_kernel_that_writes_all_it_computes(rule: Any) -> None:
    """A missing update is seen here: what the rule returns is written, and nothing else."""
    text = loop_of(rule).cuda(2)
    for i in (0, *range(2, 2 + len(rule.init_one(np.zeros(1))))):
        assert f"    a{i}[i] = " in text
    assert "    a1[i] = " not in text  # the gradient
    assert '"' not in text.replace('extern "C"', "")
    assert "#include" not in text


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"), [(" - t", " + t"), ("a3[i] = ", "//"), ("i += stride", "i += 2 * stride"), ("sqrt", "fabs")]
)
def test_a_broken_kernel_is_seen(stand_in: Any, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    """A wrong sign, a missing update, a skipped element, another function: the comparison with the rule finds each."""
    source = Rule.cuda
    assert right in loop_of(nn.Adam(0.1)).cuda(1)
    monkeypatch.setattr(Rule, "cuda", lambda *args: source(*args).replace(right, wrong, 1))
    monkeypatch.setattr(update_kernel, "BLOCKS", 1)
    rule = nn.Adam(0.1)
    leaves = leaves_of(rule, "float32", [(600,)])
    moved = on_gpu(leaves)
    with np.errstate(all="ignore"):
        want = Backend.elementwise(rule.update_one)(leaves, rule.scalars(0))
        got = CuPy.elementwise(rule.update_one)(moved, rule.scalars(0))
    with pytest.raises(AssertionError):
        same(got, want)


@every_rule
def test_nvrtc_compiles_every_kernel_for_every_architecture(rule: Any) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="pip install cuda-bindings nvidia-cuda-nvrtc")
    found = kernels.architectures()
    assert {75, 80, 90} <= set(found)
    for dtype in ("float32", "float64"):
        text = loop_of(rule, dtype).cuda(update_kernel.LEAVES)
        for architecture in found if dtype == "float32" else found[:1]:
            ptx = kernels.to_ptx(text, architecture, update_kernel.OPTIONS)
            assert ".entry update(" in ptx
            assert f".target sm_{architecture}" in ptx
            assert "fma.rn" not in ptx or "sqrt" in text or "tanh" in text  # no contraction of the rule's own


@pytest.mark.cuda
@every_rule
@both_dtypes
def test_on_a_gpu_a_kernel_gives_what_the_portable_rule_gives_there(rule: Any, dtype: str) -> None:
    gpu = nn.backend("cupy")
    leaves = leaves_of(rule, dtype)
    first, second = (
        [
            (gpu.asarray(p, copy=True), gpu.asarray(g), {n: gpu.asarray(s, copy=True) for n, s in slots.items()})
            for p, g, slots in leaves
        ]
        for _ in range(2)
    )
    with gpu.context():
        for step in range(3):
            got = CuPy.elementwise(rule.update_one)(first, rule.scalars(step))
            want = Backend.elementwise(rule.update_one)(second, rule.scalars(step))
            host = [
                [(gpu.to_numpy(p), {n: gpu.to_numpy(s) for n, s in own.items()}) for p, own in r] for r in (got, want)
            ]
            same(*host)
            first = [(p, g, own) for (p, own), (_, g, _) in zip(got, first, strict=True)]
            second = [(p, g, own) for (p, own), (_, g, _) in zip(want, second, strict=True)]

"""What ci/gpu measures, without a GPU: the same code on the recording stand-in, with a clock and a profiler that say
what a test tells them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import arraynn as nn
from ci.bench.workloads import MNIST, WORKLOADS
from ci.gpu_bench import __main__ as gpu_bench
from ci.gpu_bench import lanes, launches, trained
from tests.backends import kernels, recording

ROOT = Path(__file__).parents[1]
SMALL = [replace(work, rows=16, widths=(*(min(w, 24) for w in work.widths[:-1]), 10)) for work in WORKLOADS.values()]
needs_compiler = pytest.mark.skipif(kernels.compiler() is None, reason="no C++ compiler: g++ or clang++")


@pytest.fixture
def gpu() -> Iterator[Any]:
    with recording.recording() as opened:
        opened.synchronize = lambda: None  # between two measurements, not within a step
        yield opened


def asked(run: Any) -> list[Any]:
    """The stand-in's calls as events of a profile."""
    recording.CALLS.clear()
    run()
    return [SimpleNamespace(name=c.function, device_type="DeviceType.CUDA") for c in recording.CALLS if not c.free]


@needs_compiler
@pytest.mark.parametrize("work", SMALL, ids=lambda work: work.name)
def test_the_lane_on_a_gpu_computes_the_losses_of_the_one_on_numpy(gpu: Any, work: Any) -> None:
    found = gpu_bench.losses({"numpy": lanes.Ours(work, nn.backend("numpy")), "cupy": lanes.Ours(work, gpu)})
    assert gpu_bench.differ(found) == ""
    assert len(found["cupy"]) == (1 if work.dropout else 2)


@needs_compiler
def test_a_lane_that_computes_something_else_is_seen(gpu: Any) -> None:
    found = gpu_bench.losses({"numpy": lanes.Ours(SMALL[0], nn.backend("numpy"))})
    assert "differ by more than 0.0001" in gpu_bench.differ(found | {"odd": [found["numpy"][0] * 1.001]})
    assert "(odd)" in gpu_bench.differ(found | {"odd": [float("nan")]})


@pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning"
)  # torch.compile imports what torch itself deprecates
@pytest.mark.parametrize("variant", ["", "compile"])
def test_torchs_lane_computes_the_losses_of_ours(variant: str) -> None:
    torch = pytest.importorskip("torch")
    if variant == "compile":
        torch.compiler.set_stance("force_eager")  # what is compiled is the same; the compiler is not at question here
    try:
        both = {"arraynn": lanes.Ours(SMALL[0], nn.backend("numpy")), "torch": lanes.Torch(SMALL[0], variant, "cpu")}
        assert gpu_bench.differ(gpu_bench.losses(both)) == ""
    finally:
        torch.compiler.set_stance("default")


@needs_compiler
def test_a_step_of_mnist_asks_at_most_30_things_and_waits_for_nothing(gpu: Any) -> None:
    lane = lanes.Ours(replace(MNIST, rows=16), gpu)
    found = launches.of_a_step(lane, asked)
    assert found.kernels["matmul"] == 11  # eight of matrices, three that add rows
    assert found.kernels["generated kernel"] == 1
    assert sum(found.kernels.values()) <= gpu_bench.MOST
    assert found.row[1:] == ["0", "0"]


def test_a_profile_is_sorted_into_kernels_copies_and_waits() -> None:
    def event(name: str, kind: str) -> Any:
        return SimpleNamespace(name=name, device_type=f"DeviceType.{kind}")

    found = launches.counted(
        [
            event("ampere_sgemm_128x64_nn", "CUDA"),
            event("fused", "CUDA"),
            event("fused", "CUDA"),
            event("Memset (Device)", "CUDA"),
            event("Memcpy DtoH (Device -> Pageable)", "CUDA"),
            event("cudaLaunchKernel", "CPU"),
            event("cuLaunchKernel", "CPU"),
            event("aten::mm", "CPU"),
            event("cudaStreamSynchronize", "CPU"),
        ]
    )
    assert found.kernels == {"ampere_sgemm_128x64_nn": 1, "fused": 2}
    assert found.row == ["3", "2", "2"]


def test_what_a_profile_begins_and_ends_with_does_not_count() -> None:
    def profiled(run: Any) -> Any:
        run()
        kinds = [("kernel", "CUDA")] * 5 * lane.taken + [("cudaDeviceSynchronize", "CPU"), ("setup", "CUDA")]
        lane.taken = 0
        return [SimpleNamespace(name=name, device_type=kind) for name, kind in kinds]

    lane: Any = SimpleNamespace(taken=0, reset=lambda: None, wait=lambda: setattr(lane, "taken", 0))
    lane.training = lambda: nn.backend("numpy").context()
    lane.steps = lambda count: setattr(lane, "taken", lane.taken + count)
    assert launches.of_a_step(lane, profiled).row == ["5", "0", "0"]


def test_the_profile_of_torch_has_what_is_read_of_it() -> None:
    torch = pytest.importorskip("torch")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(3) + 1
    found = list(profile.events())
    assert "aten::add" in {event.name for event in found}
    assert {str(event.device_type) for event in found} == {"DeviceType.CPU"}
    assert str(torch.autograd.DeviceType.CUDA) == "DeviceType.CUDA"


@needs_compiler
def test_lanes_take_turns_and_times_are_of_one_step(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[tuple[str, int]] = []
    both = {"arraynn": lanes.Ours(SMALL[0], gpu), "torch": lanes.Ours(SMALL[0], nn.backend("numpy"))}
    for name, lane in both.items():
        steps, cost = lane.steps, {"arraynn": 0.5, "torch": 2.0}[name]

        def counting(count: int, name: str = name, steps: Any = steps) -> None:
            turns.append((name, count))
            steps(min(count, 2))

        def elapsed(run: Any, name: str = name, cost: float = cost) -> float:
            run()
            return cost * turns[-1][1]

        monkeypatch.setattr(lane, "steps", counting)
        monkeypatch.setattr(lane, "elapsed", elapsed)
    found = gpu_bench.in_turn(both, rounds=3, seconds=0.02)
    assert turns[4:] == [("arraynn", 40), ("torch", 10)] * 3
    assert {name: times.rounds for name, times in found.items()} == {"arraynn": [0.5] * 3, "torch": [2.0] * 3}
    assert "| **arraynn** | 0.500 |" in gpu_bench.times(found, "spiral: step")


@needs_compiler
def test_the_clock_is_the_gpus_own(gpu: Any) -> None:
    said: list[str] = []

    class Event:
        def record(self) -> None:
            said.append("record")

        def synchronize(self) -> None:
            said.append("synchronize")

    cuda = sys.modules["cupy"].cuda
    cuda.Event, cuda.get_elapsed_time = Event, lambda begin, end: 7
    assert lanes.Ours(SMALL[0], gpu).elapsed(lambda: said.append("run")) == 7.0
    assert said == ["record", "run", "record", "synchronize"]


@needs_compiler
@pytest.mark.parametrize("what", ["times", "launches", "parity"])
def test_each_part_prints_its_tables(
    gpu: Any, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_bench, "WORKLOADS", {work.name: work for work in SMALL})
    monkeypatch.setattr(gpu_bench.nn, "backend", lambda name, real=nn.backend: gpu if name == "cupy" else real(name))
    monkeypatch.setattr(nn.testing._check_backends, "backend", gpu_bench.nn.backend)
    monkeypatch.setattr(lanes.Ours, "elapsed", lambda self, run: (run(), 1.0)[1])
    monkeypatch.setattr(launches, "events", asked)
    assert gpu_bench.main([what, "--rounds", "2", "--seconds", "0.002"]) == 0
    out = capsys.readouterr().out
    for work in [w for w in SMALL if what != "parity" or w.name in ("drop+", "mnist")]:
        assert work.name in out
    wanted = {"times": "quartiles", "launches": "waits for the GPU", "parity": "largest difference from numpy"}
    assert wanted[what] in out


def test_until_somebody_has_run_it_readme_says_so_of_every_gpu() -> None:
    if (ROOT / "ci" / "gpu-results.md").exists():
        pytest.skip("it has been run")
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    claims = [line for line in lines if re.search(r"CUDA GPU|torch:cuda", line)]
    assert len(claims) >= 3
    assert [line for line in claims if "not yet run" not in line] == []


def test_the_notebook_runs_what_is_here() -> None:
    cells = json.loads((ROOT / "ci" / "gpu.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in sources:
        compile("" if source.startswith("!") else source, "gpu.ipynb", "exec")
    named = set(re.findall(r"ci/[\w.-]+", " ".join(sources)))
    assert named == {"ci/gpu", "ci/gpu-results.md"}
    assert (ROOT / "ci" / "gpu").exists()
    assert "gpu-results.md" in (ROOT / "ci" / "gpu").read_text(encoding="utf-8")
    assert not any(cell.get("outputs") for cell in cells)


def test_runs_are_compared_and_one_that_learnt_too_little_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "epoch,loss,accuracy,val_loss,val_accuracy\n"
    for name, accuracy in (("spiral-cupy", 0.86), ("spiral-numpy", 0.87), ("digits-cupy", 0.5)):
        (tmp_path / name).mkdir()
        text = f"{head}0,1,0.5,1,0.4\n1,0.5,0.9,0.6,{accuracy}\n2,0.4,0.9,,\n"
        (tmp_path / name / "history.csv").write_text(text, encoding="utf-8")
    folders = [str(tmp_path / name) for name in ("spiral-cupy", "spiral-numpy")]
    assert gpu_bench.main(["trained", *folders]) == 0
    assert "| spiral-cupy | 0.5000 | 0.9000 | 0.6000 | 0.8600 | 0.84 |" in capsys.readouterr().out
    assert gpu_bench.main(["trained", *folders, str(tmp_path / "digits-cupy")]) == 1
    assert gpu_bench.main(["trained", str(tmp_path / "mnist-cupy")]) == 1
    assert "| mnist-cupy | - |" in capsys.readouterr().out


def test_a_run_of_the_library_leaves_what_is_read(tmp_path: Path) -> None:
    from arraynn.cli import main

    assert (
        main(["train", "spiral", "--samples", "20", "--epochs", "4", "--out", str(tmp_path / "spiral-x"), "--quiet"])
        == 0
    )
    assert 0 < trained.last(tmp_path / "spiral-x")["val_accuracy"] <= 1

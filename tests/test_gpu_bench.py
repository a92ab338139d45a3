"""What ci/gpu measures, without a GPU: the same code on the recording stand-in, with a clock and a profiler that say
what a test tells them."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import arraynn as nn
from ci.bench import lanes, measure
from ci.bench.peers import ON_GPU
from ci.bench.workloads import DENSE, MNIST
from ci.gpu_bench import __main__ as gpu_bench
from ci.gpu_bench import cupy_peer, launches, stages, torch_peer, trained
from tests.backends import kernels, recording

ROOT = Path(__file__).parents[1]
SMALL = [replace(work, rows=16, widths=(*(min(w, 24) for w in work.widths[:-1]), 10)) for work in DENSE.values()]
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


class InProcess:
    """A lane of this process, in the place of one with a process of its own."""

    def __init__(self, peer: Any) -> None:
        self.acting = lanes.Acting(peer)

    def ask(self, what: str, *arguments: Any) -> Any:
        return getattr(self.acting, what)(*arguments)

    def close(self) -> None:
        pass


def losses(peers: dict[str, Any], work: Any) -> dict[str, list[float]]:
    return measure.same_loss({name: InProcess(peer) for name, peer in peers.items()}, work, print)


@needs_compiler
@pytest.mark.parametrize("work", SMALL, ids=lambda work: work.name)
def test_the_peer_on_a_gpu_computes_the_losses_of_the_one_on_numpy(gpu: Any, work: Any) -> None:
    both = {"numpy": cupy_peer.Peer(work, backend=nn.backend("numpy")), "cupy": cupy_peer.Peer(work, backend=gpu)}
    assert len(losses(both, work)["cupy"]) == (1 if work.dropout else 2)


@pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning"
)  # torch.compile imports what torch itself deprecates
@pytest.mark.parametrize("variant", ["", "compile"])
def test_torchs_peer_computes_the_losses_of_ours(variant: str) -> None:
    torch = pytest.importorskip("torch")
    if variant == "compile":
        torch.compiler.set_stance("force_eager")  # what is compiled is the same; the compiler is not at question here
    try:
        theirs = torch_peer.Peer(SMALL[0], variant=variant, device="cpu")
        losses({"arraynn": cupy_peer.Peer(SMALL[0], backend=nn.backend("numpy")), "torch": theirs}, SMALL[0])
    finally:
        torch.compiler.set_stance("default")


def test_a_captured_step_of_torch_restarts_at_each_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    def capture(self: Any) -> None:  # a stand-in for the graph: replaying it takes the step that would be captured
        self.update(self.tx, self.ty)
        self.graph = SimpleNamespace(replay=lambda: self.update(self.tx, self.ty))

    monkeypatch.setattr(torch_peer.Peer, "capture", capture)
    plain_adam = torch_peer.Peer.adam
    monkeypatch.setattr(torch_peer.Peer, "adam", lambda self, **more: plain_adam(self))  # capturable needs a GPU
    theirs = torch_peer.Peer(SMALL[0], variant="graph", device="cpu")
    both = {"arraynn": cupy_peer.Peer(SMALL[0], backend=nn.backend("numpy")), "torch": theirs}
    assert losses(both, SMALL[0]) == losses(both, SMALL[0])
    assert torch.isfinite(theirs.tx).all()


def test_jaxs_peer_computes_the_losses_of_ours() -> None:
    pytest.importorskip("jax")
    from ci.gpu_bench import jax_peer

    theirs = jax_peer.Peer(SMALL[0], device="cpu")
    losses({"arraynn": cupy_peer.Peer(SMALL[0], backend=nn.backend("numpy")), "jax": theirs}, SMALL[0])


@pytest.mark.parametrize("name", [name for name in ON_GPU if name.startswith("torch")])
def test_without_a_gpu_a_peer_reports_it(name: str) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(RuntimeError, match="finds no CUDA GPU"):
        lanes.Lane(name, SMALL[0], 1)


@needs_compiler
@pytest.mark.parametrize(("name", "products", "ours"), [("spiral", 5, 4), ("mnist", 8, 6)])
def test_a_step_asks_no_more_than_is_said_and_waits_for_nothing(
    gpu: Any, name: str, products: int, ours: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = cupy_peer.Peer(replace(DENSE[name], rows=16), variant="kernels", backend=gpu)
    found = launches.of_a_step(lane, asked)
    assert found.kernels == {"matmul": products, "fused kernel": ours, "generated kernel": 1}
    assert found.kernels.total() <= gpu_bench.MOST[name]
    assert found.row[1:] == ["0", "0", "0"]
    assert "more than" not in gpu_bench.named(DENSE[name], "arraynn-kernels", found)


def test_a_step_that_asks_more_than_is_said_is_named() -> None:
    def told(lane: str, count: int) -> str:
        kernels = Counter({"fused": count, "splitKreduce_kernel<float>": 9})
        return gpu_bench.named(MNIST, lane, launches.Asked(kernels, Counter(), Counter(), Counter()))

    assert "more than" not in told("arraynn-kernels", 18)
    assert "more than 18 by" in told("arraynn-kernels", 19)
    assert "more than" not in told("arraynn", 20)
    assert "more than 20 by" in told("arraynn", 21)


@needs_compiler
@pytest.mark.parametrize("work", SMALL, ids=lambda work: work.name)
def test_a_step_as_a_graph_is_two_launches_and_stays_so_after_a_reset(gpu: Any, work: Any) -> None:
    lane = cupy_peer.Peer(work, backend=gpu)
    for _ in range(2):
        found = launches.of_a_step(lane, asked)
        assert found.kernels == {"load": 1, "graph": 1}
    lane.reset()
    with lane.training():
        lane.steps(1)
    assert [call.function for call in recording.CALLS if not call.free][-2:] == ["load", "graph"]


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
            event("cudaGraphLaunch", "CPU"),
            event("aten::mm", "CPU"),
            event("cudaStreamSynchronize", "CPU"),
        ]
    )
    assert found.kernels == {"ampere_sgemm_128x64_nn": 1, "fused": 2}
    assert found.launches == {"cudaLaunchKernel": 1, "cuLaunchKernel": 1, "cudaGraphLaunch": 1}
    assert found.row == ["3", "2", "3", "2"]


def test_the_ends_of_a_profile_do_not_count() -> None:
    def profiled(run: Any) -> Any:
        run()
        kinds = [("kernel", "CUDA")] * 5 * lane.taken + [("cudaDeviceSynchronize", "CPU"), ("setup", "CUDA")]
        lane.taken = 0
        return [SimpleNamespace(name=name, device_type=kind) for name, kind in kinds]

    lane: Any = SimpleNamespace(taken=0, reset=lambda: None, wait=lambda: setattr(lane, "taken", 0))
    lane.training = lambda: nn.backend("numpy").context()
    lane.steps = lambda count: setattr(lane, "taken", lane.taken + count)
    assert launches.of_a_step(lane, profiled).row == ["5", "0", "0", "0"]


def test_the_profile_of_torch_has_the_fields_that_are_read() -> None:
    torch = pytest.importorskip("torch")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(3) + 1
    found = list(profile.events())
    assert "aten::add" in {event.name for event in found}
    assert {str(event.device_type) for event in found} == {"DeviceType.CPU"}
    assert str(torch.autograd.DeviceType.CUDA) == "DeviceType.CUDA"


@needs_compiler
def test_times_are_measured_by_gpu_events(gpu: Any) -> None:
    said: list[str] = []

    class Event:
        def record(self) -> None:
            said.append("record")

        def synchronize(self) -> None:
            said.append("synchronize")

    cuda = sys.modules["cupy"].cuda
    cuda.Event, cuda.get_elapsed_time = Event, lambda begin, end: 7
    assert cupy_peer.Peer(SMALL[0], backend=gpu).elapsed(lambda: said.append("run")) == 7.0
    assert said == ["record", "run", "record", "synchronize"]


@needs_compiler
@pytest.mark.parametrize("what", ["times", "launches", "parity", "memory"])
def test_each_part_prints_its_tables(
    gpu: Any, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def open_lanes(peers: list[str], work: Any, threads: int, say: Any, at_once: bool = False) -> dict[str, Any]:
        made = {peer: InProcess(cupy_peer.Peer(work, backend=backends[peer])) for peer in peers}
        if "jax-cuda" in made:
            made["jax-cuda"].acting.peer.elapsed = lambda run: (run(), float("nan"))[1]  # it has no events
        return made

    backends = {"arraynn-cupy": gpu, "jax-cuda": nn.backend("numpy")}
    monkeypatch.setattr(gpu_bench, "ON_GPU", backends)
    monkeypatch.setattr(gpu_bench, "installed", lambda name: True)
    monkeypatch.setattr(gpu_bench, "open_lanes", open_lanes)
    monkeypatch.setattr(cupy_peer.Peer, "device_memory", lambda self: 5_000_000)
    monkeypatch.setattr(gpu_bench, "DENSE", {work.name: work for work in SMALL})
    monkeypatch.setattr(gpu_bench.nn, "backend", lambda name, real=nn.backend: gpu if name == "cupy" else real(name))
    monkeypatch.setattr(nn.testing._check_backends, "backend", gpu_bench.nn.backend)
    monkeypatch.setattr(cupy_peer, "elapsed", lambda run: (run(), 1.0)[1])
    monkeypatch.setattr(launches, "events", asked)
    assert gpu_bench.main([what, "--rounds", "2", "--seconds", "0.002"]) == 0
    out = capsys.readouterr().out
    named = {"times": gpu_bench.MEASURED, "launches": [w.name for w in SMALL], "parity": ["drop+", "mnist"]}
    assert [name for name in named.get(what, []) if name not in out] == []
    wanted = {"times": "step, device", "launches": "waits for the GPU", "parity": "largest difference from numpy"}
    assert wanted.get(what, "| mnist | 5 | 5 |") in out


def test_lanes_begin_side_by_side_and_one_that_cannot_is_named() -> None:
    said: list[str] = []
    opened = measure.open_lanes(["handwritten", "nobody"], SMALL[0], 1, said.append, at_once=True)
    try:
        assert list(opened) == ["handwritten"]
        assert opened["handwritten"].ask("step", 1)[0] > 0
        assert [text.partition(": Key")[0] for text in said] == ["spiral: without nobody"]
    finally:
        measure.close(opened)


def test_a_lane_that_computes_something_else_costs_its_workload_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Other(cupy_peer.Peer):
        def loss(self) -> float:
            return super().loss() + (self.work.name == "spiral")

    def open_lanes(peers: list[str], work: Any, threads: int, say: Any, at_once: bool = False) -> dict[str, Any]:
        kinds = {"arraynn-cupy": cupy_peer.Peer, "jax-cuda": Other}
        return {peer: InProcess(kinds[peer](work, backend=nn.backend("numpy"))) for peer in peers}

    monkeypatch.setattr(gpu_bench, "ON_GPU", {"arraynn-cupy": 0, "jax-cuda": 0, "torch-cuda-compile": 0})
    monkeypatch.setattr(gpu_bench, "installed", lambda name: True)
    monkeypatch.setattr(gpu_bench, "open_lanes", open_lanes)
    monkeypatch.setattr(gpu_bench, "DENSE", {work.name: work for work in SMALL})
    monkeypatch.setattr(cupy_peer.Peer, "elapsed", lambda self, run: (run(), 1.0)[1])
    assert gpu_bench.main(["times", "--rounds", "2", "--seconds", "0.002"]) == 1
    out = capsys.readouterr().out
    assert "spiral: losses differ" in out
    assert "spiral: step" not in out
    assert "wide: step, device" in out


@pytest.mark.parametrize("what", ["times", "memory"])
def test_without_cupy_nothing_is_measured_and_that_is_a_failure(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_bench, "open_lanes", lambda *arguments, **options: {})
    assert gpu_bench.main([what]) == 1
    assert "without arraynn-cupy" in capsys.readouterr().out


# ---------------------------------------------------------------- the stages of ci/gpu


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """main(programs, *arguments): the stages are these programs; pages are written below tmp_path alone."""
    (tmp_path / "ci").mkdir()
    monkeypatch.setattr(stages, "ROOT", tmp_path)

    def main(programs: dict[str, tuple[str, float]], *arguments: str) -> tuple[int, str, dict[str, Any]]:
        made = [stages.Stage(name, name.title(), ("-c", text), limit) for name, (text, limit) in programs.items()]
        monkeypatch.setattr(stages, "stages", lambda out: made)
        code = stages.main(["--out", str(tmp_path / "out"), *arguments])
        page = (tmp_path / "out" / "gpu-results.md").read_text(encoding="utf-8")
        assert (tmp_path / "ci" / "gpu-results.md").read_text(encoding="utf-8") == page
        return code, page, stages.known(tmp_path / "out")

    return main


def test_each_stage_keeps_what_it_found_though_another_fails_or_hangs(tried: Any) -> None:
    hangs = "import subprocess, sys; print('begun', flush=True); subprocess.run(['sleep', '600'])"
    programs = {"good": ("print('found this')", 20), "bad": ("print('so far'); 1 / 0", 20), "slow": (hangs, 2)}
    code, page, results = tried(programs)
    assert code == 1
    assert [found["status"] for found in results.values()] == ["passed", "failed with status 1", "ended after 2 s"]
    assert page.startswith("# On a GPU: FAILED: bad (failed with status 1); slow (ended after 2 s)")
    assert all(text in page for text in ("found this", "so far", "ZeroDivisionError", "begun"))


def test_a_stage_past_its_limit_has_time_to_tell_what_it_found(tried: Any) -> None:
    """As pytest does: it names each test as it ends, and says at Ctrl-C which failed."""
    tells = "import time\nprint('begun', flush=True)\ntry: time.sleep(600)\nexcept KeyboardInterrupt: print('2 failed')"
    _, page, results = tried({"slow": (tells, 2)})
    assert results["slow"]["status"] == "ended after 2 s"
    assert "2 failed" in page


def test_whatever_takes_long_the_times_are_taken_within_seven_minutes() -> None:
    """The limits of all that comes first, and of the times themselves."""
    every = stages.stages(Path("out"))
    place = [stage.name for stage in every].index("times")
    assert sum(stage.limit for stage in every[: place + 1]) <= 7 * 60


def test_a_repeated_stage_replaces_its_old_result(tried: Any, tmp_path: Path) -> None:
    flag = f"import os; print('again', os.path.exists({str(tmp_path / 'mended')!r})); "
    programs = {"first": ("print('stays')", 20), "second": (flag + f"os.stat({str(tmp_path / 'mended')!r})", 20)}
    assert tried(programs)[0] == 1
    (tmp_path / "mended").touch()
    code, page, _ = tried(programs, "--stage", "second")
    assert code == 0
    assert page.startswith("# On a GPU: passed")
    assert "stays" in page
    assert "again True" in page


def test_a_stage_without_time_left_is_reported(tried: Any) -> None:
    code, page, results = tried({"only": ("print('never')", 20)}, "--minutes", "0")
    assert code == 1
    assert results["only"]["status"] == "not run: no time was left"
    assert "only (not run: no time was left)" in page


def test_an_unknown_stage_is_refused(tried: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tried({"only": ("pass", 20)}, "--stage", "onyl")
    assert "onyl is none of only" in capsys.readouterr().err


def test_all_stages_exist_with_the_most_valuable_first() -> None:
    names = [stage.name for stage in stages.stages(Path("out"))]
    assert names[:7] == ["doctor", "blocks", "graphs", "tests", "parity", "launches", "times"]
    assert {"spiral-cupy", "digits-cupy", "mnist-cupy", "trained", "memory"} <= {*names}


def test_until_the_gpu_script_has_run_readme_says_not_yet_run() -> None:
    if (ROOT / "ci" / "gpu-results.md").exists():
        pytest.skip("it has been run")
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    claims = [line for line in lines if re.search(r"CUDA GPU|torch:cuda", line)]
    assert len(claims) >= 3
    assert [line for line in claims if "not yet run" not in line] == []


def test_the_notebook_runs_existing_files() -> None:
    cells = json.loads((ROOT / "ci" / "gpu.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in sources:
        compile("" if source.startswith("!") else source, "gpu.ipynb", "exec")
    named = set(re.findall(r"ci/[\w.-]+", " ".join(sources)))
    assert named == {"ci/gpu", "ci/gpu-results.md"}
    assert (ROOT / "ci" / "gpu").exists()
    assert "gpu-results.md" in (ROOT / "ci" / "gpu").read_text(encoding="utf-8")
    assert not any(cell.get("outputs") for cell in cells)


def test_a_run_that_learnt_too_little_is_found_by_comparison(
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


def test_a_run_of_the_library_leaves_the_files_that_are_read(tmp_path: Path) -> None:
    from arraynn.cli import main

    assert (
        main(["train", "spiral", "--samples", "20", "--epochs", "4", "--out", str(tmp_path / "spiral-x"), "--quiet"])
        == 0
    )
    assert 0 < trained.last(tmp_path / "spiral-x")["val_accuracy"] <= 1


@needs_compiler
@pytest.mark.parametrize(
    ("data", "options"), [("spiral", ["--samples", "20", "--epochs", "8"]), ("digits", ["--epochs", "1"])]
)
def test_the_trainings_run_on_the_stand_in(data: str, options: list[str], tmp_path: Path) -> None:
    """By the command of the stages, for fewer epochs: the accuracies are those of NumPy."""
    from arraynn.cli import main

    found = {}
    with recording.recording(), recording.importable(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording.Device, "synchronize", lambda self: None)
        for backend in ("cupy", "numpy"):
            folder = tmp_path / f"{data}-{backend}"
            assert main(["train", data, "--backend", backend, "--out", str(folder), "--quiet", *options]) == 0
            found[backend] = trained.last(folder)
        assert any(call.function == "graph" for call in recording.CALLS)
    assert found["cupy"] == pytest.approx(found["numpy"], rel=1e-2)

"""`python -m ci.gpu_bench.stages --out DIR`: all that ci/gpu runs, most valuable first.

Each stage has a time limit of its own, and its output is on disk while it runs. The page DIR/gpu-results.md is written
anew after each stage, so whatever ends the run loses nothing that was found. `--stage NAME` runs one stage again and
puts its result in the place of the old one. The page is also written to ci/gpu-results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCKS, GRAPHS = "tests/backends/test_on_cuda.py", "tests/backends/test_graphs_on_cuda.py"
TRAINED = ("spiral", "digits", "mnist")
GRACE = 10  #: seconds that a stage has, past its limit, to say what it found


@dataclass(frozen=True)
class Stage:
    """command : arguments of Python. limit : seconds. markdown : whether it prints Markdown, not plain text."""

    name: str
    title: str
    command: tuple[str, ...]
    limit: float
    markdown: bool = False


def stages(out: Path) -> list[Stage]:
    # each test is named as it ends; many failures are one failure, and leave the minutes to the others
    cuda = (
        "-m",
        "pytest",
        "-m",
        "cuda",
        "-v",
        "--tb=short",
        "--maxfail=12",
        "--durations=10",
        "-p",
        "no:cacheprovider",
    )
    bench = ("-m", "ci.gpu_bench")

    def train(data: str) -> tuple[str, ...]:
        folder = out / f"{data}-cupy"
        return ("-m", "arraynn", "train", data, "--backend", "cupy", "--out", str(folder), "--overwrite")

    # What is in front of `times`, and that itself, fits into seven minutes whatever takes its whole limit. A run on
    # NumPy needs no GPU: `trained` knows what it reaches.
    return [
        Stage("doctor", "arraynn doctor", ("-m", "arraynn", "doctor"), 20),
        Stage("blocks", "Every block, loss and optimizer, and whole models", (*cuda, BLOCKS), 100),
        Stage("graphs", "Steps as CUDA graphs", (*cuda, GRAPHS), 50),
        Stage("tests", "The other tests marked cuda", (*cuda, "tests", f"--ignore={BLOCKS}", f"--ignore={GRAPHS}"), 50),
        Stage("parity", "One pass on CuPy beside NumPy", (*bench, "parity"), 30, True),
        Stage("launches", "What a step asks of the GPU", (*bench, "launches"), 40, True),
        Stage("times", "A step, beside PyTorch and JAX", (*bench, "times"), 130, True),
        *(Stage(f"{data}-cupy", f"arraynn train {data}, on CuPy", train(data), 40) for data in TRAINED),
        Stage("trained", "Where they ended", (*bench, "trained", *(str(out / f"{d}-cupy") for d in TRAINED)), 20, True),
        Stage("memory", "Memory of the GPU", (*bench, "memory"), 60, True),
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ci/gpu", description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for everything that is found")
    parser.add_argument("--stage", action="append", metavar="NAME", help="only this one, again; may be repeated")
    parser.add_argument("--minutes", type=float, default=7.0, metavar="M", help="for all stages together [7]")
    arguments = parser.parse_args(argv)
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    every = stages(out)
    wanted = arguments.stage or [stage.name for stage in every]
    if unknown := sorted({*wanted} - {stage.name for stage in every}):
        parser.error(f"--stage {unknown[0]} is none of {', '.join(stage.name for stage in every)}")
    deadline = time.monotonic() + 60 * arguments.minutes
    for stage in every:
        if stage.name in wanted:
            results = known(out)
            results[stage.name] = run(stage, out, deadline - time.monotonic())
            (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            write_page(every, out)
    text = verdict(known(out), every)
    print(f"\n== {text}; see {out / 'gpu-results.md'}", flush=True)
    return int(text != "passed")


def known(out: Path) -> dict[str, dict[str, object]]:
    """What earlier stages left, by name: {"status": "passed" …, "seconds": …}."""
    path = out / "results.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def run(stage: Stage, out: Path, left: float) -> dict[str, object]:
    """Run the stage, showing and keeping what it prints. Past its limit it is interrupted, and soon ended with all that
    it started."""
    limit = min(stage.limit, left)
    print(f"\n== {stage.title} (at most {max(limit, 0):.0f} s): {' '.join(stage.command)}", flush=True)
    if limit < 1:
        (out / f"{stage.name}.txt").write_text("not run: no time was left\n", encoding="utf-8")
        return {"status": "not run: no time was left", "seconds": 0}
    began = time.monotonic()
    # a notebook's kernel asks for its own pictures, and for colours, which the page cannot show
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    environment |= {"MPLBACKEND": "Agg", "PY_COLORS": "0", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    environment |= {"ARRAYNN_REQUIRE_CUDA": "1"}
    with open(out / f"{stage.name}.txt", "w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            [sys.executable, *stage.command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=kept,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
            status = "passed" if code == 0 else f"failed with status {code}"
        except subprocess.TimeoutExpired:
            status = f"ended after {limit:.0f} s"
            interrupt(process)
        finally:
            end(process)
    seconds = round(time.monotonic() - began, 1)
    print((out / f"{stage.name}.txt").read_text(encoding="utf-8", errors="replace")[-6000:])
    print(f"== {stage.name}: {status}, {seconds} s", flush=True)
    return {"status": status, "seconds": seconds}


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C: pytest then tells of the tests that failed so far."""
    if hasattr(os, "killpg"):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children, if any is left."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def verdict(results: dict[str, dict[str, object]], every: list[Stage]) -> str:
    """passed, or which stages did not."""
    bad = [f"{s.name} ({results.get(s.name, {'status': 'not run'})['status']})" for s in every]
    bad = [text for text in bad if not text.endswith("(passed)")]
    return f"FAILED: {'; '.join(bad)}" if bad else "passed"


def write_page(every: list[Stage], out: Path) -> None:
    results = known(out)
    lines = [f"# On a GPU: {verdict(results, every)}", ""]
    lines += [f"Written by `ci/gpu` on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}{commit()}.", ""]
    lines += ["## GPU, driver, memory", "", "```", card(), "```", "", "## Versions", "", "```", *versions(), "```"]
    for stage in every:
        if stage.name not in results:
            continue
        found = results[stage.name]
        text = (out / f"{stage.name}.txt").read_text(encoding="utf-8", errors="replace").replace("\r", "")
        text = text.replace(str(out), "…").replace(str(ROOT), ".").rstrip()
        lines += ["", f"## {stage.title}", "", f"{found['status']}, {found['seconds']} s", ""]
        lines += [text] if stage.markdown else ["```", *text.splitlines()[-100:], "```"]
    page = "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"
    for path in (out / "gpu-results.md", ROOT / "ci" / "gpu-results.md"):
        path.write_text(page, encoding="utf-8")


def said(*command: str) -> str:
    """What a command prints, or "" where it fails."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def commit() -> str:
    found = said("git", "describe", "--always", "--dirty")
    return f", at commit {found}" if found else ""


def card() -> str:
    asked = "--query-gpu=name,driver_version,memory.total"
    return said("nvidia-smi", asked, "--format=csv,noheader") or "nvidia-smi is missing"


def versions() -> list[str]:
    names = ("arraynn", "array-api-compat", "cupy-cuda12x", "cupy-cuda13x", "jax", "numba", "numpy", "pytest", "torch")
    found = [f"Python {sys.version.split()[0]}"]
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())

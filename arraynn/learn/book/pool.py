"""Many runs at once: a process a core, the longest first, one thread each; and how far they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...backends import threads
from ...training.callbacks import Callback
from ...training.progress import clock
from .row import Row
from .rows import ROWS
from .runs import Result, last_epoch, run_row

IN_PROCESS_SECONDS = 3.0  #: of work that a process of its own is not made for
LINE_SECONDS = 20.0

#: For the processes: a thread each, and memory that goes back to the heap and not to the system. Without the latter
#: each step has its arrays cleared anew by the kernel, which doubles the time of the large runs (glibc).
ALONE = {
    **dict.fromkeys(("ARRAYNN_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1"),
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**30)),
}


@dataclass(frozen=True)
class Job:
    """A run to be done. stream : "book" or a seed as text. epochs : the last one, counted from 0."""

    row: str
    stream: str
    backend: str
    epochs: int

    @property
    def own_row(self) -> Row:
        return next(row for row in ROWS if row.name == self.row)

    @property
    def seconds(self) -> float:
        """What it may take, on one core."""
        seconds = self.own_row.seconds * (2.5 if self.stream == "book" else 1.0)
        return seconds * (self.epochs + 1) / (self.own_row.epochs + 1)

    @property
    def here(self) -> bool:
        """Whether it runs on NumPy, and so in a process of its own."""
        return self.backend == "numpy"


def jobs_of(rows: Sequence[Row], seeds: int, epochs: int | None, backend: str) -> list[Job]:
    """All runs of these rows: in the book's stream, and from the seeds 0 to seeds - 1 on the backend; longest first."""
    jobs = [Job(row.name, "book", "numpy", last_epoch(row, epochs)) for row in rows]
    jobs += [Job(row.name, str(seed), backend, last_epoch(row, epochs)) for row in rows for seed in range(seeds)]
    return sorted(jobs, key=lambda job: -job.seconds)


def run_all(jobs: Sequence[Job], finished: Callable[[Result], None], quiet: bool = False) -> None:
    """Do all jobs, and tell of each as it is done. Ctrl-C stops them within a second and raises KeyboardInterrupt."""
    report = Report(jobs, quiet)

    def done(result: Result) -> None:
        finished(result)
        report.of(result)

    alone = [job for job in jobs if job.here]
    count = min(processes(), len(alone))
    if count and sum(job.seconds for job in alone) > IN_PROCESS_SECONDS:
        _in_processes(alone, count, done, report)
    else:
        _one_by_one(alone, done, report)
    _one_by_one([job for job in jobs if not job.here], done, report)
    report.end()


def processes() -> int:
    """How many at once: ARRAYNN_NUM_THREADS, or the cores there are."""
    wanted = os.environ.get("ARRAYNN_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else threads.cores()


def _one_by_one(jobs: Sequence[Job], done: Callable[[Result], None], report: Report) -> None:
    for job in jobs:
        watch = Watch(report.reached, report.place(job), report)
        done(run_row(job.row, job.stream, epochs=job.epochs, backend=job.backend, callbacks=[watch]))


def _in_processes(jobs: Sequence[Job], count: int, done: Callable[[Result], None], report: Report) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would bring along threads and locks
    reached = context.Array("d", len(report.jobs) + 1, lock=False)  # epochs done of each job; the last says stop
    report.reached = reached
    with (
        _environment(ALONE),
        ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(reached,)) as pool,
    ):
        waiting: set[Future[Result | None]] = {pool.submit(_work, job, report.place(job)) for job in jobs}
        try:
            while waiting:
                ready, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in ready:
                    result = future.result()
                    if result is not None:
                        done(result)
                report.look()
        except BaseException:
            reached[-1] = 1.0  # the runs see it after their step, and give up
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# In the processes.

_reached: Any = None


def _begin(reached: Any) -> None:
    global _reached
    _reached = reached
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A parent that was killed cannot say stop, and nobody waits for the results."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: Job, place: int) -> Result | None:
    result = run_row(job.row, job.stream, epochs=job.epochs, callbacks=[Watch(_reached, place)])
    return None if _reached[-1] else result


class Watch(Callback):
    """Notes how far a run is where others can see it, and stops it when they say so."""

    every_epoch = False

    def __init__(self, reached: Any, place: int, report: Report | None = None) -> None:
        self.reached, self.place, self.report = reached, place, report

    def on_batch_end(self, model: Any) -> bool | None:
        return bool(self.reached[-1])

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        self.reached[self.place] = epoch + 1
        if self.report:
            self.report.look()
        return None


class Report:
    """What is said meanwhile: a line for each run that is done, and how far all are, now and then or, on a terminal,
    in one line that is written over."""

    def __init__(self, jobs: Sequence[Job], quiet: bool) -> None:
        self.jobs, self.quiet = list(jobs), quiet
        self.reached: Any = [0.0] * (len(self.jobs) + 1)
        self.began = self.spoken = time.monotonic()
        self.done = 0
        self.live = not quiet and sys.stdout.isatty()

    def place(self, job: Job) -> int:
        return self.jobs.index(job)

    def of(self, result: Result) -> None:
        self.done += 1
        who = "book's stream" if result.stream == "book" else f"seed {result.stream}"
        said = result.problem or f"accuracy {result.end.accuracy:.3f}, loss {result.end.loss:.3f}"
        self.say(f"{self.done:>{len(str(len(self.jobs)))}}/{len(self.jobs)}  {result.row}, {who}: {said}")

    def look(self) -> None:
        """Tell how far all are, if it is time to."""
        if time.monotonic() - self.spoken < (0.5 if self.live else LINE_SECONDS):
            return
        parts = [(job.seconds, min(self.reached[i] / (job.epochs + 1), 1.0)) for i, job in enumerate(self.jobs)]
        share = sum(seconds * part for seconds, part in parts) / (sum(seconds for seconds, _ in parts) or 1.0)
        gone = time.monotonic() - self.began
        left = f", {clock(gone / share * (1 - share))} to go" if share > 0.005 else ""
        line = f"{self.done} of {len(self.jobs)} runs, {share:.0%} in {clock(gone)}{left}"
        if self.live:
            print(f"\r\x1b[K{line}", end="", flush=True)
            self.spoken = time.monotonic()
        else:
            self.say(line)

    def say(self, line: str) -> None:
        self.spoken = time.monotonic()
        if not self.quiet:
            print(f"\r\x1b[K{line}" if self.live else line, flush=True)

    def end(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", flush=True)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """os.environ with these values, which the processes started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

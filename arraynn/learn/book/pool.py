"""Runs many jobs in parallel, one single-threaded process per core, longest first, and reports progress."""

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

IN_PROCESS_SECONDS = 3.0  #: less work than this is done in this process
LINE_SECONDS = 20.0  #: between two lines of progress, where the output is no terminal

#: Environment of the worker processes: one thread each, and freed memory goes back to the heap, not to the system.
#: Otherwise the kernel clears the pages of each step's arrays again, which doubles the time of the large runs (glibc).
WORKER_ENVIRONMENT = {
    **dict.fromkeys(("ARRAYNN_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1"),
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), str(2**30)),
}


@dataclass(frozen=True)
class Job:
    """A run to do. stream : "book" or a seed as text. epochs : the last epoch, counted from 0."""

    row: str
    stream: str
    backend: str
    epochs: int

    @property
    def own_row(self) -> Row:
        return next(row for row in ROWS if row.name == self.row)

    @property
    def seconds(self) -> float:
        """An estimate of the run's time on one core."""
        seconds = self.own_row.seconds * (2.5 if self.stream == "book" else 1.0)
        return seconds * (self.epochs + 1) / (self.own_row.epochs + 1)

    @property
    def on_numpy(self) -> bool:
        """Whether it runs on NumPy, and so may run in a worker process."""
        return self.backend == "numpy"


def jobs_of(rows: Sequence[Row], seeds: int, epochs: int | None, backend: str) -> list[Job]:
    """All runs of these rows: in the book's stream, and from the seeds 0 to seeds - 1 on the backend; longest first."""
    jobs = [Job(row.name, "book", "numpy", last_epoch(row, epochs)) for row in rows]
    jobs += [Job(row.name, str(seed), backend, last_epoch(row, epochs)) for row in rows for seed in range(seeds)]
    return sorted(jobs, key=lambda job: -job.seconds)


def run_all(jobs: Sequence[Job], finished: Callable[[Result], None], quiet: bool = False) -> None:
    """Run all jobs and report each when it is done. Ctrl-C stops them within a second and raises KeyboardInterrupt."""
    report = Report(jobs, quiet)

    def done(result: Result) -> None:
        finished(result)
        report.finished(result)

    parallel_jobs = [job for job in jobs if job.on_numpy]
    count = min(processes(), len(parallel_jobs))
    if count and sum(job.seconds for job in parallel_jobs) > IN_PROCESS_SECONDS:
        _in_processes(parallel_jobs, count, done, report)
    else:
        _one_by_one(parallel_jobs, done, report)
    _one_by_one([job for job in jobs if not job.on_numpy], done, report)
    report.end()


def processes() -> int:
    """The number of worker processes: ARRAYNN_NUM_THREADS, or the number of cores."""
    wanted = os.environ.get("ARRAYNN_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else threads.cores()


def _one_by_one(jobs: Sequence[Job], done: Callable[[Result], None], report: Report) -> None:
    for job in jobs:
        callback = ProgressCallback(report.reached, report.index(job), report)
        done(run_row(job.row, job.stream, epochs=job.epochs, backend=job.backend, callbacks=[callback]))


def _in_processes(jobs: Sequence[Job], count: int, done: Callable[[Result], None], report: Report) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would copy threads and locks
    reached = context.Array("d", len(report.jobs) + 1, lock=False)  # epochs done of each job; last, the stop flag
    report.reached = reached
    with (
        _environment(WORKER_ENVIRONMENT),
        ProcessPoolExecutor(count, mp_context=context, initializer=_initialize, initargs=(reached,)) as pool,
    ):
        pending: set[Future[Result | None]] = {pool.submit(_run_job, job, report.index(job)) for job in jobs}
        try:
            while pending:
                ready, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in ready:
                    result = future.result()
                    if result is not None:
                        done(result)
                report.show_progress()
        except BaseException:
            reached[-1] = 1.0  # the runs read the stop flag after each step
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# In the worker processes.

_reached: Any = None


def _initialize(reached: Any) -> None:
    global _reached
    _reached = reached
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; only the parent acts on it
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent process ends: a killed parent cannot set the stop flag."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_job(job: Job, index: int) -> Result | None:
    result = run_row(job.row, job.stream, epochs=job.epochs, callbacks=[ProgressCallback(_reached, index)])
    return None if _reached[-1] else result


class ProgressCallback(Callback):
    """Writes a run's number of epochs into the shared array `reached`, and stops the run when the stop flag is set."""

    every_epoch = False

    def __init__(self, reached: Any, index: int, report: Report | None = None) -> None:
        self.reached, self.index, self.report = reached, index, report

    def on_batch_end(self, model: Any) -> bool | None:
        return bool(self.reached[-1])

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        self.reached[self.index] = epoch + 1
        if self.report:
            self.report.show_progress()
        return None


class Report:
    """Prints a line for each finished run, and from time to time the progress of all runs.

    On a terminal, the progress is one line that is overwritten.
    """

    def __init__(self, jobs: Sequence[Job], quiet: bool) -> None:
        self.jobs, self.quiet = list(jobs), quiet
        self.reached: Any = [0.0] * (len(self.jobs) + 1)
        self.started = self.last_printed = time.monotonic()
        self.done = 0
        self.live = not quiet and sys.stdout.isatty()

    def index(self, job: Job) -> int:
        return self.jobs.index(job)

    def finished(self, result: Result) -> None:
        self.done += 1
        source = "book's stream" if result.stream == "book" else f"seed {result.stream}"
        outcome = result.problem or f"accuracy {result.end.accuracy:.3f}, loss {result.end.loss:.3f}"
        self.print_line(f"{self.done:>{len(str(len(self.jobs)))}}/{len(self.jobs)}  {result.row}, {source}: {outcome}")

    def show_progress(self) -> None:
        """Print the progress of all runs, if the last line is old enough."""
        if time.monotonic() - self.last_printed < (0.5 if self.live else LINE_SECONDS):
            return
        parts = [(job.seconds, min(self.reached[i] / (job.epochs + 1), 1.0)) for i, job in enumerate(self.jobs)]
        share = sum(seconds * part for seconds, part in parts) / (sum(seconds for seconds, _ in parts) or 1.0)
        elapsed = time.monotonic() - self.started
        remaining = f", {clock(elapsed / share * (1 - share))} to go" if share > 0.005 else ""
        line = f"{self.done} of {len(self.jobs)} runs, {share:.0%} in {clock(elapsed)}{remaining}"
        if self.live:
            print(f"\r\x1b[K{line}", end="", flush=True)
            self.last_printed = time.monotonic()
        else:
            self.print_line(line)

    def print_line(self, line: str) -> None:
        self.last_printed = time.monotonic()
        if not self.quiet:
            print(f"\r\x1b[K{line}" if self.live else line, flush=True)

    def end(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", flush=True)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set these values in os.environ within the context; processes started there inherit them."""
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

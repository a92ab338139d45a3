"""`arraynn doctor`: prints backends, versions, BLAS and its threads."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from .. import backends
from .._text import table
from ..errors import BackendUnavailable
from ..io.model_file import own_version

PACKAGES = ("numpy", "array-api-compat", "threadpoolctl", "rich", "matplotlib", "numba")


def doctor(arguments: argparse.Namespace) -> int:
    """Print backends, versions, BLAS and its threads. Returns the exit code."""
    report = backends.report()
    rows = [["backend", "", "version", "devices"]]
    for status in report:
        state = "usable" if status.usable else "not usable" if status.installed else "not installed"
        rows.append([status.name, state, status.version, " ".join(status.devices)])
    header, *lines = table(rows).splitlines()
    print(header)
    for line, status in zip(lines, report, strict=True):
        remedy = f"\n    -> {status.remedy}" if status.remedy else ""
        print(f"{line}\n    {status.reason}{remedy}")
    try:
        chosen = backends.backend("auto")
        print(f"\n'auto' takes {chosen.name} on {chosen.device}: {chosen.reason}")
    except BackendUnavailable as error:  # ARRAYNN_BACKEND names one that cannot be used
        print(f"\n'auto' fails: {error}")
    print(f"\n{table(list(_versions()))}\n")
    print(table([["BLAS", line] for line in _blas()]))
    print(f"cores: {os.cpu_count()}, of which this process may use {_affinity()}")
    for name in sorted(os.environ):
        if name.startswith("ARRAYNN_"):
            print(f"{name}={os.environ[name]}")
    cupy = next((status for status in report if status.name == "cupy"), None)
    if cupy is not None and not cupy.installed:
        print(f"\nno CuPy: {cupy.remedy}")
    return 0


def _versions() -> Iterator[list[str]]:
    yield ["arraynn", own_version()]
    yield ["python", f"{platform.python_version()} ({platform.python_implementation()}, {platform.platform()})"]
    for package in PACKAGES:
        try:
            yield [package, version(package)]
        except PackageNotFoundError:
            yield [package, "-"]


def _blas() -> Iterator[str]:
    """A line for each thread pool of the libraries that NumPy uses."""
    from threadpoolctl import threadpool_info

    pools = threadpool_info()
    for pool in pools:
        build = " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
        yield f"{build}, {pool['num_threads']} threads ({pool.get('threading_layer', pool['user_api'])})"
    if not pools:
        yield "none that threadpoolctl knows; its threads cannot be limited"


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""How many threads may compute: affinity, the quotas of control groups, and what BLAS was allowed."""

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from arraynn.backends import cores

ROOT = Path(__file__).parents[2]


def machine(tmp_path, groups, **files):
    """A root with these lines in /proc/self/cgroup, and these files beneath /sys/fs/cgroup."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("\n".join(groups) + "\n")
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return str(tmp_path)


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert cores.quota(str(tmp_path)) == math.inf


@pytest.mark.parametrize(
    ("text", "cpus"), [("max 100000", math.inf), ("100000 100000", 1), ("150000 100000", 1.5), ("nonsense", math.inf)]
)
def test_a_container_of_version_2(tmp_path, text, cpus):
    assert cores.quota(machine(tmp_path, ["0::/"], **{"cpu.max": text})) == cpus


def test_the_least_of_the_groups_around_counts(tmp_path):
    files = {
        "cpu.max": "max 100000",
        "user.slice/cpu.max": "200000 100000",
        "user.slice/job/cpu.max": "300000 100000",
        "other/cpu.max": "50000 100000",
    }
    assert cores.quota(machine(tmp_path, ["0::/user.slice/job"], **files)) == 2


def test_version_1(tmp_path):
    groups = ["4:memory:/job", "3:cpu,cpuacct:/job", "0::/"]
    files = {
        "cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/job/cpu.max": "100000 100000",  # of another controller
    }
    assert cores.quota(machine(tmp_path, groups, **files)) == 2.5


def test_a_container_of_version_1_sees_its_hosts_path_and_its_own_group_as_the_outermost(tmp_path):
    files = {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}
    assert cores.quota(machine(tmp_path, ["3:cpuacct,cpu:/docker/0123"], **files)) == 1


def test_a_group_that_would_lie_outside_is_not_looked_at(tmp_path):
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/cpu.max").write_text("100000 100000\n")
    assert cores.quota(machine(tmp_path, ["0::/../.."], **{"a/cpu.max": "max 100000"})) == math.inf


@pytest.mark.parametrize(("share", "threads"), [(0.5, 1), (1, 1), (1.5, 2), (math.inf, 8)])
def test_a_share_is_rounded_up(monkeypatch, share, threads):
    monkeypatch.setattr(cores, "_quota", lambda: share)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.cores() == threads


def test_a_container_of_one_cpu_on_a_machine_of_many_runs_one_thread(monkeypatch):
    monkeypatch.delenv("ARRAYNN_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "_quota", lambda: 1.0)
    assert cores.available() == 1


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_what_blas_was_allowed_holds_for_the_pool(name):
    code = (
        "import numpy; from arraynn.backends.cores import available, blas_libraries as b; print(available(), len(b()))"
    )
    others = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARRAYNN_NUM_THREADS")
    own = {key: value for key, value in os.environ.items() if key not in others}
    own |= {name: "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "1"


def test_workers_of_one_job_share_the_cores(monkeypatch):
    monkeypatch.delenv("ARRAYNN_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "_sharing", 1)
    monkeypatch.setattr(cores, "cores", lambda: 8)
    libraries = [SimpleNamespace(threads=lambda: 8)]
    monkeypatch.setattr(cores, "blas_libraries", lambda: libraries)
    assert cores.available() == 8
    cores.share_machine(3)
    assert cores.available() == 2
    cores.share_machine(100)
    assert cores.available() == 1

"""`ci/bench`: the load beside its lanes, and the quota around them."""

import argparse
import math
import os

import pytest

from ci.bench import load
from ci.bench.__main__ import _counts


def test_busy_processes_run_and_are_stopped(monkeypatch):
    made = []
    plain = load.subprocess.Popen

    def popen(*arguments, **options):
        made.append(plain(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(load.subprocess, "Popen", popen)
    with load.busy(2):
        assert [process.poll() for process in made] == [None, None]
    assert all(process.returncode is not None for process in made)


def test_a_quota_is_a_control_group_with_this_process_in_it(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "_made", lambda cpus: tmp_path)
    monkeypatch.setattr(type(tmp_path), "rmdir", lambda self: None)
    with load.quota(1.5) as held:
        held.enter()
        assert held.kind == "control group"
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())


def test_without_control_groups_a_quota_is_as_many_cores_rounded_up(monkeypatch):
    taken = []
    monkeypatch.setattr(load, "_made", lambda cpus: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: taken.append(len(cores)), raising=False)
    for cpus in (0.5, 1, 1.5):
        with load.quota(cpus) as held:
            held.enter()
            assert held.kind == "affinity"
    assert taken == [math.ceil(cpus) for cpus in (0.5, 1, 1.5)]


def test_the_list_of_busy_processes_is_numbers():
    assert _counts("0,1,12") == [0, 1, 12]
    for wrong in ("", "1,", "-1", "two"):
        with pytest.raises(argparse.ArgumentTypeError, match="0,1,2"):
            _counts(wrong)

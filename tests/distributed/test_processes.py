"""Workers in processes of their own, by MPI and by torch.distributed: the same bits, faults, and what is missing.

Each test starts training_run.py under mpiexec or torchrun, with a limit of time. ARRAYNN_FAULTS=20 repeats each fault.
"""

import os
import re
import socket
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from training_run import bits, train

ROOT = Path(__file__).parents[2]
RUN = Path(__file__).with_name("training_run.py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")
TIMES = int(os.environ.get("ARRAYNN_FAULTS", "1"))
LIMIT = 180  #: seconds, for a machine that does much else: a run takes a few

mpi = pytest.param(
    "mpi",
    marks=pytest.mark.skipif(
        not (find_spec("mpi4py") and MPIEXEC.exists()),
        reason=f'no mpi4py, or no mpiexec beside {sys.executable}: pip install "arraynn[mpi]"',
    ),
)
torch = pytest.param(
    "torch", marks=pytest.mark.skipif(not find_spec("torch"), reason='no PyTorch: pip install "arraynn[torch]"')
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "2"}


def launch(engine, count, *arguments, program=RUN, environment=None, torchrun=()):
    """Run a program as `count` workers of the engine; returns what subprocess.run does."""
    if engine == "none":
        command = [sys.executable, program]
    elif engine == "mpi":
        command = [MPIEXEC, "-n", str(count), sys.executable, program]
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), *torchrun]
        command += ["--master-addr", "127.0.0.1", "--master-port", str(port), program]
    done = subprocess.run(
        [*map(str, command), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=ROOT,
        env={**ENVIRONMENT, **(environment or {})},
    )
    return done


@cache
def alone():
    """The bits of one worker, with no fault."""
    return bits(*train(shards=8))


def check(done, count):
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [alone()] * count


# ---------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("engine", [mpi, torch])
def test_the_bits_are_those_of_one_worker(engine, tmp_path):
    for count in (1, 2, 4) if engine == "mpi" else (2, 4):
        check(launch(engine, count, engine, "no", tmp_path / f"{count}.safetensors"), count)


@pytest.mark.parametrize("engine", [mpi, torch])
def test_the_bits_are_those_of_one_worker_where_each_holds_its_own_rows(engine, tmp_path):
    for count in (2, 4):
        check(launch(engine, count, engine, "apart", tmp_path / f"{count}.safetensors"), count)


@pytest.mark.parametrize("engine", [mpi, torch])
def test_each_worker_knows_its_local_rank(engine, tmp_path):
    program = tmp_path / "place.py"
    program.write_text(
        f"import arraynn as nn\ngroup = nn.workers({engine!r})\n"
        "print(f'{group.rank}:{group.local_rank}:{group.local_size}\\n', end='')\n",
        encoding="utf-8",
    )
    done = launch(engine, 2, program=program)
    assert sorted(done.stdout.split()) == ["0:0:2", "1:1:2"], done.stderr


@pytest.mark.parametrize("engine", [mpi])
def test_three_workers_hold_identical_weights(engine, tmp_path):
    found = launch(engine, 3, engine, "no", tmp_path / "run.safetensors").stdout.split()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert found[0] != alone()


# ---------------------------------------------------------------- faults

FAULTS = {"SIGKILL": 9, "SIGTERM": 143, "SIGINT": 130, "raise": 1, "diverge": 1}


@pytest.mark.parametrize("time", range(TIMES))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("engine", [mpi])
def test_a_fault_of_one_worker_ends_all_and_any_number_of_workers_can_resume(engine, fault, time, tmp_path):
    path = tmp_path / "run.safetensors"
    done = launch(engine, 2, engine, fault, path)
    assert done.returncode == FAULTS[fault], done.stderr
    assert alone() not in done.stdout  # mpiexec tells there of a process that was killed
    assert done.stderr.count("has failed, so all end") == (fault not in ("SIGKILL", "SIGTERM"))
    assert ("a fault of one worker" in done.stderr) == (fault == "raise")
    # the test writes nan after step 22, so no replay finds it in a step: the last one that was fetched is named
    assert bool(re.search(r"training diverged at epoch 4, step 2[23]", done.stderr)) == (fault == "diverge")
    saved = path.read_bytes()
    for count in (1, 2, 4):
        path.write_bytes(saved)
        check(launch("mpi" if count > 1 else "none", count, "mpi" if count > 1 else "none", "no", path), count)


@pytest.mark.parametrize("time", range(TIMES))
@pytest.mark.parametrize("fault", ["SIGKILL", "raise", "SIGTERM", "diverge"])
@pytest.mark.parametrize("engine", [torch])
def test_torchrun_ends_all_and_starts_them_again(engine, fault, time, tmp_path):
    """The step of the fault lies behind the checkpoint of step 20, so it comes again, until somebody gives up."""
    path = tmp_path / "run.safetensors"
    done = launch(engine, 2, engine, fault, path)
    assert done.returncode != 0
    check(launch(engine, 2, engine, "no", path), 2)


@pytest.mark.parametrize("engine", [torch])
def test_torchrun_restarts_end_with_the_bits_of_an_uninterrupted_run(engine, tmp_path):
    path, once = tmp_path / "run.safetensors", tmp_path / "once.py"
    once.write_text(
        f"import os, sys; sys.path.insert(0, {str(RUN.parent)!r})\n"
        f"import training_run\n"
        f"again = os.environ['TORCHELASTIC_RESTART_COUNT'] != '0'\n"
        f"training_run.main('torch', 'no' if again else 'SIGKILL', {str(path)!r})\n"
    )
    done = launch(engine, 2, program=once, torchrun=["--max-restarts", "1"])
    check(done, 2)


# ---------------------------------------------------------------- what is missing

JOIN = "import sys, arraynn as nn\ntry: print(nn.workers(sys.argv[1]))\nexcept nn.WorkerError as error: print(error)"


def joined(engine, tmp_path, before="", **environment):
    program = tmp_path / "join.py"
    program.write_text(before + JOIN)
    done = launch("none", 1, engine, program=program, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_mpi4py_the_error_says_what_to_install(tmp_path):
    hidden = "import sys\nsys.modules['mpi4py'] = None\n"
    assert 'needs mpi4py and an MPI: pip install "arraynn[mpi]"' in joined("mpi", tmp_path, hidden)


def test_without_torch_the_error_says_what_to_install(tmp_path):
    hidden = "import sys\nsys.modules['torch'] = None\n"
    assert 'needs PyTorch (import of torch halted; None in sys.modules): pip install "arraynn[torch]"' in joined(
        "torch", tmp_path, hidden
    )


@pytest.mark.parametrize("engine", [mpi])
def test_an_mpi_library_that_cannot_be_loaded_is_reported(engine, tmp_path):
    told = joined(engine, tmp_path, MPI4PY_LIBMPI=str(tmp_path / "libmpi.so"))
    assert "mpi4py is there but finds no MPI library" in told
    assert "pip install mpich" in told


@pytest.mark.parametrize("engine", [mpi])
@pytest.mark.parametrize("more", [{}, {"PMIX_NAMESPACE": "prterun@1", "PMIX_RANK": "0"}])
def test_the_mpiexec_of_another_mpi_is_reported(engine, more, tmp_path):
    """MPICH ends a process that Open MPI 5 has started, before anybody could say why."""
    told = joined(engine, tmp_path, OMPI_COMM_WORLD_SIZE="4", **more)
    assert "Open MPI's mpiexec has started 4 processes, but mpi4py here uses another MPI (MPICH" in told


@pytest.mark.parametrize("engine", [torch])
def test_a_process_not_started_by_a_launcher_is_reported(engine, tmp_path):
    told = joined(engine, tmp_path)
    assert "no job of torch.distributed has started this process" in told
    assert "torchrun --nproc-per-node 4" in told

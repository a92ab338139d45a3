"""NCCL by a stand-in that keeps its semantics (places, counts, dtypes, streams, calls that wait for their peers), and,
where there is a GPU, by itself with one process."""

import ctypes
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from training_run import bits, train

import arraynn as nn
from arraynn.distributed import Group, _nccl
from arraynn.distributed._nccl import NCCLGroup, made
from arraynn.errors import WorkerError

DTYPES = {7: np.dtype("float32"), 8: np.dtype("float64")}


class World:
    """The communicators of one unique id, one for each thread."""

    def __init__(self, size):
        self.size, self.barrier, self.said = size, threading.Barrier(size, timeout=60), {}

    def meet(self, rank, what):
        """What each rank says, once all have said it."""
        self.said[rank] = what
        self.barrier.wait()
        found = [self.said[other] for other in range(self.size)]
        self.barrier.wait()
        return found


class StandIn:
    """CuPy, as one rank sees it, with cupy.cuda.nccl; its arrays are NumPy's."""

    ndarray, empty, empty_like = np.ndarray, staticmethod(np.empty), staticmethod(np.empty_like)
    worlds: dict = {}  # noqa: RUF012

    def __init__(self, gpus=8):
        self.log, self.used, self.open = [], set(), None
        self.stream = id(self)
        self.cuda = SimpleNamespace(
            get_current_stream=lambda: SimpleNamespace(ptr=self.stream),
            runtime=SimpleNamespace(getDeviceCount=lambda: gpus),
            Device=lambda i: SimpleNamespace(pci_bus_id=f"0000:0{i}:00.0", use=lambda: self.used.add(i)),
            nccl=SimpleNamespace(
                available=True,
                NCCL_FLOAT32=7,
                NCCL_FLOAT64=8,
                NCCL_SUM=0,
                get_unique_id=lambda: tuple(range(-64, 64)),
                groupStart=self.group_start,
                groupEnd=self.group_end,
                NcclCommunicator=self.communicator,
            ),
        )

    def communicator(self, size, unique, rank):
        assert len(unique) == 128
        self.world = self.worlds.setdefault(size, World(size))
        self.rank = rank
        self.world.meet(rank, "joined")
        return self

    def call(self, name, sent, received, count, dtype, stream, *rest):
        assert stream == self.stream, "another stream would not wait for what has made the array"
        assert self.open is None, "a collective does not stand between sends"
        self.log.append((name, count, str(DTYPES[dtype])))
        said = self.world.meet(self.rank, (name, count, dtype, rest, memory(sent, count, dtype)))
        assert len({one[:4] for one in said}) == 1, "the ranks ask for different things"
        parts = [part.copy() for *_, part in said]
        self.world.barrier.wait()  # nobody writes before all have read
        return parts

    def allReduce(self, sent, received, count, dtype, op, stream):  # noqa: N802 - CuPy's name
        assert op == 0
        parts = self.call("allReduce", sent, received, count, dtype, stream, op)
        memory(received, count, dtype)[:] = sum(parts[1:], parts[0])

    def allGather(self, sent, received, count, dtype, stream):  # noqa: N802 - CuPy's name
        parts = self.call("allGather", sent, received, count, dtype, stream)
        memory(received, count * self.world.size, dtype)[:] = np.concatenate(parts)

    def send(self, place, count, dtype, peer, stream):
        self.queue("send", place, count, dtype, peer, stream)

    def recv(self, place, count, dtype, peer, stream):
        self.queue("recv", place, count, dtype, peer, stream)

    def queue(self, kind, place, count, dtype, peer, stream):
        assert stream == self.stream
        assert self.open is not None, "alone, it would wait for its peer for ever"
        self.open.append((kind, place, count, dtype, peer))

    def group_start(self):
        assert self.open is None
        self.open = []

    def group_end(self):
        calls, self.open = self.open, None
        self.log.append(("group", len(calls), ""))
        everyone = self.world.meet(self.rank, calls)
        for kind, place, count, dtype, peer in calls:
            if kind == "recv":
                (match,) = [c for c in everyone[peer] if c[0] == "send" and c[4] == self.rank]
                assert match[2:4] == (count, dtype), "what is sent is not what is received"
                memory(place, count, dtype)[:] = memory(match[1], count, dtype)
        self.world.barrier.wait()  # what was sent stays until it is received


def memory(place, count, dtype):
    return np.frombuffer((ctypes.c_char * (count * DTYPES[dtype].itemsize)).from_address(place), DTYPES[dtype])


@pytest.fixture(autouse=True)
def _addresses(monkeypatch):
    monkeypatch.setattr(_nccl, "_address", lambda array: array.ctypes.data)
    monkeypatch.setattr(StandIn, "worlds", {})


def members(count, function):
    """[function(group, its CuPy)] of workers that are threads."""

    def one(control):
        cupy = StandIn()
        return function(made(control, lambda: cupy), cupy)

    return nn.workers(f"threads:{count}").run(one)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 7, 12])
def test_sums_are_those_of_the_other_engines(count, dtype, size):
    rows = np.random.default_rng(size).standard_normal((count, size)).astype(dtype)
    exact = nn.workers(f"threads:{count}").run(lambda group: group.exact(rows[group.rank].copy()))[0]

    def exchange(group, cupy):
        found = group.exact(rows[group.rank].copy()), group.sum(rows[group.rank].copy())
        return [part.tobytes() for part in found], cupy.log

    for (own, fast), log in members(count, exchange):
        assert own == exact.tobytes()
        np.testing.assert_allclose(np.frombuffer(fast, dtype), rows.sum(axis=0), rtol=1e-5, atol=1e-6)
        length = -(-size // count)
        pairs = [("group", 2 * count, ""), ("allGather", length, dtype)] if count > 1 else []
        assert log == [*pairs, ("allReduce", size, dtype)]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_whole_fit_has_the_bits_of_one_worker(count):
    """Dropout, batch norm, clipping, weights, validation: all arrays go by NCCL, the objects by the group beside it."""
    alone = bits(*train(shards=8, epochs=2))
    assert members(count, lambda group, cupy: bits(*train(group, 8, epochs=2))) == [alone] * count


@pytest.mark.parametrize(("reduction", "calls"), [("exact", ["group", "allGather"]), ("fast", ["allReduce"])])
def test_a_step_exchanges_its_gradients_once(reduction, calls):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 3)).astype("f4"), np.arange(8) % 2
    network = nn.Sequential(nn.Dense(2))
    params, _ = network.init(rng, (3,))

    def step(group, cupy):
        rule = nn.SGD(0.1)
        take = nn.make_train_step(network, "softmax_cross_entropy", rule, workers=group, reduction=reduction)
        own = nn.tree.map(np.copy, params)
        take(own, rule.init(own), (x, y, None), nn.Key(0))
        return [name for name, count, dtype in cupy.log if dtype != "float64"]

    found = members(2, step)
    # then the sums of losses: a group of sends, whose results are float64
    assert found == [[*calls, "group"]] * 2


def test_host_arrays_are_exchanged_by_the_other_group():
    def exchange(group, cupy):
        cupy.ndarray = type(None)  # no NumPy array is this CuPy's
        found = group.sum(np.ones(3)), group.exact(np.ones(3)), group.bcast(group.rank), group.gather(group.rank)
        return [np.asarray(part).tolist() for part in found], cupy.log

    assert members(2, exchange) == [([[2.0] * 3, [2.0] * 3, 0, [0, 1]], [])] * 2


def test_each_worker_takes_the_gpu_of_its_local_rank():
    def told(group, cupy):
        return cupy.used, group.rank, group.size, group.local_rank, group.local_size, group.name

    assert members(4, told) == [({rank}, rank, 4, rank, 4, "nccl") for rank in range(4)]


def test_two_workers_on_one_gpu_are_refused_on_all():
    raised = []

    def one(control):
        try:
            made(control, lambda: StandIn(gpus=2))
        except WorkerError as error:
            raised.append(str(error))
            raise

    with pytest.raises(WorkerError, match=r"workers 0 and 2 would share the GPU 0000:00:00\.0 .* start 2 workers"):
        nn.workers("threads:3").run(one)
    assert len(raised) == 3
    assert len(set(raised)) == 1


def test_a_worker_without_cupy_ends_all():
    raised = {}

    def load():
        raise WorkerError("no CuPy here")

    def one(control):
        try:
            made(control, load if control.rank else StandIn)
        except WorkerError as error:
            raised[control.rank] = str(error)
            raise

    with pytest.raises(WorkerError, match="no CuPy here"):
        nn.workers("threads:2").run(one)
    assert raised[0] == "worker 1 of 2 failed: WorkerError: no CuPy here"


def test_a_worker_that_cannot_join_raises_on_all_without_waiting():
    raised, left = {}, []

    class Broken(StandIn):
        def communicator(self, size, unique, rank):
            if rank == 1:
                raise RuntimeError("NCCL_ERROR_SYSTEM_ERROR: unhandled system error")
            left.append(self.worlds.setdefault(size, World(size)))
            return super().communicator(size, unique, rank)

    def one(control):
        try:
            made(control, Broken)
        except WorkerError as error:
            raised[control.rank] = str(error)
            raise

    with pytest.raises(WorkerError, match="NCCL does not join the GPUs"):
        nn.workers("threads:3").run(one)
    left[0].barrier.abort()  # the threads that wait for the one that failed
    failed = "NCCL does not join the GPUs (NCCL_ERROR_SYSTEM_ERROR: unhandled system error)"
    own = f"{failed}; NCCL_DEBUG=WARN prints its reason"
    others = f"worker 1 of 3 failed: WorkerError: {own}"
    assert raised == {0: others, 1: own, 2: others}


def test_without_a_usable_gpu_the_error_gives_the_reason(monkeypatch):
    from arraynn.backends.cupy import probe

    status = SimpleNamespace(usable=False, reason="no NVIDIA driver found", remedy="Install the driver")
    monkeypatch.setattr(probe, "probe", lambda: status)
    with pytest.raises(WorkerError, match="needs CuPy and a GPU: no NVIDIA driver found"):
        _nccl._cupy()


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_a_gpu_one_process_exchanges_with_itself(dtype, monkeypatch):
    monkeypatch.undo()
    cupy = pytest.importorskip("cupy")
    group = made(Group(), _nccl._cupy)
    assert isinstance(group, NCCLGroup)
    own = cupy.arange(12, dtype=dtype)
    for exchange in (group.sum, group.slices, group.joined, group.exact):
        np.testing.assert_array_equal(cupy.asnumpy(exchange(own.copy())), np.arange(12))


@pytest.mark.cuda
def test_on_a_gpu_a_fit_by_nccl_is_close_to_numpys(monkeypatch):
    monkeypatch.undo()
    x = np.random.default_rng(0).standard_normal((64, 5)).astype("f4")
    y = (x[:, 0] > 0).astype("i8")

    def fit(backend, group):
        model = nn.Model(nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.ReLU(), nn.Dense(2)), seed=1, backend=backend)
        return model.fit(x, y, epochs=2, workers=group, shards=4, verbose=0)["loss"]

    np.testing.assert_allclose(fit("cupy", made(Group(), _nccl._cupy)), fit("numpy", None), rtol=1e-4)

"""Workers with a GPU each: what they sum up stays there, and is read and acted on at step counts that all know."""

import os
import signal

import numpy as np
import pytest
from members import members
from test_nccl import StandIn, _addresses, made  # noqa: F401 - a fixture
from training_run import data

import arraynn as nn
from arraynn import tree
from arraynn.backends.cupy.backend import CuPy
from arraynn.distributed import Group
from arraynn.training.decisions import TEAM_STEPS
from tests.backends import recording
from tests.backends.test_cuda_kernels import needs_compiler


class DeviceGroup(Group):
    """A worker alone whose GPU adds up what lies on it, and that counts the sums."""

    def __init__(self):
        self.sums = []

    def keeps(self, array):
        return isinstance(array, recording.Recorded)

    def exact(self, flat):
        self.sums.append((str(flat.dtype), self.keeps(flat)))
        return flat


class Reads(nn.Callback):
    """Notes after each step how many transfers to the host there have been."""

    every_epoch = False

    def __init__(self, monkeypatch):
        self.count, self.after = 0, []
        read = CuPy.to_numpy

        def counted(backend, x):
            self.count += 1
            return read(backend, x)

        monkeypatch.setattr(CuPy, "to_numpy", counted)

    def on_fit_begin(self, model):
        self.count = 0

    def on_batch_end(self, model):
        self.after.append(self.count)


@needs_compiler
@pytest.mark.parametrize("weighted", [False, True])
def test_the_host_reads_only_every_so_many_steps(weighted, monkeypatch):
    steps = 2 * TEAM_STEPS + 4
    x, y, weight = data(4 * steps)
    group, reads = DeviceGroup(), Reads(monkeypatch)
    layers = nn.Sequential(nn.Dense(8, weight_regularizer=nn.L2(1e-3)), nn.BatchNorm(), nn.ReLU(), nn.Dense(4))
    with recording.recording() as gpu:
        model = nn.Model(layers, seed=1, backend=gpu)
        options = {"sample_weight": weight if weighted else None, "workers": group, "callbacks": reads}
        history = model.fit(x, y, epochs=1, batch_size=4, shards=2, **options)
    changes = [i for i in range(1, steps) if reads.after[i] != reads.after[i - 1]]
    assert changes == [TEAM_STEPS, 2 * TEAM_STEPS]  # after which steps something had been read
    assert reads.count - reads.after[-1] <= 3  # at the last one: the sums, and what all know, a transfer a dtype
    on_host = [kind for kind, kept in group.sums if not kept]
    assert on_host == ["float64"]  # the flags at the end of the epoch
    # the sums of each step, and at each of the three fetches whether all weights are finite
    assert group.sums.count(("float64", True)) == steps + 3

    numpy = nn.Model(layers, seed=1, backend="numpy")
    same = numpy.fit(x, y, epochs=1, batch_size=4, shards=2, sample_weight=weight if weighted else None, verbose=0)
    np.testing.assert_allclose(history["loss"], same["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"], same["accuracy"], rtol=1e-6)


@needs_compiler
def test_a_single_step_reads_nothing_on_the_host(monkeypatch):
    x, y, _ = data(16)
    network, rule, group, reads = nn.Sequential(nn.Dense(4)), nn.SGD(0.1), DeviceGroup(), Reads(monkeypatch)
    with recording.recording() as gpu:
        params = tree.map(gpu.asarray, network.init(np.random.default_rng(0), (20,))[0])
        batch = gpu.asarray(x), gpu.asarray(y, gpu.index_dtype), None
        step = nn.make_train_step(network, "softmax_cross_entropy", rule, metrics=("accuracy",), workers=group)
        params, _, logs = step(params, rule.init(params), batch, nn.Key(0))
        assert reads.count == 0
        assert float(gpu.to_numpy(logs["accuracy"]["weight"])) == 16
        assert isinstance(logs["loss"], recording.Recorded)


# ---------------------------------------------------------------- decisions, on a stand-in of NCCL


def on_gpus(count, function):
    """[function(group)] of workers with a GPU each, whose arrays are NumPy's."""
    return members(count, lambda control: function(made(control, StandIn)))


class At(nn.Callback):
    """On the last worker, after one step."""

    every_epoch = False

    def __init__(self, group, act, step):
        self.group, self.act, self.step = group, act, step

    def on_batch_end(self, model):
        return self.act(model) if model.step == self.step and self.group.rank == self.group.size - 1 else None


class Steps(nn.Callback):
    """The last step that a worker took."""

    every_epoch = False
    last = 0

    def on_batch_end(self, model):
        self.last = model.step


def fit(group, callbacks=(), epochs=3, batches=None, **options):
    x, y, _ = data(160)
    model = nn.Model(
        nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(4)), optimizer=nn.Adam(0.01), seed=1, backend="numpy"
    )
    given = (x, y) if batches is None else (batches,)
    size = {} if batches is not None else {"batch_size": 8}
    model.fit(*given, epochs=epochs, **size, callbacks=callbacks, workers=group, verbose=0, **options)
    return model


@pytest.mark.parametrize(("asked", "stopped"), [(1, 16), (16, 16), (17, 20), (20, 20), (23, 36)])
def test_one_worker_stops_all_at_the_next_fetch(asked, stopped):
    """An epoch has 20 steps, and is fetched at its 16th and at its last."""
    assert TEAM_STEPS == 16
    assert on_gpus(2, lambda group: fit(group, [At(group, lambda model: True, asked)]).step) == [stopped] * 2


def test_a_divergence_of_one_worker_is_raised_on_all():
    def broken(model):
        model.params[0]["weight"][...] = np.nan

    def one(group):
        with pytest.raises(nn.DivergedError) as caught:
            fit(group, [At(group, broken, 16)])
        return str(caught.value)

    found = on_gpus(2, one)
    assert found[0] == found[1]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_history_and_the_weights_are_those_of_workers_that_read_each_step(count):
    def told(model):
        return [leaf.tobytes() for leaf in tree.leaves([model.params, model.state["slots"]])], model.history

    alone = told(fit(None, shards=8))
    assert on_gpus(count, lambda group: told(fit(group, shards=8))) == [alone] * count


def test_a_signal_to_one_worker_ends_all_at_the_next_fetch_and_the_run_goes_on_to_the_same_bits(tmp_path):
    path, steps = tmp_path / "run.safetensors", {}
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def one(group):
        if group.rank == 0:  # whose thread alone hears of signals
            steps[0] = Steps()
            press = At(group, lambda model: os.kill(os.getpid(), signal.SIGTERM), 5)
            press.group = Group()
            callbacks = [press, steps[0]]
        else:
            steps[group.rank] = Steps()
            callbacks = [At(Group(), lambda model: None, 5), steps[group.rank]]
        with pytest.raises(SystemExit):
            fit(group, [*callbacks, nn.Checkpoint(path, every=100)])

    try:
        on_gpus(2, one)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert {rank: callback.last for rank, callback in steps.items()} == {0: 16, 1: 16}
    resumed = on_gpus(
        4, lambda group: fit(group, [At(Group(), lambda model: None, 5), Steps(), nn.Checkpoint(path)], resume=path)
    )
    unbroken = fit(None, shards=8)
    for model in resumed:
        assert model.history == unbroken.history
        for a, b in zip(tree.leaves(model.params), tree.leaves(unbroken.params), strict=True):
            assert a.tobytes() == b.tobytes()


def test_a_checkpoint_that_is_due_is_saved_at_the_next_fetch(tmp_path):
    saved = []

    class Noted(nn.Checkpoint):
        def save(self, model, last, trainer):
            saved.append((trainer.team.group.rank, model.step))
            super().save(model, last, trainer)

    on_gpus(2, lambda group: fit(group, [Noted(tmp_path / "run.safetensors", every=5)], epochs=1))
    assert saved == [(0, 16), (0, 20), (0, 20)]  # due after 5, after 10 and 15, after 20; and at the end


def test_iterables_end_together():
    x, y, _ = data(160)

    def one(group):
        count = 3 if group.rank else 4
        return fit(group, batches=[(x[i * 24 : i * 24 + 24], y[i * 24 : i * 24 + 24]) for i in range(count)]).step

    assert on_gpus(2, one) == [9, 9]


def test_local_steps_continue_from_the_exchanged_weights():
    """A fetch in the step of an exchange copies the exchanged weights, so that a divergence goes back to these."""

    def broken(model):
        model.params[0]["weight"][...] = np.nan

    def one(group):
        x, y, _ = data(160)
        model = nn.Model(nn.Sequential(nn.Dense(4)), seed=1, backend="numpy")
        options = {"workers": group, "reduction": nn.LocalSGD(every=7), "verbose": 0}
        with pytest.raises(nn.DivergedError):
            model.fit(x, y, epochs=2, batch_size=8, callbacks=[At(group, broken, 23)], **options)
        assert model.step == 20
        return [leaf.tobytes() for leaf in tree.leaves(model.params)]

    found = on_gpus(2, one)
    assert found[0] == found[1]

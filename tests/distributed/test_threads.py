"""Workers in threads of one process: the same weights, slots and history for 1, 2 and 4 of them, bit for bit."""

import os
import signal
import threading

import numpy as np
import pytest
from members import members, refused_by_both
from training_run import bits, data, train

import arraynn as nn
from arraynn import tree
from arraynn.distributed import Group, Team, joined, parted, team_of
from arraynn.errors import DataError, WorkerError
from arraynn.training import consistency, loop


@pytest.fixture(scope="module")
def alone():
    """The bits of one worker with eight shards."""
    return bits(*train(shards=8))


# ---------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_whole_fit_has_the_same_bits_on_any_number_of_workers(count, alone):
    assert members(count, lambda group: bits(*train(group, 8))) == [alone] * count


def test_three_workers_are_close_to_one_and_hold_identical_weights(alone):
    found = members(3, lambda group: train(group, 8))
    assert len({bits(*one) for one in found}) == 1
    assert bits(*found[0]) != alone
    np.testing.assert_allclose(found[0][1]["val_loss"], train(shards=8)[1]["val_loss"], rtol=1e-2)


def test_fit_with_threads_updates_the_model_itself(alone):
    assert bits(*train(nn.workers("threads:4"), 8)) == alone


def test_shards_are_as_close_to_an_unshared_fit_as_rounding_allows():
    whole, shared = train(epochs=1)[1], train(shards=8, epochs=1)[1]
    np.testing.assert_allclose(shared["loss"], whole["loss"], rtol=1e-2)
    np.testing.assert_allclose(shared["accuracy"], whole["accuracy"], atol=0.03)


def test_a_number_of_shards_need_not_be_a_power_of_two():
    found = {count: members(count, lambda group: bits(*train(group, 12, epochs=2))) for count in (1, 2, 4)}
    assert len({one for each in found.values() for one in each}) == 1


def test_the_fast_sum_is_close():
    x, y, _ = data()

    def fit(group, reduction):
        model = nn.Model(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(4)), seed=1, backend="numpy")
        return model.fit(x, y, epochs=2, workers=group, reduction=reduction, verbose=0)["loss"]

    fast = members(4, lambda group: fit(group, "fast"))
    np.testing.assert_allclose(fast[0], members(4, lambda group: fit(group, "exact"))[0], rtol=1e-5)
    assert fast[0] == fast[3]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_step_alone_has_the_same_bits(weighted):
    x, y, weight = data(100)
    network = nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dropout(0.3), nn.Dense(4))

    def steps(workers=None, shards=8):
        params, _ = network.init(np.random.default_rng(1), (20,))
        rule = nn.Adam(0.01)
        state, told = rule.init(params), []
        step = nn.make_train_step(
            network,
            nn.softmax_cross_entropy,
            rule,
            clip_norm=0.1,
            metrics=(nn.metrics.accuracy,),
            workers=workers,
            shards=shards,
        )
        for rows in (slice(0, 61), slice(61, 64), slice(64, 100)):  # one of fewer rows than shards
            w = weight[rows].astype("float32") if weighted else None
            params, state, logs = step(params, state, (x[rows], y[rows], w), nn.Key(3))
            told.append(logs)
        return [leaf.tobytes() for leaf in tree.leaves([params, state["slots"]])], told

    one = steps()
    for count in (1, 2, 4):
        assert members(count, steps) == [one] * count
    assert one[1][0]["accuracy"]["weight"] == (pytest.approx(float(weight[:61].sum()), 1e-6) if weighted else 61)


def test_a_memory_mapped_file_is_read_by_each_worker_in_its_own_rows_only(tmp_path):
    x, y, _ = data(96)
    np.save(tmp_path / "x.npy", x)
    read = {}

    class Counting(np.memmap):
        def __getitem__(self, rows):
            found = super().__getitem__(rows)
            if isinstance(found, np.ndarray) and found.ndim == 2:
                read.setdefault(threading.get_ident(), []).append(len(found))
            return found

    def fit(group):
        network = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(4))
        model = nn.Model(network, seed=1, backend="numpy").build((20,))
        read.clear()
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r").view(Counting)
        history = model.fit(mapped, y, epochs=1, batch_size=48, workers=group, verbose=0)
        return bits(model, history)

    one = members(1, fit)
    rows = [sum(found[-2:]) for found in read.values()]
    assert rows == [96]
    assert members(2, fit) == one * 2
    assert [sum(found[-2:]) for found in read.values()] == [48, 48]


def test_iterables_of_batches_end_together():
    x, y, _ = data(96)

    def fit(group):
        count = 3 if group.rank else 4  # a worker whose iterable is shorter ends everybody's epoch
        batches = [(x[i * 24 : i * 24 + 24], y[i * 24 : i * 24 + 24]) for i in range(count)]
        model = nn.Model(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(4)), seed=1, backend="numpy")
        model.fit(batches, epochs=2, workers=group, verbose=0)
        return model.step, bits(model, model.history)

    found = members(2, fit)
    assert found[0] == found[1]
    assert found[0][0] == 6


@pytest.mark.parametrize("normalized", [False, True])
def test_arrays_of_other_libraries_are_split_among_workers(backend, normalized):
    x, y, weight = data(24)  # shards of three rows each: few shapes, where a library compiles for each
    layers = [nn.Dense(8), *([nn.BatchNorm()] if normalized else []), nn.ReLU(), nn.Dropout(0.1), nn.Dense(4)]

    def losses(group, shards):
        model = nn.Model(nn.Sequential(*layers), seed=1, backend=backend)
        options = {"sample_weight": weight, "workers": group, "shards": shards, "verbose": 0}
        return model.fit(x, y, epochs=1, batch_size=12, **options)["loss"]

    alone, (first, second) = losses(None, 4), members(2, lambda group: losses(group, 4))
    assert first == second
    np.testing.assert_allclose(first, alone, rtol=1e-5)
    np.testing.assert_allclose(alone, losses(None, None), rtol=1e-4)


# ---------------------------------------------------------------- local steps


def local(group, every=4, outer=None, epochs=3, callbacks=()):
    x, y, _ = data(192)
    layers = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.ReLU(), nn.Dense(4))
    model = nn.Model(layers, optimizer=nn.Adam(0.01), seed=1, backend="numpy")
    rule = nn.LocalSGD(every) if outer is None else nn.LocalSGD(every, outer)
    model.fit(x, y, epochs=epochs, batch_size=16, workers=group, reduction=rule, callbacks=callbacks, verbose=0)
    return model


def test_local_steps_end_with_the_same_weights_everywhere_and_learn():
    found = members(2, local)
    assert [leaf.tobytes() for leaf in tree.leaves(found[0].params)] == [
        leaf.tobytes() for leaf in tree.leaves(found[1].params)
    ]
    assert found[0].history == found[1].history
    assert found[0].history["loss"][-1] < found[0].history["loss"][0]


def test_with_one_worker_and_a_plain_average_local_steps_are_the_steps_of_fit():
    own = local(None, outer=nn.SGD(1.0))
    x, y, _ = data(192)
    usual = nn.Model(own.network, optimizer=nn.Adam(0.01), seed=1, backend="numpy")
    usual.fit(x, y, epochs=3, batch_size=16, shards=8, verbose=0)
    np.testing.assert_allclose(own.history["loss"], usual.history["loss"], rtol=1e-3)


def test_local_steps_exchange_weights_only_each_so_many_steps_and_at_epochs_ends(monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    group = Counted()
    local(group, every=5, epochs=2)
    # 12 steps an epoch: after 5, 10 and 12, then after 15, 20 and 24
    assert group.counts == {"float32": 6, "float64": 24 + 2 * 2}


def test_workers_move_by_the_mean_of_their_displacements():
    def one(group):
        x, y, _ = data(32)
        model = nn.Model(nn.Sequential(nn.Dense(4)), optimizer=nn.SGD(0.1), seed=1, backend="numpy").build((20,))
        rule = nn.LocalSGD(1, nn.SGD(1.0))
        model.fit(x, y, epochs=1, batch_size=None, workers=group, reduction=rule, verbose=0)
        return model.params

    # with equal shares and plain descent, the mean of the displacements is the whole batch's step
    x, y, _ = data(32)
    whole = nn.Model(nn.Sequential(nn.Dense(4)), optimizer=nn.SGD(0.1), seed=1, backend="numpy")
    whole.fit(x, y, epochs=1, batch_size=None, verbose=0)
    for params in members(2, one):
        for a, b in zip(tree.leaves(params), tree.leaves(whole.params), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("options", "told"), [((0,), "every must be"), ((4, 0.7), "outer must be an Optimizer")])
def test_wrong_local_steps_are_refused(options, told):
    with pytest.raises(DataError, match=told):
        nn.LocalSGD(*options)


def test_local_steps_are_refused_for_a_single_step():
    with pytest.raises(DataError, match=r"it is for Model\.fit"):
        nn.make_train_step(nn.Dense(4), nn.softmax_cross_entropy, nn.SGD(0.1), shards=8, reduction=nn.LocalSGD())


# ---------------------------------------------------------------- exchanges


class Counted(Group):
    """A worker alone that counts what would be exchanged."""

    def __init__(self):
        self.counts = {}

    def exact(self, flat):
        kind = str(flat.dtype)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return flat


@pytest.mark.parametrize(("norms", "expected"), [(0, 1), (1, 3), (2, 5)])
def test_a_step_exchanges_gradients_once_and_sums_once_and_twice_more_for_a_batch_norm(norms, expected, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    x, y, _ = data(64)
    layers = [layer for _ in range(norms) for layer in (nn.Dense(8), nn.BatchNorm(), nn.ReLU())]
    group = Counted()
    model = nn.Model(nn.Sequential(*layers, nn.Dense(4)), seed=1, backend="numpy")
    model.fit(x, y, epochs=1, batch_size=64, workers=group, verbose=0)
    # float64: the sums of the step; at the epoch's end, whether all weights are finite, and who stops
    assert group.counts == {"float32": expected, "float64": 3}


# ---------------------------------------------------------------- one set of files, decisions together


class Once(nn.Callback):
    """On one worker, in one step."""

    every_epoch = False

    def __init__(self, group, act, step=7, rank=1):
        self.group, self.act, self.step, self.rank = group, act, step, rank

    def on_batch_end(self, model):
        return self.act(model) if model.step == self.step and self.group.rank == self.rank else None


def test_one_worker_stops_all_after_the_same_step():
    found = members(2, lambda group: train(group, 8, [Once(group, lambda model: True)])[0].step)
    assert found == [7, 7]


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_divergence_of_one_worker_is_raised_on_all(seconds, monkeypatch):
    """Also where the weights are looked at, by the clock, before the others' losses know of it."""
    monkeypatch.setattr(loop, "FETCH_SECONDS", seconds)

    def broken(model):
        model.params[0]["weight"][...] = np.nan

    def fit(group):
        with pytest.raises(nn.DivergedError) as caught:
            train(group, 8, [Once(group, broken)])
        return caught.value.epoch, caught.value.step

    found = members(2, fit)
    assert found[0] == found[1]


def test_an_exception_of_one_worker_ends_all():
    seen = []

    def broken(model):
        raise ValueError("a fault of one worker")

    def fit(group):
        try:
            train(group, 8, [Once(group, broken)])
        except BaseException as error:
            seen.append((group.rank, type(error)))
            raise

    with pytest.raises(ValueError, match="a fault of one worker"):
        members(4, fit)
    assert dict(seen) == {0: WorkerError, 1: ValueError, 2: WorkerError, 3: WorkerError}


def test_ctrl_c_on_worker_0_ends_all_after_the_same_step_with_a_checkpoint(tmp_path, alone):
    path = tmp_path / "run.safetensors"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    steps = []

    def fit(group):
        press = Once(group, lambda model: os.kill(os.getpid(), signal.SIGINT), rank=0)
        try:
            train(group, 8, [press, Count(steps), nn.Checkpoint(path, every=100)])
        except KeyboardInterrupt:
            return
        raise AssertionError("the signal was lost")

    try:
        members(2, fit)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(steps) == [7, 7]
    resumed = members(4, lambda group: bits(*train(group, 8, [nn.Checkpoint(path)], resume=path)))
    assert resumed == [alone] * 4


class Count(nn.Callback):
    """Notes how many steps a worker took."""

    def __init__(self, steps):
        self.steps = steps

    def on_fit_end(self, model):
        self.steps.append(model.step)


def test_only_worker_0_writes_files_and_prints(tmp_path, capsys):
    written = []

    class Log(nn.CSVLog):
        def on_fit_begin(self, model):
            written.append(self.path.name)
            super().on_fit_begin(model)

    def fit(group):
        x, y, _ = data(64)
        model = nn.Model(nn.Sequential(nn.Dense(4)), seed=1, backend="numpy")
        callbacks = [Log(tmp_path / f"{group.rank}.csv"), nn.Checkpoint(tmp_path / f"{group.rank}.safetensors")]
        model.fit(x, y, epochs=2, workers=group, callbacks=callbacks, verbose=1)

    members(2, fit)
    assert written == ["0.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.csv", "0.safetensors"]
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("epoch 2/2") <= 1


def test_all_workers_resume_from_a_checkpoint_that_only_worker_0_can_read(tmp_path, alone):
    def fit(group):
        path = tmp_path / f"{group.rank}.safetensors"  # as on disks of their own
        train(group, 8, [nn.Checkpoint(path)], epochs=3)
        assert path.exists() == (group.rank == 0)
        return bits(*train(group, 8, [nn.Checkpoint(path)], resume=path))

    assert members(2, fit) == [alone] * 2


def test_a_checkpoint_of_other_shards_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    train(shards=8, callbacks=[nn.Checkpoint(path)], epochs=1)
    with pytest.raises(nn.CheckpointError, match="another shards: 8, not 4"):
        train(shards=4, callbacks=[nn.Checkpoint(path)], resume=path)


# ---------------------------------------------------------------- what is refused


def fit_with(group, x=None, seed=1, network=None, **options):
    own, y, _ = data(64)
    layers = network or nn.Sequential(nn.Dense(4))
    return nn.Model(layers, seed=seed, backend="numpy").fit(
        own if x is None else x, y, workers=group, verbose=0, **options
    )


@pytest.mark.parametrize(
    ("different", "told"),
    [
        (lambda rank: {"seed": rank}, "a seed other than worker 0: 1, not 0"),
        (lambda rank: {"x": data(64)[0] * (1 + rank)}, "training data other than worker 0"),
        (lambda rank: {"batch_size": 16 + rank}, "a value of batch_size other than worker 0: 17, not 16"),
        (lambda rank: {"epochs": 1 + rank}, "a value of epochs other than worker 0: 2, not 1"),
        (lambda rank: {"x": data(64)[0][:, : 20 - rank]}, "training data other than worker 0"),
        (lambda rank: {"resume": [None, "run.safetensors"][rank]}, "resume other than worker 0: given, not None"),
        (
            lambda rank: {"validation_data": [None, data(64)[:2]][rank]},
            "validation_data other than .*: given, not None",
        ),
        (
            lambda rank: {"sample_weight": [data(64)[2], None][rank]},
            "sample_weight other than worker 0: None, not given",
        ),
    ],
)
def test_workers_with_different_data_or_options_raise_an_error(different, told):
    refused_by_both(told, lambda group: fit_with(group, **different(group.rank)))


@pytest.mark.parametrize("package", ["arraynn", "NumPy"])
def test_workers_with_different_versions_raise_an_error(package, monkeypatch):
    place = threading.local()

    class OwnNumPy:
        """NumPy, whose version is another one in each worker."""

        @property
        def __version__(self):
            return f"1.{place.rank}"

        def __getattr__(self, name):
            return getattr(np, name)

    if package == "NumPy":
        monkeypatch.setattr(consistency, "np", OwnNumPy())
    else:
        monkeypatch.setattr(consistency, "own_version", lambda: f"1.{place.rank}")

    def fit(group):
        place.rank = group.rank
        fit_with(group)

    refused_by_both(f"a version of {package} other than worker 0: 1.1, not 1.0", fit)


def test_an_error_of_one_worker_is_raised_on_all_with_its_message():
    raised = {}

    def fit(group):
        x = data(64)[0]
        if group.rank == 1:
            x[5, 0] = np.nan
        try:
            fit_with(group, x=x)
        except Exception as error:
            raised[group.rank] = error
            raise

    with pytest.raises(DataError, match="holds nan in row 5"):
        members(2, fit)
    assert "worker 1 of 2 failed: DataError" in str(raised[0])


def test_more_workers_than_shards_are_refused():
    with pytest.raises(WorkerError, match="there are 4 workers, and each batch is cut into 2 shards"):
        members(4, lambda group: fit_with(group, shards=2))


def test_a_layer_that_couples_rows_without_exchanging_is_refused():
    class Centered(nn.layers.Layer):
        def __call__(self, params, x, key=None):
            return x - x.mean(axis=0), lambda dy, need_dx=True: (dy - dy.mean(axis=0), {})

    with pytest.raises(DataError, match=r"Centered 'layers.1' takes its numbers from all rows"):
        fit_with(None, network=nn.Sequential(nn.Dense(4), Centered()), shards=8)


@pytest.mark.parametrize("wrong", ["mpich", "threads", "threads:0", "threads:x", 3])
def test_unknown_engines_are_refused(wrong):
    with pytest.raises(DataError, match="workers takes 'mpi', 'nccl', 'torch', 'threads:4' or None, got"):
        nn.workers(wrong)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"shards": 0}, "shards must be an integer of at least 1, got 0"),
        ({"shards": True}, "shards must be an integer of at least 1, got True"),
        ({"shards": 8, "reduction": "slow"}, "reduction must be 'exact', 'fast' or a LocalSGD, got 'slow'"),
        ({"shards": 8, "group": "mpi"}, "workers must be what nn.workers"),
    ],
)
def test_wrong_options_are_refused(options, told):
    with pytest.raises(DataError, match=told):
        team_of(**{"group": None, **options})


# ---------------------------------------------------------------- the pieces


@pytest.mark.parametrize("rows", [1, 5, 8, 100, 101])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_workers_rows_cover_a_batch_once_and_in_order(rows, size):
    covered = []
    for rank in range(size):
        group = Group()
        group.rank, group.size = rank, size
        own = Team(group, 8).own_rows(rows)
        covered += range(own.start, own.stop)
    assert covered == list(range(rows))


def test_a_flattened_nest_does_not_depend_on_the_order_of_its_keys():
    """JAX's jit sorts them, so gradients that were joined in one order were parted in another."""
    nest = [{"scale": np.arange(3.0), "bias": np.arange(3.0, 5.0)}, (np.arange(6.0).reshape(2, 3),)]
    turned = [dict(reversed(nest[0].items())), nest[1]]
    numbers = joined(nest)
    assert numbers.tolist() == joined(turned).tolist() == [3, 4, 0, 1, 2, 0, 1, 2, 3, 4, 5]
    for like in (nest, turned):
        found = parted(numbers, like)
        assert list(found[0]) == list(like[0])
        for path, leaf in tree.items(like):
            np.testing.assert_array_equal(dict(tree.items(found))[path], leaf)
    assert joined([{}]) is None


def test_sums_and_slices_of_a_group_are_those_of_numpy():
    def exchange(group):
        own = np.arange(10, dtype="float32") * (group.rank + 1)
        return group.sum(own.copy()), group.exact(own.copy()), group.bcast(group.rank), group.gather(group.rank)

    for summed, exact, first, everyone in members(4, exchange):
        np.testing.assert_array_equal(summed, np.arange(10) * 10)
        np.testing.assert_array_equal(exact, np.arange(10) * 10)
        assert (first, everyone) == (0, [0, 1, 2, 3])

"""Data of which each worker holds some rows: the bits of a fit where all hold everything, and what is refused."""

import re
import threading

import numpy as np
import pytest
from members import members, refused_by_both
from training_run import NETWORK, bits, data

import arraynn as nn
from arraynn.errors import DataError, WorkerError
from arraynn.training import loop

X, Y, WEIGHT = data()
HELD = data(75)
CUTS = {"even": None, "uneven": [0, 3, 190, 190, 205], "backwards": [205, 120, 119, 40, 0]}


def shard(group, array, edges=None):
    """A worker's rows of the array; edges : where the runs of the workers meet."""
    rows = len(array)
    if edges is None or group.size != len(edges) - 1:
        mine = group.rows(rows)
        return nn.Shard(array[mine], mine.start, rows)
    first, last = sorted(rows * edge // max(edges) for edge in edges[group.rank : group.rank + 2])
    return nn.Shard(array[first:last], first, rows)


def train(group=None, give=lambda array: array, callbacks=(), **options):
    """A fit of everything; give(array) is what a worker hands over of an array."""
    model = nn.Model(NETWORK, optimizer=nn.Adam(0.01), metrics=["accuracy", "f1"], seed=3, backend="numpy")
    options = {"epochs": 3, "batch_size": 40, "class_weight": "balanced", "shards": 8, **options}
    if "validation_split" not in options:
        options["validation_data"] = tuple(map(give, HELD))
    weight = give(WEIGHT)
    history = model.fit(
        give(X), give(Y), sample_weight=weight, workers=group, callbacks=callbacks, verbose=0, **options
    )
    return bits(model, history)


# ---------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("edges", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_data_in_shards_give_the_bits_of_data_that_every_worker_holds(count, edges):
    assert members(count, lambda group: train(group, lambda array: shard(group, array, edges))) == [train()] * count


@pytest.mark.parametrize(
    "options",
    [{"shuffle": False}, {"validation_split": 0.3}, {"batch_size": None, "epochs": 2}],
    ids=["in order", "split", "one batch"],
)
def test_shards_in_another_row_order_give_the_same_bits(options):
    found = members(4, lambda group: train(group, lambda array: shard(group, array), **options))
    assert found == [train(**options)] * 4


def test_validation_in_several_blocks_of_rows_has_the_same_bits(monkeypatch):
    monkeypatch.setattr(type(nn.backend("numpy")), "inference_rows", 7)  # eleven blocks for four workers
    assert members(4, lambda group: train(group, lambda array: shard(group, array))) == [train()] * 4


def test_x_alone_may_be_in_shards():
    def fit(group):
        return train(group, lambda array: shard(group, array) if array is X else array)

    assert members(2, fit) == [train()] * 2


def test_a_worker_sees_no_rows_but_its_own_and_those_it_trains_on(tmp_path):
    """Each worker has a file of its own, with nan where the others' rows are; an error would name them."""
    read = {}

    class Counting(np.memmap):
        def __getitem__(self, rows):
            found = super().__getitem__(rows)
            if isinstance(rows, np.ndarray):
                read.setdefault(threading.get_ident(), []).extend(rows.tolist())
            return found

    def give(group, array):
        held = shard(group, array)
        if array.ndim == 1:
            return held
        path = tmp_path / f"{len(array)}-{group.rank}.npy"
        np.save(path, held.rows)
        return nn.Shard(np.load(path, mmap_mode="r").view(Counting), held.start, held.total)

    options = {"validation_split": 0.2, "epochs": 1, "batch_size": 41}
    assert members(2, lambda group: train(group, lambda array: give(group, array), **options)) == [train(**options)] * 2
    # each of its rows once for training or for validation
    assert sorted(map(sorted, read.values()), key=len) == [list(range(102)), list(range(103))]


def test_shards_of_integers_of_several_inputs_and_of_word_labels_train():
    rng = np.random.default_rng(0)
    words, numbers = rng.integers(0, 9, (60, 3)), rng.normal(size=(60, 2)).astype("float32")
    names = np.asarray(["ham", "spam"])[words[:, 0] % 2]
    network = nn.Sequential(nn.Parallel(nn.Sequential(nn.Embedding(9, 4), nn.Flatten()), nn.Dense(4)), nn.Dense(2))

    def fit(group, give):
        model = nn.Model(network, classes=("ham", "spam"), seed=1, backend="numpy")
        x = give(words), give(numbers)
        return bits(model, model.fit(x, give(names), epochs=2, batch_size=16, workers=group, shards=4, verbose=0))

    alone = fit(None, lambda array: array)
    assert members(2, lambda group: fit(group, lambda array: shard(group, array))) == [alone] * 2


@pytest.mark.parametrize("form", [list, np.asarray])
def test_word_labels_may_differ_in_length_between_workers(form):
    """NumPy's dtype of text is that of the longest word, and was compared between the workers."""
    words = ["no"] * 8 + ["maybe"] * 8

    def fit(group, targets):
        model = nn.Model(nn.Sequential(nn.Dense(2)), classes=("no", "maybe"), seed=1, backend="numpy")
        return bits(model, model.fit(X[:16], targets, epochs=2, batch_size=None, workers=group, shards=4, verbose=0))

    alone = fit(None, words)
    mine = [slice(0, 8), slice(8, 16)]

    def member(group):
        rows = mine[group.rank]
        return fit(group, nn.Shard(form(words[rows]), rows.start, 16))

    assert members(2, member) == [alone] * 2


def test_shards_work_with_local_steps_and_other_libraries(backend):
    def fit(group, give):
        model = nn.Model(nn.Sequential(nn.Dense(4)), seed=1, backend=backend)
        options = {"epochs": 2, "batch_size": 48, "workers": group, "shards": 2, "reduction": nn.LocalSGD(2)}
        model.fit(give(group, X[:96]), give(group, Y[:96]), **options, verbose=0)
        return model.history["loss"]

    whole = members(2, lambda group: fit(group, lambda _, array: array))
    assert members(2, lambda group: fit(group, shard)) == whole


def test_another_number_of_workers_resumes_a_checkpoint_of_shards(tmp_path):
    path = tmp_path / "run.safetensors"

    def begin(group):
        train(group, lambda array: shard(group, array), [nn.Checkpoint(path)], epochs=2)

    members(4, begin)
    found = members(2, lambda group: train(group, lambda array: shard(group, array), resume=path))
    assert found == [train()] * 2


# ---------------------------------------------------------------- exchanges


def test_rows_are_sent_once_a_step_and_never_where_each_worker_has_its_own():
    sent = []

    def fit(group, edges=None):
        swap = group.swap
        group.swap = lambda parts, sizes: sent.append(sum(map(len, parts))) or swap(parts, sizes)
        model = nn.Model(nn.Sequential(nn.Dense(4)), seed=1, backend="numpy")
        x = shard(group, X[:96], edges)
        model.fit(x, Y[:96], batch_size=None if edges is None else 24, workers=group, shards=2, verbose=0)

    members(2, fit)
    assert sent == []
    members(2, lambda group: fit(group, [0, 1, 2]))
    assert len(sent) == 2 * 4
    assert sum(sent) == 96 * X[0].nbytes  # what stays counts, too


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_divergence_names_the_layer_on_all_workers(seconds, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", seconds)
    raised = []

    def fit(group):
        network, loss = nn.Sequential(nn.Dense(1)), nn.mean_squared_error
        model = nn.Model(network, loss, nn.SGD(1e38), seed=1, backend="numpy")
        with pytest.raises(nn.DivergedError) as caught:
            model.fit(shard(group, X), shard(group, WEIGHT), epochs=9, workers=group, verbose=0)
        raised.append(str(caught.value))

    members(2, fit)
    assert raised[0] == raised[1]
    assert re.search(r"(Dense|parameter) ", raised[0])


def test_a_divergence_of_one_workers_weights_ends_all(monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)

    class Broken(nn.Callback):
        def on_batch_end(self, model):
            if model.step == 3 and self.rank == 1:
                model.params[0]["weight"][...] = np.nan

    def fit(group):
        broken = Broken()
        broken.rank = group.rank
        with pytest.raises(nn.DivergedError):
            train(group, lambda array: shard(group, array), [broken], epochs=1)

    members(2, fit)


def test_a_row_that_is_not_finite_is_named_by_its_index_in_the_whole_data():
    raised = {}

    def fit(group):
        x = X.copy()
        x[150, 2] = np.nan
        try:
            nn.Model(NETWORK, seed=1, backend="numpy").fit(shard(group, x), shard(group, Y), workers=group, verbose=0)
        except Exception as error:
            raised[group.rank] = str(error)
            raise

    with pytest.raises(DataError, match="x holds nan in row 150"):
        members(2, fit)
    assert "worker 1 of 2 failed: DataError: x holds nan in row 150" in raised[0]


def rows(first, last, array=X):
    return nn.Shard(array[first:last], first, len(array))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([rows(0, 100), rows(110, 205)], "rows 100 to 110 of x are held by no worker"),
        ([rows(1, 100), rows(100, 205)], "rows 0 to 1 of x are held by no worker"),
        ([rows(0, 100), rows(100, 200)], "rows 200 to 205 of x are held by no worker"),
        ([rows(0, 205), rows(100, 205)], "rows 100 to 205 of x are held by worker 0 and by worker 1"),
        (
            [rows(0, 100), nn.Shard(X[100:], 100, 206)],
            "worker 1 has an nn.Shard of x with total 206, worker 0 with 205",
        ),
        ([rows(0, 100), rows(100, 205, X[:, 1:])], r"with rows of shape \(19,\), worker 0 with \(20,\)"),
        ([rows(0, 100), rows(100, 205, X.astype("f8"))], "with dtype float64, worker 0 with float32"),
        ([X, rows(100, 205)], "worker 0 gives x whole, others an nn.Shard of it"),
        ([rows(0, 100), rows(100, 205, X.astype(str))], "worker 1 of 2 failed: x must hold real numbers"),
        ([rows(0, 100), nn.Shard({"a": [1, 2]}, 100, 205)], "x is an nn.Shard of a table"),
        ([rows(0, 100), rows(100, 205, np.ma.masked_greater(X, 0))], "worker 1 of 2 failed: x is a masked array"),
    ],
)
def test_incomplete_shards_are_refused_by_all_with_one_message(given, told):
    refused_by_both(told, lambda group: train(group, lambda array: given[group.rank] if array is X else array))


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ([[0, 1]] * 7 + [[0]], "worker 1 of 2 failed: y is an nn.Shard of rows that make no array"),
        (np.ma.masked_equal(np.arange(8) % 2, 1), "worker 1 of 2 failed: y is a masked array"),  # trained on the hidden
    ],
)
def test_wrong_shards_of_targets_are_refused_by_all(targets, told):
    def fit(group):
        mine = group.rows(16)
        own = targets if group.rank == 1 else np.zeros(8, int)
        nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy").fit(
            nn.Shard(X[mine], mine.start, 16), nn.Shard(own, mine.start, 16), workers=group, verbose=0
        )

    refused_by_both(told, fit)


def test_targets_may_be_a_series():
    series = pytest.importorskip("pandas").Series

    def fit(group, targets):
        model = nn.Model(nn.Sequential(nn.Dense(2)), seed=1, backend="numpy")
        return bits(model, model.fit(X[:16], targets, epochs=2, batch_size=8, workers=group, shards=4, verbose=0))

    labels = np.arange(16) % 2
    alone = fit(None, series(labels))
    assert members(2, lambda group: fit(group, shard(group, series(labels)))) == [alone] * 2


def test_with_one_worker_a_shard_must_be_the_whole_data():
    model = nn.Model(nn.Sequential(nn.Dense(4)), seed=1, backend="numpy")
    with pytest.raises(WorkerError, match="rows 100 to 205 of x are held by no worker"):
        model.fit(rows(0, 100), Y, verbose=0)
    assert model.params is None
    model.fit(rows(0, 205), Y, verbose=0)
    with pytest.raises(DataError, match=r"x is an nn\.Shard, which Model\.fit takes"):
        model.predict(rows(0, 205))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((X, 0, 204), r"rows 0 to 205 end behind total=204"),
        ((X, -1, 300), "start must be the place of a row, an integer of at least 0, got -1"),
        ((X, 0, 0), "total must be the rows of the whole array"),
        ((X, 0.5, 300), "start must be the place of a row"),
    ],
)
def test_wrong_row_indices_are_refused(given, told):
    with pytest.raises(DataError, match=told):
        nn.Shard(*given)

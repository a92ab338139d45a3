"""The spec: what data become, and every way in which they may be refused."""

import re
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import arraynn as nn
from arraynn.losses import as_loss
from arraynn.training.batch_iterable import BatchIterable
from arraynn.training.dataset import ArrayDataset, HostArray, InputSpec, blocks, rows_of, unpack
from arraynn.training.validation import CHUNK, as_array, as_inputs, count_rows, distributions, finite, same_place

X = np.arange(12.0, dtype=np.float32).reshape(6, 2)
LABELS = np.asarray([0, 2, 1, 1, 0, 2])


def spec_of(backend="numpy", loss=nn.softmax_cross_entropy, output_shape=(3,), input_shape=(2,), **options):
    dtype = options.pop("dtype", "float32")
    return InputSpec(nn.backend(backend), dtype, as_loss(loss), input_shape, output_shape, **options)


def host(backend, x):
    return nn.backend(backend).to_numpy(x)


def refused(problem, *parts, kind=nn.DataError, **options):
    """The error of rows_of: one line that holds `problem`."""
    with pytest.raises(kind, match=problem) as caught:
        rows_of(spec_of(**options), *parts)
    assert "\n" not in str(caught.value)
    return caught.value


# ---------------------------------------------------------------- what data become


def test_rows_are_floats_of_the_dtype_and_labels_of_the_index_dtype(backend):
    rows = rows_of(spec_of(backend), X.astype(np.float64), LABELS.astype(np.int8), [1, 2, 1, 1, 1, 1])
    place = nn.backend(backend)
    assert rows.x.dtype == rows.weight.dtype == place.dtype("float32")
    assert rows.targets.dtype == place.index_dtype
    assert all(place.owns(leaf) for leaf in (rows.x, rows.targets, rows.weight))
    np.testing.assert_array_equal(host(backend, rows.x), X)
    np.testing.assert_array_equal(host(backend, rows.targets), LABELS)


def test_a_device_is_kept(xp):
    rows = rows_of(spec_of(xp.asarray(X)), xp.asarray(X), xp.asarray(LABELS), xp.asarray(np.ones(6)))
    expected = str(nn.backend(xp.asarray(X)).device)
    assert {str(nn.backend(leaf).device) for leaf in (rows.x, rows.targets, rows.weight)} == {expected}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.bool_])
def test_integer_images_become_floats(xp, dtype):
    images = (X % 2).astype(dtype)
    rows = rows_of(spec_of(xp.asarray(X)), xp.asarray(images), LABELS)
    assert "float32" in str(rows.x.dtype)
    np.testing.assert_array_equal(xp.to_numpy(rows.x), images.astype(np.float32))


def test_integers_stay_integers_for_an_embedding(backend):
    rows = rows_of(spec_of(backend, integer_input=True), X.astype(np.uint8), LABELS)
    assert rows.x.dtype == nn.backend(backend).index_dtype


def test_boolean_labels_are_classes(backend):
    rows = rows_of(spec_of(backend, output_shape=(2,)), X, LABELS > 0)
    np.testing.assert_array_equal(host(backend, rows.targets), [0, 1, 1, 1, 0, 1])


def test_one_output_takes_targets_n_and_n_1(backend):
    for targets in (np.ones(6), np.ones((6, 1)), [1] * 6):
        rows = rows_of(spec_of(backend, nn.mean_squared_error, (1,)), X, targets)
        assert tuple(rows.targets.shape) == (6, 1)
        assert rows.targets.dtype == nn.backend(backend).dtype("float32")


def test_big_endian_and_strided_arrays_are_taken(backend):
    x = X.astype(">f8")[::2, ::-1]
    rows = rows_of(spec_of(backend), x, LABELS[::2])
    np.testing.assert_array_equal(host(backend, rows.x), X[::2, ::-1])


def test_a_matrix_is_indexed_as_an_array():
    with pytest.warns(PendingDeprecationWarning):
        x = np.matrix(X)
    assert type(as_array("x", x)) is np.ndarray


def test_subclasses_without_masked_numbers_are_taken():
    assert as_array("x", np.ma.masked_array(X)).shape == (6, 2)


def test_a_tuple_is_several_inputs_and_a_list_is_one_array():
    left, right = as_inputs(([[1.0, 2.0]], [[3]]))
    assert (left.shape, right.shape) == ((1, 2), (1, 1))
    assert as_inputs([[1.0, 2.0]]).shape == (1, 2)


def test_arrays_of_the_right_dtype_are_not_copied():
    assert np.shares_memory(rows_of(spec_of(), X, LABELS).x, X)


# ---------------------------------------------------------------- batches


def batches(rows, epoch=0):
    return [make() for make in rows.epoch(epoch)]


def test_no_batch_size_is_the_whole_set_in_order():
    ((x, targets, weight),) = batches(ArrayDataset(spec_of(), X, LABELS, None, None, seed=5))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(targets, LABELS)
    assert weight is None


def test_the_permutation_of_an_epoch_comes_from_seed_and_epoch(backend):
    rows = rows_of(spec_of(backend), X, LABELS, np.arange(1.0, 7.0))
    rows = ArrayDataset(rows.spec, rows.x, rows.targets, rows.weight, batch_size=4, seed=7)
    for epoch in (0, 3):
        order = np.random.default_rng([7, epoch]).permutation(6)
        made = batches(rows, epoch)
        assert [tuple(x.shape) for x, _, _ in made] == [(4, 2), (2, 2)]
        for i, whole in enumerate((X, LABELS, np.arange(1.0, 7.0))):
            got = np.concatenate([host(backend, batch[i]) for batch in made])
            np.testing.assert_array_equal(got, whole[order])


def test_a_permutation_of_many_rows_is_numpys():
    rows = ArrayDataset(spec_of(), X, np.zeros(70_000, np.int64), None, batch_size=70_000, seed=7)
    (make,) = rows.epoch(2)
    np.testing.assert_array_equal(make.args[1], np.random.default_rng([7, 2]).permutation(70_000))


def test_a_batch_can_be_made_again():
    rows = ArrayDataset(spec_of(), X, LABELS, None, batch_size=4, seed=7)
    makers = list(rows.epoch(1))
    first, again = ([make()[0] for make in makers] for _ in range(2))
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))


def test_a_split_is_drawn_by_the_seed_and_loses_no_row(backend):
    rows = rows_of(spec_of(backend), X, LABELS, np.arange(1.0, 7.0))
    train, held = rows.split(0.34, seed=3)
    order = np.random.default_rng([3, 2**32]).permutation(6)
    for part, places in ((train, np.sort(order[2:])), (held, np.sort(order[:2]))):
        np.testing.assert_array_equal(host(backend, part.x), X[places])
        np.testing.assert_array_equal(host(backend, part.targets), LABELS[places])
        np.testing.assert_array_equal(host(backend, part.weight), places + 1.0)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_a_split_that_leaves_a_side_empty_is_refused(fraction):
    with pytest.raises(nn.DataError, match=f"validation_split {fraction} of 6 rows leaves no row on one side"):
        rows_of(spec_of(), X, LABELS).split(fraction, 0)


def test_a_split_whose_training_rows_have_no_weight_is_refused():
    held = np.sort(np.random.default_rng([0, 2**32]).permutation(6)[:2])
    with pytest.raises(nn.DataError, match="not all 0"):
        rows_of(spec_of(), X, LABELS, np.isin(np.arange(6), held)).split(1 / 3, 0)


def test_blocks_cover_all_rows():
    assert list(blocks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


# ---------------------------------------------------------------- memory-mapped arrays


@pytest.fixture
def on_disk(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float64))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_a_memory_mapped_array_is_read_a_batch_at_a_time(backend, on_disk):
    rows = rows_of(spec_of(backend), on_disk, LABELS)
    assert isinstance(rows.x, HostArray)
    order = np.random.default_rng([1, 0]).permutation(6)
    made = batches(ArrayDataset(rows.spec, rows.x, rows.targets, None, batch_size=4, seed=1))
    np.testing.assert_array_equal(np.concatenate([host(backend, x) for x, _, _ in made]), X[order])
    assert made[0][0].dtype == nn.backend(backend).dtype("float32")


def test_a_memory_mapped_split_stays_on_disk(on_disk):
    train, held = rows_of(spec_of(), on_disk, LABELS).split(0.34, seed=3)
    assert isinstance(train.x, HostArray)
    assert isinstance(held.x, HostArray)
    kept = np.sort(np.random.default_rng([3, 2**32]).permutation(6)[2:])
    np.testing.assert_array_equal(train.take(slice(1, 3))[0], X[kept][1:3])
    np.testing.assert_array_equal(train.take(np.asarray([2, 0]), np.asarray([2, 0]))[0], X[kept][[2, 0]])


@contextmanager
def most_bytes():
    """A list that holds, at the end, the bytes that were allocated within, at most at the same time."""
    found = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_an_epoch_of_a_memory_mapped_array_costs_four_bytes_a_row_and_a_batch_its_own_rows(tmp_path):
    count = 100_000
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (count, 2))
    data = replace(rows_of(spec_of(), x, np.zeros(count, np.int64)), batch_size=count - 4, seed=1)
    with most_bytes() as epoch:
        *_, last = data.epoch(0)
    assert 4 * count <= epoch[0] < 5 * count
    with most_bytes() as batch:
        assert last()[0].shape == (4, 2)
    assert batch[0] < count


def test_nan_in_a_memory_mapped_array_is_named_by_its_row_in_the_file(tmp_path):
    x = X.copy()
    x[4, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    rows = rows_of(spec_of(), np.load(tmp_path / "x.npy", mmap_mode="r"), LABELS)
    with pytest.raises(nn.DataError, match="x holds nan in row 4"):
        rows.take(slice(3, 6))
    with pytest.raises(nn.DataError, match="x holds nan in row 4"):
        rows.take(None, np.asarray([5, 4]))
    with pytest.raises(nn.DataError, match="x holds nan in row 4"):
        batches(ArrayDataset(rows.spec, rows.x, rows.targets, None, batch_size=2, seed=0))


# ---------------------------------------------------------------- streams


def test_a_stream_gives_the_batches_of_each_epoch_anew(backend):
    stream = BatchIterable(spec_of(backend), [(X[:4], LABELS[:4]), [X[4:], LABELS[4:], [1, 2]]])
    for epoch in range(2):
        made = batches(stream, epoch)
        np.testing.assert_array_equal(host(backend, made[1][0]), X[4:])
        assert made[0][2] is None
        np.testing.assert_array_equal(host(backend, made[1][2]), [1.0, 2.0])


def test_an_exhausted_stream_is_reported():
    stream = BatchIterable(spec_of(), iter([(X, LABELS)]))
    assert len(batches(stream, 0)) == 1
    with pytest.raises(nn.DataError, match=r"gave no batch in epoch 1: it must start anew"):
        batches(stream, 1)


def test_one_batch_of_a_stream_may_have_weight_0():
    ((_, _, weight),) = batches(BatchIterable(spec_of(partial=True), [(X, LABELS, np.zeros(6))]))
    np.testing.assert_array_equal(weight, np.zeros(6))


@pytest.mark.parametrize(("item", "told"), [(X, "ndarray"), ((X,), "1 items"), (3.0, "float")])
def test_a_stream_of_other_objects_is_refused(item, told):
    with pytest.raises(
        nn.DataError, match=re.escape(f"an iterable must give (x, targets) or (x, targets, sample_weight), got {told}")
    ):
        unpack("an iterable", item)


# ---------------------------------------------------------------- class weights


def test_balanced_classes_weigh_the_same_in_sum(backend):
    rows = rows_of(spec_of(backend), X, [0, 0, 0, 2, 2, 0]).with_classes("balanced")
    np.testing.assert_allclose(host(backend, rows.weight), [0.75, 0.75, 0.75, 1.5, 1.5, 0.75])


def test_class_weights_multiply_sample_weights(backend):
    rows = rows_of(spec_of(backend), X, LABELS, np.arange(1.0, 7.0)).with_classes({1: 10, 2: 0.5})
    np.testing.assert_allclose(host(backend, rows.weight), [1, 1, 30, 40, 5, 3])


def test_binary_targets_have_two_classes(backend):
    rows = rows_of(spec_of(backend, nn.sigmoid_cross_entropy, (1,)), X, [0, 1, 0, 0, 0, 0]).with_classes("balanced")
    np.testing.assert_allclose(host(backend, rows.weight), [0.6, 3, 0.6, 0.6, 0.6, 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({3: 1.0}, "3: 1.0; classes are 0 to 2"),
        ({"a": 1.0}, "'a': 1.0"),
        ({0: -1.0}, "0: -1.0"),
        ({0: float("nan")}, "0: nan"),
        ({0: "much"}, "0: 'much'"),
        ("even", "must be 'balanced' or a mapping from class to weight, got 'even'"),
        ([1, 2, 3], "must be 'balanced' or a mapping"),
        ({0: 0, 1: 0, 2: 0}, "not all 0"),
    ],
)
def test_invalid_class_weights_are_refused(given, told):
    with pytest.raises(nn.DataError, match=re.escape(told)):
        rows_of(spec_of(), X, LABELS).with_classes(given)


def test_class_weights_need_classes():
    with pytest.raises(nn.DataError, match="class_weight needs class labels"):
        rows_of(spec_of(loss=nn.mean_squared_error, output_shape=(1,)), X, np.ones(6)).with_classes("balanced")
    with pytest.raises(nn.DataError, match="class_weight needs class labels"):
        rows_of(spec_of(), X, np.eye(3)[LABELS]).with_classes("balanced")


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(("label", "told"), [(3, "3"), (-1, "-1"), (127, "127")])
def test_labels_outside_the_classes_are_refused(xp, label, told):
    labels = LABELS.copy()
    labels[3] = label
    with pytest.raises(
        nn.DataError, match=rf"class labels must lie in \[0, 2\], got {told}; the network has 3 outputs"
    ):
        rows_of(spec_of(xp.asarray(X)), X, xp.asarray(labels))


def test_float_labels_are_refused(xp):
    with pytest.raises(
        nn.DataError, match=r"must be integers in \[0, 3\), got .*float32; convert them, as by y.astype\(int\)"
    ):
        rows_of(spec_of(xp.asarray(X)), X, xp.asarray(LABELS.astype(np.float32)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_row(xp, value):
    x = X.copy()
    x[4, 1] = value
    with pytest.raises(nn.DataError, match=f"x holds {value} in row 4; every number must be finite: drop such rows"):
        rows_of(spec_of(xp.asarray(X)), xp.asarray(x), LABELS)


def test_nan_is_found_beyond_the_first_chunk():
    x = np.zeros((CHUNK + 5, 1), np.float32)
    x[CHUNK + 2] = np.nan
    with pytest.raises(nn.DataError, match=f"in row {CHUNK + 2}"):
        finite("x", x, "float32")


def test_numbers_beyond_the_dtype_are_refused(xp):
    x = X.astype(np.float64)
    x[2, 0] = 1e39
    if not xp.has_float64:
        pytest.skip("this kind has no float64")
    with pytest.raises(nn.DataError, match=r"x holds 1e\+39 in row 2; float32 cannot hold it: .* dtype='float64'"):
        rows_of(spec_of(xp.asarray(X.astype(np.float64))), xp.asarray(x), LABELS)
    finite("x", xp.asarray(x), "float64")


def test_nan_targets_are_refused():
    y = np.ones(6)
    y[1] = np.nan
    refused("y holds nan in row 1", X, y, loss=nn.mean_squared_error, output_shape=(1,))
    refused("y holds nan in row 1", X, y, loss=nn.sigmoid_cross_entropy, output_shape=(1,))


def test_binary_targets_outside_0_and_1_are_refused():
    refused(
        r"y holds 2 in row \d; SigmoidCrossEntropy takes targets in \[0, 1\]: 0, 1 and probabilities between",
        X,
        LABELS,
        loss=nn.sigmoid_cross_entropy,
        output_shape=(1,),
    )


def test_distributions_that_do_not_sum_to_one_are_refused(xp):
    targets = np.eye(3, dtype=np.float32)[LABELS]
    rows_of(spec_of(xp.asarray(X)), X, xp.asarray(targets * 0.9995))
    targets[2] *= 0.99
    with pytest.raises(nn.DataError, match=r"each row must sum to 1, but row 2 sums to 0.99; divide the rows"):
        rows_of(spec_of(xp.asarray(X)), X, xp.asarray(targets))


def test_one_hot_integers_and_booleans_are_distributions(xp):
    for dtype in (np.int32, np.bool_):
        rows = rows_of(spec_of(xp.asarray(X)), X, xp.asarray(np.eye(3)[LABELS].astype(dtype)))
        np.testing.assert_array_equal(xp.to_numpy(rows.targets), np.eye(3)[LABELS])
    distributions(xp.asarray(np.eye(3, dtype=np.float32)))


def test_label_columns_are_refused_with_the_remedy():
    refused(r"class labels must have shape \(N,\).*got \(6, 1\); flatten them", X, LABELS[:, None], kind=nn.ShapeError)
    refused(r"class labels must have shape \(N,\), or \(N, 3\)", X, np.eye(4)[LABELS], kind=nn.ShapeError)


def test_targets_of_another_shape_are_refused():
    error = refused(
        "targets have shape", X, np.ones((6, 2)), loss=nn.mean_squared_error, output_shape=(3,), kind=nn.ShapeError
    )
    assert "(N, 2), the network's outputs (N, 3)" in str(error)
    refused(r"x has 6 rows, the targets have shape \(5,\)", X, LABELS[:5], kind=nn.ShapeError)
    refused(r"the targets have shape \(\)", X, 1, kind=nn.ShapeError)


def test_inputs_of_another_shape_are_refused_by_the_first_layer():
    error = refused("expected input", X[:, :1], LABELS, kind=nn.ShapeError, first=("Dense", "layers.0"))
    assert str(error) == "Dense 'layers.0': expected input (N, 2), got (N, 1)"


def test_a_loss_over_classes_needs_a_row_of_outputs():
    refused("takes outputs", X, LABELS, output_shape=(2, 3), kind=nn.ShapeError)


@pytest.mark.parametrize(
    ("weight", "told", "kind"),
    [
        (np.ones(5), r"one number a row, shape \(6,\), got \(5,\)", nn.ShapeError),
        (np.ones((6, 1)), r"shape \(6,\), got \(6, 1\)", nn.ShapeError),
        (np.zeros(6), "not all 0, got values from 0 to 0", nn.DataError),
        (np.full(6, 1e-60), "not all 0", nn.DataError),
        ([1, 1, -1, 1, 1, 1], "at least 0 and not all 0, got values from -1 to 1", nn.DataError),
        ([1, 1, np.nan, 1, 1, 1], "sample_weight holds nan in row 2", nn.DataError),
        (["a"] * 6, "sample_weight must hold real numbers", nn.DataError),
    ],
)
def test_invalid_sample_weights_are_refused(weight, told, kind):
    refused(told, X, LABELS, weight, kind=kind)


def test_a_mask_is_a_sample_weight(backend):
    rows = rows_of(spec_of(backend), X, LABELS, LABELS > 0)
    np.testing.assert_array_equal(host(backend, rows.weight), [0, 1, 1, 1, 0, 1])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.asarray([[1, "a"]], dtype=object), "must hold real numbers, got dtype object"),
        ([["a", "b"]], "must hold real numbers, got dtype <U1"),
        (np.ones((2, 2)) * 1j, "must hold real numbers, got dtype complex128"),
        ([[1.0, 2.0], [3.0]], "cannot be made an array: .*give every row the same length"),
        ({"x": 1}, "must hold real numbers, got dtype object"),
        (np.ma.masked_array(X, X > 5), r"is a masked array; fill what is masked, as by x.filled\(0\)"),
        (np.asarray(["2020-01-01"], "M8"), "must hold real numbers"),
    ],
)
def test_inputs_that_are_not_numeric_are_refused(values, told):
    with pytest.raises(nn.DataError, match=f"x {told}"):
        as_array("x", values)


def test_complex_arrays_of_any_library_are_refused(xp):
    with pytest.raises(nn.DataError, match="must hold real numbers"):
        as_array("x", xp.asarray(np.ones(2, np.complex64)))


@pytest.mark.parametrize(
    ("x", "told", "kind"),
    [
        (np.zeros((0, 2)), "x is empty: it has 0 rows, at least 1 is needed", nn.DataError),
        (np.float64(3), "rows along its first axis, got a single number", nn.ShapeError),
        ((), "got nothing", nn.ShapeError),
        ((np.zeros((3, 1)), np.zeros((4, 1))), r"the same number of rows, got \[3, 4\]", nn.ShapeError),
    ],
)
def test_inputs_without_rows_are_refused(x, told, kind):
    with pytest.raises(kind, match=told):
        count_rows(as_inputs(x))


def test_mixed_devices_are_refused():
    import array_api_strict as strict

    x = strict.asarray(X, device=strict.Device("device1"))
    with pytest.raises(
        nn.DataError,
        match=r"the data are mixed: array_api_strict on .*device1.* and array_api_strict on .*nn.backend\(x\)",
    ):
        rows_of(spec_of(x), x, strict.asarray(LABELS))
    same_place(x, X, None)  # NumPy arrays go along with any


def test_mixed_libraries_are_refused(xp):
    import array_api_strict as strict

    if xp.name.startswith(("numpy", "strict")):
        pytest.skip("one library, or NumPy, which goes along with any")
    x = xp.asarray(X)
    with pytest.raises(nn.DataError, match=f"the data are mixed: {xp.name} on .* and array_api_strict on"):
        rows_of(spec_of(x), x, strict.asarray(LABELS))


# ---------------------------------------------------------------- rows in messages


@pytest.mark.parametrize("bad", [0, 7, 38])
@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("what", ["x", "y", "sample_weight"])
def test_the_row_in_an_error_is_an_index_into_the_given_array(tmp_path, bad, on_disk, what):
    data = {"x": np.ones((40, 2)), "y": np.ones(40), "sample_weight": np.ones(40)}
    data[what][bad] = np.nan
    if on_disk:
        np.save(tmp_path / "x.npy", data["x"])
        data["x"] = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, backend="numpy")
    for options in ({"validation_split": 0.5}, {"validation_split": 0.5, "shuffle": False}, {"batch_size": 7}):
        with pytest.raises(nn.DataError, match=rf"{what} holds nan in row {bad};"):
            model.fit(**data, **options)
    for ask in (model.evaluate, lambda x, y, sample_weight: model.predict(x)):
        if what == "x":
            with pytest.raises(nn.DataError, match=rf"x holds nan in row {bad};"):
                ask(**data)


def test_an_error_says_that_a_row_is_of_validation_data_or_of_a_batch():
    x, y = np.ones((10, 2)), np.ones(10)
    wrong = np.where(np.arange(10)[:, None] == 6, np.nan, x)
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, backend="numpy")
    with pytest.raises(nn.DataError, match="in validation_data: x holds nan in row 6;"):
        model.fit(x, y, validation_data=(wrong, y))
    with pytest.raises(nn.DataError, match="in batch 2: x holds nan in row 6;"):
        model.fit([(x, y), (x, y), (wrong, y)])
    with pytest.raises(nn.DataError, match="in batch 0: x holds nan in row 6;"):
        model.fit([(wrong, y)])


@pytest.mark.parametrize("weight", [None, (8,), (8, 5)])
def test_a_model_is_trained_on_sequences_with_padding(backend, rng, weight):
    network = nn.Sequential(nn.Embedding(6, 8), nn.GRU(16, return_sequences=True), nn.Dense(6))
    loss = nn.SoftmaxCrossEntropy(ignore_label=-1)
    model = nn.Model(
        network, loss=loss, optimizer=nn.Adam(0.02), metrics=["accuracy", nn.metrics.Perplexity(-1)], backend=backend
    )
    x = rng.integers(0, 6, (8, 5))
    y = np.where(np.arange(5) < rng.integers(1, 6, 8)[:, None], x, -1)  # say what you read
    given = {} if weight is None else {"sample_weight": rng.random(weight) + 0.5}
    history = model.fit(x, y, epochs=40, batch_size=4, verbose=0, **given)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["perplexity"][-1] == pytest.approx(np.exp(history["data_loss"][-1]), rel=1e-4)
    figures = model.evaluate(x, y)
    assert figures["perplexity"] == pytest.approx(np.exp(figures["loss"]), rel=1e-4)
    assert model.predict(x).shape == (8, 5)
    assert model.predict_proba(x).shape == (8, 5, 6)


def test_labels_of_sequences_that_do_not_fit_are_refused(rng):
    model = nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy")
    x = rng.standard_normal((4, 5, 2))
    with pytest.raises(nn.ShapeError, match=r"class labels must have shape \(N, 5\).* put Flatten\(\) before the last"):
        model.fit(x, np.zeros(4, int), epochs=1, verbose=0)
    with pytest.raises(nn.ShapeError, match=r"must have shape \(N, 5\), or \(N, 5, 3\) for distributions, got"):
        model.fit(x, np.zeros((4, 6), int), epochs=1, verbose=0)
    with pytest.raises(nn.DataError, match=r"class labels must lie in \[0, 2\], got 3"):
        model.fit(x, np.full((4, 5), 3), epochs=1, verbose=0)
    with pytest.raises(nn.ShapeError, match="sample_weight must have one number a row"):
        model.fit(x, np.zeros((4, 5), int), sample_weight=np.ones((4, 6)), epochs=1, verbose=0)

"""Names of columns are remembered and compared, and a list is no tuple of inputs."""

import json

import numpy as np
import pytest

import arraynn as nn
from arraynn.io import model_file
from arraynn.layers import Layer
from arraynn.training.columns import column_names, same_columns


class Frame:
    """As much of a data frame as is asked for: values, names and dtypes."""

    def __init__(self, values, names):
        self.values, self.columns = np.asarray(values), names
        self.shape, self.dtypes = self.values.shape, [self.values.dtype] * self.values.shape[1]

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)

    def __getitem__(self, names):
        return Frame(self.values[:, [self.columns.index(name) for name in names]], names)


@pytest.fixture(params=["ours", "pandas", "polars"])
def frame(request, rng):
    """(a frame of columns a, b, c, its values)"""
    values = rng.standard_normal((30, 3))
    if request.param == "ours":
        return Frame(values, ["a", "b", "c"]), values
    module = pytest.importorskip(request.param)
    return module.DataFrame({name: values[:, i] for i, name in enumerate("abc")}), values


def model_of(**options):
    return nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy", **options)


OTHERS = [
    (["b", "a", "c"], r"another order .*: column 0 is 'b', not 'a'; reorder them, as by x\[\['a', 'b', 'c'\]\]"),
    (["a", "b"], "x lacks 'c', and the model was trained on the columns 'a', 'b', 'c'; give these, in this order"),
]


@pytest.mark.parametrize(("names", "told"), OTHERS)
def test_permuted_columns_are_refused_by_every_method(frame, tmp_path, names, told):
    # they were taken by their places, and answered wrongly
    x, values = frame
    y = (values[:, 0] > 0).astype(int)
    model = model_of()
    model.fit(x, y)
    model.save(tmp_path / "m.safetensors")
    loaded = nn.Model.load(tmp_path / "m.safetensors", backend="numpy")
    for one in (model, loaded):
        assert one.columns == ("a", "b", "c")
        np.testing.assert_array_equal(one.predict(x), one.predict(values))  # without names, by place
        for ask in (
            one,
            one.predict,
            one.predict_proba,
            lambda x, one=one: one.evaluate(x, y),
            lambda x, one=one: one.explain(x, y),
            lambda x, one=one: one.fit(x, y),
            lambda x, one=one: one.fit([(x, y)]),
            lambda x, one=one: one.fit(values, y, validation_data=(x, y)),
        ):
            with pytest.raises(nn.DataError, match=told):
                ask(x[names])
    assert model.epoch == 1


def test_validation_data_and_later_batches_have_the_columns_of_the_first(frame):
    x, values = frame
    y = (values[:, 0] > 0).astype(int)
    model = model_of()
    with pytest.raises(nn.DataError, match="another order"):
        model.fit(x, y, validation_data=(x[["b", "a", "c"]], y))
    assert (model.params, model.columns) == (None, None)
    with pytest.raises(nn.DataError, match="another order"):
        model.fit([(x, y), (x[["b", "a", "c"]], y)])


def test_names_given_later_are_remembered(frame):
    x, values = frame
    y = (values[:, 0] > 0).astype(int)
    model = model_of()
    model.fit(values, y)
    assert model.columns is None
    model.predict(x[["b", "a", "c"]])
    model.fit(x, y)
    assert model.columns == ("a", "b", "c")


def test_a_checkpoint_of_other_columns_is_not_resumed(frame, tmp_path):
    x, values = frame
    y = (values[:, 0] > 0).astype(int)
    path = tmp_path / "run.safetensors"
    model_of().fit(x, y, callbacks=[nn.Checkpoint(path, 1)])
    with pytest.raises(nn.DataError, match="another order"):
        model_of().fit(x[["b", "a", "c"]], y, epochs=2, callbacks=[nn.Checkpoint(path, 1)], resume=path)
    model = model_of()
    model.fit(values, y, epochs=2, callbacks=[nn.Checkpoint(path, 1)], resume=path)
    assert (model.columns, model.epoch) == (("a", "b", "c"), 2)


def test_column_names_must_be_strings():
    values = np.ones((2, 2))
    assert column_names(Frame(values, ["a", "b"])) == ("a", "b")
    assert column_names(Frame(values, [0, 1])) is None
    assert column_names(Frame(values, ["a", 1])) is None
    assert column_names(values) is column_names([[1.0]]) is column_names((values, values)) is None
    assert column_names((Frame(values, ["a", "b"]), values)) == (("a", "b"), None)


def test_each_of_several_inputs_has_names():
    same_columns((("a", "b"), None), (("a", "b"), ("c",)))
    with pytest.raises(nn.DataError, match="another order"):
        same_columns((("a", "b"), None), (("b", "a"), None))
    with pytest.raises(nn.DataError, match="x has 'd', and the model was trained on the columns 'c'"):
        same_columns((None, ("c",)), (None, ("c", "d")))


def test_files_without_names_still_load_and_wrong_names_are_refused(tmp_path, monkeypatch):
    model = model_of().build((3,))
    path = tmp_path / "m.safetensors"
    header, parts = model_file.described(model)
    old = {name: value for name, value in header.items() if name != "columns"}
    model_file.write(path, old, parts)
    assert nn.Model.load(path, backend="numpy").columns is None
    for wrong in (["a"], ["a", "b", 3], "abc", 3, [["a"], ["b"], ["c"]]):
        model_file.write(path, json.loads(json.dumps({**header, "columns": wrong})), parts)
        with pytest.raises(nn.CheckpointError, match=r"its columns are .*, which do not name inputs of shape"):
            nn.Model.load(path, backend="numpy")


# ---------------------------------------------------------------- several inputs


class Join(Layer):
    """y = x1 and x2 side by side."""

    def init(self, rng, input_shape, dtype="float32"):
        (a,), (b,) = input_shape
        return {}, (a + b,)

    def __call__(self, params, x, key=None):
        a, b = x
        return np.concatenate([a, b], axis=1), lambda dy, need_dx=True: (
            (dy[:, : a.shape[1]], dy[:, a.shape[1] :]),
            {},
        )


@pytest.mark.parametrize("widths", [(3, 3), (3, 2)])
def test_a_list_of_inputs_is_refused_with_the_advice_to_give_a_tuple(rng, widths):
    x = [rng.standard_normal((20, width)) for width in widths]
    y = rng.integers(0, 2, 20)
    told = r"x is a list of 2 arrays of 20 rows each; a network with several inputs takes them as a tuple, \(x1, x2\)"
    model = nn.Model(nn.Sequential(Join(), nn.Dense(2)), backend="numpy")
    for call in (lambda: model.fit(x, y), lambda: model.evaluate(x, y), lambda: model.fit([(x, y)])):
        with pytest.raises(nn.DataError, match=told):
            call()
    assert model.params is None
    model.fit(tuple(x), y)
    for call in (
        lambda: model.predict(x),
        lambda: model(x),
        lambda: model.fit(tuple(x), y, validation_data=(x, y)),
    ):
        with pytest.raises(nn.DataError, match=told):
            call()
    with pytest.raises(nn.DataError, match="x is a list of 2 items; a network with several inputs takes them as a tu"):
        model.predict([part.tolist() for part in x])
    single = nn.Model(nn.Sequential(nn.Dense(2)), backend="numpy").build((3,))
    if widths == (3, 3):
        with pytest.raises(nn.DataError, match=told):
            single.predict(x)


def test_a_list_of_rows_is_one_input(rng):
    x, y = rng.standard_normal((20, 4)), rng.integers(0, 2, 20)
    for rows in (list(x), x.tolist()):
        model = model_of()
        model.fit(rows, y)
        np.testing.assert_array_equal(model.predict(rows), model.predict(x))
    images = rng.standard_normal((20, 4, 4))
    model = nn.Model(nn.Sequential(nn.Flatten(), nn.Dense(2)), backend="numpy")
    model.fit(list(images), y)
    np.testing.assert_array_equal(model.predict(list(images)), model.predict(images))

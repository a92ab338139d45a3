"""Model: fit, evaluate, predict and what they refuse. The loop itself is tested in test_fitting."""

import copy
import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import arraynn as nn
from arraynn import metrics, tree
from arraynn.layers import Layer

X, Y = nn.datasets.spiral(20, 3)
X = X.astype(np.float32)
NETWORK = nn.Sequential(nn.Dense(8, weight_regularizer=nn.L2(1e-2)), nn.ReLU(), nn.Dense(3))


def model_of(network=NETWORK, loss=nn.softmax_cross_entropy, optimizer=None, **options):
    options.setdefault("backend", "numpy")
    return nn.Model(network, loss, optimizer or nn.SGD(0.5), **options)


def on_host(model):
    return [np.array(model.backend.to_numpy(leaf)) for leaf in tree.leaves(model.params)]


def assert_same_weights(one, other):
    for a, b in zip(on_host(one), on_host(other), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_close(history, other):
    assert list(history) == list(other)
    for name, values in history.items():
        assert values == pytest.approx(other[name], rel=1e-5, nan_ok=True), name


def device_of(xp, x):
    return nn.backend(x).name, str(nn.backend(x).device)


# ---------------------------------------------------------------- the backend


def test_auto_keeps_the_library_and_device_of_arrays_that_are_not_numpys(xp):
    model = model_of(backend="auto")
    model.fit(xp.asarray(X), xp.asarray(Y))
    assert (model.backend.name, str(model.backend.device)) == device_of(xp, xp.asarray(X))
    assert {device_of(xp, leaf) for leaf in tree.leaves([model.params, model.state["slots"]])} == {
        device_of(xp, xp.asarray(X))
    }


def test_reading_the_backend_does_not_fix_the_choice():
    model = model_of(backend="auto")
    assert model.backend.name in ("numpy", "cupy")
    x = nn.backend("array_api_strict:device1").asarray(X)
    model.predict(x)
    assert model.backend.name == "array_api_strict"


def test_a_named_backend_is_used_whatever_the_arrays(backend):
    model = model_of(backend=backend).build(2)
    wanted = nn.backend(backend)
    assert (model.backend.name, model.backend.device) == (wanted.name, wanted.device)
    assert all(wanted.owns(leaf) for leaf in tree.leaves(model.params))
    model.fit(X, Y)
    assert all(wanted.owns(leaf) for leaf in tree.leaves(model.params))


def test_an_unknown_backend_is_refused_at_first_use_without_loss():
    model = model_of(backend="nunpy")
    for use in (lambda: model.fit(X, Y), lambda: model.predict(X), lambda: model.backend):
        with pytest.raises(nn.BackendUnavailable, match="did you mean 'numpy'"):
            use()
    assert model.params is None
    assert model.history == {}
    model.to("numpy").fit(X, Y)


def test_a_named_backend_that_is_not_usable_says_why():
    with pytest.raises(nn.BackendUnavailable, match="no device 'device9', only"):
        model_of(backend="array_api_strict:device9").fit(X, Y)


def test_to_moves_weights_and_optimizer_state_and_training_continues(backend):
    model, stayed = (model_of(optimizer=nn.Adam(0.05)) for _ in range(2))
    for one in (model, stayed):
        one.fit(X, Y, epochs=2, batch_size=None)
    assert model.to(backend) is model
    home = nn.backend(backend)
    assert all(home.owns(leaf) for leaf in tree.leaves([model.params, model.state["slots"]]))
    assert model.step == 2
    for one in (model, stayed):
        one.fit(X, Y, epochs=3, batch_size=None)
    assert model.history["loss"] == pytest.approx(stayed.history["loss"], rel=1e-5)


def test_a_failed_move_leaves_the_model_unchanged():
    model = model_of(dtype="float64").build(2)
    before = on_host(model)
    with pytest.raises(nn.BackendUnavailable, match="float64"):
        model.to("array_api_strict:no_float64")
    assert model.backend.name == "numpy"
    for a, b in zip(before, on_host(model), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("method", ["predict", "predict_proba", "__call__"])
def test_predictions_are_on_the_device_of_x(xp, method):
    wanted = np.asarray(getattr(model_of().build(2), method)(X))
    for lives in ("numpy", "array_api_strict:device1"):
        answer = getattr(model_of(backend=lives).build(2), method)(xp.asarray(X))
        assert device_of(xp, answer) == device_of(xp, xp.asarray(X))
        np.testing.assert_allclose(xp.to_numpy(answer), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "__call__"])
def test_numpy_inputs_give_numpy_predictions_on_every_backend(backend, method):
    wanted = getattr(model_of().build(2), method)(X)
    answer = getattr(model_of(backend=backend).build(2), method)(X)
    assert type(answer) is np.ndarray
    assert answer.flags.writeable
    np.testing.assert_allclose(answer, wanted, rtol=1e-5, atol=1e-6)


def test_many_rows_are_predicted_in_blocks(rng):
    model = model_of().build(2)
    x = rng.standard_normal((2 * model.backend.inference_rows + 3, 2)).astype(np.float32)
    weight, bias = on_host(model)[:2]
    hidden = np.maximum(x @ weight + bias, 0)
    np.testing.assert_allclose(model(x), hidden @ on_host(model)[2] + on_host(model)[3], atol=1e-5)
    assert model.predict(x).shape == (len(x),)
    y = rng.integers(0, 3, len(x))
    assert model.evaluate(x, y)["accuracy"] == pytest.approx(np.mean(model.predict(x) == y))
    loss, _ = nn.softmax_cross_entropy(model(x).astype(np.float64), y)
    assert model.evaluate(x, y)["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_predictions_have_the_same_bits_with_any_number_of_threads(rng, monkeypatch):
    model = model_of(backend="numpy").build(2)
    x = rng.standard_normal((5 * model.backend.inference_rows + 3, 2)).astype(np.float32)
    answers = []
    for workers in "128":
        monkeypatch.setenv("ARRAYNN_NUM_THREADS", workers)
        answers.append(model(x))
    np.testing.assert_array_equal(answers[1], answers[0])
    np.testing.assert_array_equal(answers[2], answers[0])


def test_a_classifier_predicts_labels_and_probabilities():
    model = model_of()
    model.fit(X, Y, epochs=5)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), probabilities.argmax(axis=1))
    assert model.predict(X).dtype.kind == "i"


def test_predictions_of_one_output_have_shape_n(backend):
    yes = (Y == 1).astype(int)
    model = model_of(nn.Sequential(nn.Dense(1)), nn.sigmoid_cross_entropy, backend=backend)
    model.fit(X, yes, epochs=2)
    assert model.predict(X).shape == (60,)
    assert set(model.predict(X)) <= {0, 1}
    assert model.predict(X).dtype.kind == "i"
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X)[:, 0] > 0.5)
    values = model_of(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, backend=backend)
    values.fit(X, yes)
    assert values.predict(X).shape == (60,)
    assert values(X).shape == (60, 1)


def test_a_regression_has_no_probabilities():
    with pytest.raises(nn.DataError, match="predicts values, not probabilities; use predict"):
        model_of(loss=nn.mean_squared_error).predict_proba(X)


def test_predictions_use_no_dropout():
    model = model_of(nn.Sequential(nn.Dropout(0.5), nn.Dense(3)))
    np.testing.assert_array_equal(model(X), model(X))


def test_predict_refuses_nan():
    with pytest.raises(nn.DataError, match="x holds nan in row 0"):
        model_of().predict([[np.nan, 1.0]])


def test_evaluate_returns_python_floats_without_the_penalty(backend):
    model = model_of(backend=backend)
    model.fit(X, Y, epochs=2)
    found = model.evaluate(X, Y)
    assert list(found) == ["loss", "accuracy"]
    assert {type(value) for value in found.values()} == {float}
    loss, _ = nn.softmax_cross_entropy(model(X).astype(np.float64), Y)
    assert found["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert found["accuracy"] == np.mean(model.predict(X) == Y)


def test_evaluate_weighs_rows():
    model = model_of().build(2)
    weight = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weight)
    one, other = model.evaluate(X, Y, weight), model.evaluate(X[repeated], Y[repeated])
    assert one == pytest.approx(other, rel=1e-6)


def test_evaluate_before_any_fit_measures_by_its_own_targets(rng):
    y = rng.standard_normal(60) + 1000
    model = model_of(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, metrics="r2", dtype="float64")
    error = y - model.predict(X)
    assert model.evaluate(X, y)["r2"] == pytest.approx(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2), rel=1e-9)


# ---------------------------------------------------------------- history


def test_history_holds_python_floats(backend):
    model = model_of(backend=backend)
    history = model.fit(X, Y, epochs=2, validation_data=(X, Y))
    assert history is model.history
    assert list(history) == ["loss", "data_loss", "penalty", "accuracy", "learning_rate", "val_loss", "val_accuracy"]
    assert {type(value) for values in history.values() for value in values} == {float}
    assert {len(values) for values in history.values()} == {2}


def test_loss_is_data_loss_plus_penalty_and_val_loss_has_no_penalty(backend):
    model = model_of(backend=backend, optimizer=nn.SGD(0.0))
    history = model.fit(X, Y, epochs=1, batch_size=None, validation_data=(X, Y))
    weight = model.backend.to_numpy(model.params[0]["weight"])
    penalty = 1e-2 * float(np.sum(weight.astype(np.float64) ** 2))
    assert history["penalty"] == [pytest.approx(penalty, rel=1e-5)]
    assert history["loss"] == [history["data_loss"][0] + history["penalty"][0]]
    assert history["val_loss"] == [pytest.approx(history["data_loss"][0], rel=1e-6)]


def test_figures_of_an_epoch_are_measured_before_its_updates():
    model = model_of()
    before = model.evaluate(X, Y)
    history = model.fit(X, Y, epochs=2, batch_size=None)
    assert history["data_loss"][0] == pytest.approx(before["loss"], rel=1e-6)
    assert history["accuracy"][0] == before["accuracy"]
    assert history["data_loss"][1] < history["data_loss"][0]


def test_figures_of_an_epoch_are_means_weighted_by_rows():
    model = model_of(optimizer=nn.SGD(0.0))  # weights stay, so that the mean can be told beforehand
    history = model.fit(X, Y, batch_size=7)
    assert history["data_loss"] == [pytest.approx(model.evaluate(X, Y)["loss"], rel=1e-5)]
    assert history["accuracy"] == [pytest.approx(model.evaluate(X, Y)["accuracy"])]


def test_validation_freq_measures_now_and_then_and_at_the_last_epoch():
    history = model_of().fit(X, Y, epochs=7, validation_data=(X, Y), validation_freq=3)
    assert [math.isnan(value) for value in history["val_loss"]] == [True, True, False, True, True, False, False]
    assert [math.isnan(value) for value in history["val_accuracy"]] == [True, True, False, True, True, False, False]


def test_validation_data_may_be_weighted():
    model = model_of(optimizer=nn.SGD(0.0))
    weight = (Y == 0) * 2.0
    history = model.fit(X, Y, validation_data=(X, Y, weight))
    assert history["val_loss"] == [pytest.approx(model.evaluate(X[Y == 0], Y[Y == 0])["loss"], rel=1e-6)]


def test_a_second_fit_continues(backend):
    model, once = (model_of(backend=backend, optimizer=nn.Adam(0.02)) for _ in range(2))
    model.fit(X, Y, epochs=2, batch_size=16)
    model.fit(X, Y, epochs=3, batch_size=16)
    once.fit(X, Y, epochs=5, batch_size=16)
    assert (model.epoch, model.step) == (once.epoch, once.step) == (5, 20)
    assert model.history == once.history
    assert_same_weights(model, once)


def test_a_quantity_first_logged_later_is_nan_before():
    model = model_of()
    model.fit(X, Y, epochs=2)
    model.fit(X, Y, validation_data=(X, Y))
    model.fit(X, Y)
    assert [math.isnan(value) for value in model.history["val_loss"]] == [True, True, False, True]
    assert {len(values) for values in model.history.values()} == {4}


def test_metrics_are_names_objects_and_functions():
    def first_row_hits(outputs, targets):
        return outputs[:, 0]

    model = model_of(metrics=["accuracy", first_row_hits], optimizer=nn.SGD(0.0))
    history = model.fit(X, Y)
    assert history["first_row_hits"] == [pytest.approx(float(model(X)[:, 0].mean()), rel=1e-4)]
    assert model_of(metrics="accuracy").metrics == (metrics.accuracy,)
    assert model_of(metrics=metrics.r2).metrics == (metrics.r2,)
    assert model_of(metrics=[]).fit(X, Y).keys() == {"loss", "data_loss", "penalty", "learning_rate"}


@pytest.mark.parametrize("wrong", [["accuracy", metrics.BinaryAccuracy()], [lambda o, t: o, lambda o, t: o]])
def test_two_metrics_of_one_name_are_refused(wrong):
    with pytest.raises(ValueError, match="metrics need names of their own"):
        model_of(metrics=wrong)


def test_a_metric_may_not_have_the_name_of_a_loss():
    def loss(outputs, targets):
        return outputs[:, 0]

    with pytest.raises(ValueError, match="other than data_loss, learning_rate, loss, penalty, total, got"):
        model_of(metrics=[loss])


# ---------------------------------------------------------------- seeds


def test_the_same_seed_is_the_same_run_bit_for_bit(backend):
    network = nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
    one, other, third = (model_of(network, backend=backend, seed=seed) for seed in (5, 5, 6))
    for model in (one, other, third):
        model.fit(X, Y, epochs=3, batch_size=16)
    assert one.history == other.history
    assert one.history != third.history
    assert_same_weights(one, other)


def test_strict_and_numpy_are_the_same_bit_for_bit():
    network = nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
    runs = []
    for backend in ("numpy", "array_api_strict:device1"):
        model = model_of(network, backend=backend, optimizer=nn.Adam(0.02), seed=1)
        model.fit(X, Y, epochs=3, batch_size=16, validation_split=0.2)
        runs.append(model)
    assert runs[0].history == runs[1].history
    assert_same_weights(*runs)


def test_the_first_losses_of_the_spiral_agree_on_every_backend(backend):
    x, y = nn.datasets.spiral(100, 3)
    losses = []
    for place in ("numpy", backend):
        model = nn.Model(
            nn.Sequential(nn.Dense(64, weight_regularizer=nn.L2(5e-4)), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3)),
            optimizer=nn.Adam(nn.InverseTimeDecay(0.05, decay=5e-5)),
            backend=place,
        )
        losses.append(model.fit(x, y, epochs=20, batch_size=None)["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_float64_weights_agree_closer(backend, request):
    if backend == "jax":
        request.getfixturevalue("jax_x64")
    losses = []
    for place in ("numpy", backend):
        model = model_of(backend=place, dtype="float64", optimizer=nn.Adam(0.02))
        losses.append(model.fit(X, Y, epochs=20, batch_size=None)["loss"])
        assert all("float64" in str(leaf.dtype) for leaf in tree.leaves(model.params))
        assert model(X.astype(np.float64)).dtype == np.float64
    assert losses[1] == pytest.approx(losses[0], rel=1e-11)


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_draws_the_weights_first_then_the_seed(make):
    model = model_of(seed=make(3))
    model.fit(X, Y)
    rng = make(3)
    weights, _ = NETWORK.init(rng, (2,))
    for a, b in zip(tree.leaves(weights), tree.leaves(model_of(seed=make(3)).build(2).params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.seed == (rng.integers(2**32) if hasattr(rng, "integers") else rng.randint(2**31))
    again = model_of(seed=make(3))
    again.fit(X, Y)
    assert_same_weights(model, again)


def test_a_random_state_continues_where_the_data_left_it():
    rng = np.random.RandomState(0)
    rng.standard_normal(30)  # as a data set made from the same stream
    before = copy.deepcopy(rng)
    drawn = model_of(nn.Sequential(nn.Dense(3, weight_initializer=nn.initializers.normal(0.01))), seed=rng).build(2)
    np.testing.assert_array_equal(on_host(drawn)[0], (0.01 * before.standard_normal((2, 3))).astype(np.float32))


@pytest.mark.parametrize("wrong", [-1, 1.5, "0", None, True])
def test_invalid_seeds_are_refused(wrong):
    with pytest.raises(ValueError, match="seed must be an integer of at least 0, a Generator or a RandomState"):
        model_of(seed=wrong)


# ---------------------------------------------------------------- weights in and out


def test_fit_never_writes_into_arrays_of_the_caller(xp):
    host, _ = NETWORK.init(np.random.default_rng(0), (2,))
    given = tree.map(xp.asarray, host)
    model = model_of(backend="auto")
    model.set_params(given)
    model.fit(xp.asarray(X), xp.asarray(Y), epochs=3)
    kept = model.params
    before = on_host(model)
    model.fit(xp.asarray(X), xp.asarray(Y), epochs=3)
    for a, b in zip(tree.leaves(given), tree.leaves(host), strict=True):
        np.testing.assert_array_equal(xp.to_numpy(a), b)
    for a, b, c in zip(tree.leaves(kept), before, on_host(model), strict=True):
        np.testing.assert_array_equal(xp.to_numpy(a), b)
        assert not np.array_equal(b, c)


def test_assigned_weights_are_copied_moved_and_cast(xp):
    model = model_of(backend="array_api_strict:device1").build(2)
    slots = model.state
    model.params = tree.map(lambda leaf: xp.asarray(np.ones(leaf.shape)), model.params)
    assert all(model.backend.owns(leaf) and "float32" in str(leaf.dtype) for leaf in tree.leaves(model.params))
    assert model.state["step"] == slots["step"]
    assert float(model(X)[0, 0]) == float(model(X)[0, 1])


def test_numpy_weights_that_are_assigned_share_no_memory():
    model = model_of().build(2)
    given = tree.copy(model.params)
    model.params = given
    assert not any(np.shares_memory(a, b) for a, b in zip(tree.leaves(given), tree.leaves(model.params), strict=True))


def test_set_params_resets_the_optimizer_and_assigning_params_does_not():
    model = model_of(optimizer=nn.Adam(0.1))
    model.fit(X, Y, epochs=3)
    model.params = model.params
    assert model.step == 6
    model.set_params(model.params)
    assert model.step == 0


@pytest.mark.parametrize("built", [True, False])
def test_weights_of_another_structure_are_refused(built):
    model = model_of()
    wrong = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(3)).init(np.random.default_rng(0), (2,))[0]
    if built:
        model.build(2)
        with pytest.raises(
            nn.ShapeError, match=r"the weights have the shapes .*\(2, 4\).* the network's are .*\(2, 8\)"
        ):
            model.set_params(wrong)
    else:
        model.set_params(wrong)
        with pytest.raises(nn.ShapeError, match="the weights have the shapes"):
            model.fit(X, Y)


def test_weights_that_are_not_finite_are_refused():
    model = model_of().build(2)
    wrong = tree.copy(model.params)
    wrong[2]["bias"][1] = np.nan
    with pytest.raises(nn.DataError, match=r"parameter '2.bias' holds nan in row 1"):
        model.params = wrong
    assert np.isfinite(model(X)).all()


def test_an_optimizer_of_another_kind_starts_with_state_of_its_own():
    model = model_of()
    model.fit(X, Y, epochs=2)
    model.optimizer = nn.Adam(0.01)
    model.fit(X, Y, epochs=2)
    assert model.step == 8
    assert {"m", "v"} == set(model.state["slots"][0]["weight"])


def test_a_second_fit_keeps_slots_whatever_the_order_of_their_names(backend):
    twice, once = (model_of(backend=backend, optimizer=nn.EMA(nn.Adam(0.05), 0.9)) for _ in range(2))
    for epochs in (2, 2):
        twice.fit(X, Y, epochs=epochs)
    once.fit(X, Y, epochs=4)
    assert twice.history == once.history
    averages = [twice.backend.to_numpy(one.state["slots"][0]["weight"]["average"]) for one in (twice, once)]
    np.testing.assert_array_equal(*averages)


def test_build_takes_an_integer_or_a_list_and_may_be_repeated():
    model = model_of().build([2])
    before = on_host(model)
    model.build(2)
    assert model.input_shape == (2,)
    for a, b in zip(before, on_host(model), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(nn.ShapeError, match="the weights have the shapes"):
        model.build(3)


# ---------------------------------------------------------------- summary


def test_the_summary_counts_parameters():
    model = model_of()
    with pytest.raises(nn.DataError, match=r"the model has seen no data yet; call build\(input_shape\) first"):
        model.summary()
    text = model.build((2,)).summary()
    assert text == NETWORK.summary((2,))
    assert "51" in text  # 2 * 8 + 8 + 8 * 3 + 3


def test_one_layer_has_a_summary_too():
    assert "Dense" in model_of(nn.Dense(3)).build(2).summary()


# ---------------------------------------------------------------- what fit takes


def test_fit_and_predict_take_lists():
    model = model_of()
    history = model.fit(X.tolist(), Y.tolist(), epochs=2)
    again = model_of()
    assert history == again.fit(X, Y, epochs=2)
    assert model.predict([[0.0, 1.0]]).shape == (1,)


def test_sample_weight_equals_repeating_rows(backend):
    weight = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weight)
    weighted, several = (model_of(backend=backend, dtype="float32") for _ in range(2))
    weighted.fit(X, Y, epochs=5, batch_size=None, sample_weight=weight)
    several.fit(X[repeated], Y[repeated], epochs=5, batch_size=None)
    for name in ("loss", "accuracy"):
        assert weighted.history[name] == pytest.approx(several.history[name], rel=1e-4)


def test_class_weight_equals_its_sample_weight():
    runs = [model_of().fit(X, Y, epochs=3, class_weight={0: 3.0, 2: 0.5})]
    runs += [model_of().fit(X, Y, epochs=3, sample_weight=np.asarray([3.0, 1.0, 0.5])[Y])]
    assert runs[0] == runs[1]


def test_class_weight_leaves_validation_alone():
    model = model_of(optimizer=nn.SGD(0.0))
    history = model.fit(X, Y, class_weight={0: 9.0}, validation_data=(X, Y))
    assert history["val_loss"] == [model.evaluate(X, Y)["loss"]]
    split = model_of(optimizer=nn.SGD(0.0)).fit(X, Y, class_weight={0: 9.0}, validation_split=0.3)
    held = np.sort(np.random.default_rng([0, 2**32]).permutation(60)[:18])
    assert split["val_loss"] == [pytest.approx(model.evaluate(X[held], Y[held])["loss"], rel=1e-6)]


def test_balanced_counts_the_training_rows(backend):
    few = np.r_[0:20, 20:25, 40:60]
    runs = [{"class_weight": "balanced"}, {"sample_weight": np.where(Y[few] == 1, 3.0, 0.75)}]
    assert_close(*(model_of(backend=backend).fit(X[few], Y[few], epochs=2, batch_size=None, **run) for run in runs))


def test_validation_split_is_drawn_by_the_seed(backend):
    model = model_of(backend=backend, optimizer=nn.SGD(0.0), seed=4)
    history = model.fit(X, Y, batch_size=None, validation_split=0.25)
    order = np.random.default_rng([4, 2**32]).permutation(60)
    held, kept = np.sort(order[:15]), np.sort(order[15:])
    assert len(set(Y[held])) == 3  # Keras would hold out the last rows, all of one class
    assert history["val_loss"] == [pytest.approx(model.evaluate(X[held], Y[held])["loss"], rel=1e-6)]
    assert history["data_loss"] == [pytest.approx(model.evaluate(X[kept], Y[kept])["loss"], rel=1e-6)]


def test_validation_split_works_with_weights_and_devices(xp):
    model = model_of(backend="auto")
    weight = xp.asarray(np.arange(1.0, 61.0, dtype=np.float32))
    model.fit(xp.asarray(X), xp.asarray(Y), validation_split=0.25, sample_weight=weight)
    assert len(model.history["val_loss"]) == 1


def test_without_shuffle_the_rows_keep_their_order():
    model, by_hand = model_of(), model_of()
    model.fit(X, Y, batch_size=20, shuffle=False)
    by_hand.fit([(X[:20], Y[:20]), (X[20:40], Y[20:40]), (X[40:], Y[40:])])
    assert_same_weights(model, by_hand)
    assert model.history == by_hand.history


def test_a_batch_size_beyond_the_rows_is_one_batch():
    model = model_of()
    model.fit(X, Y, batch_size=1000)
    assert model.step == 1


def test_integer_images_are_cast(backend):
    images = (X * 100).astype(np.int16)
    model = model_of(backend=backend)
    assert model.fit(images, Y) == model_of(backend=backend).fit(images.astype(np.float32), Y)


@dataclass(frozen=True)
class Joined(Layer):
    """Two inputs side by side."""

    def init(self, rng, input_shape, dtype="float32"):
        return {}, (sum(shape[0] for shape in input_shape),)

    def __call__(self, params, x, key=None):
        left, right = x
        xp = nn.backend(left).xp

        def joined_backward(dy, need_dx=True):
            n = left.shape[1]
            return (dy[:, :n], dy[:, n:]) if need_dx else None, {}

        return xp.concat([left, right], axis=1), joined_backward


def test_a_tuple_is_several_inputs(backend):
    network = nn.Sequential(Joined(), nn.Dense(8), nn.ReLU(), nn.Dense(3))
    model = model_of(network, backend=backend)
    history = model.fit((X[:, :1], X[:, 1:]), Y, epochs=3, batch_size=16, validation_split=0.2)
    assert model.input_shape == ((1,), (1,))
    plain = model_of(nn.Sequential(nn.Identity(), nn.Dense(8), nn.ReLU(), nn.Dense(3)), backend=backend)
    assert_close(history, plain.fit(X, Y, epochs=3, batch_size=16, validation_split=0.2))
    np.testing.assert_allclose(model((X[:, :1], X[:, 1:])), plain(X), rtol=1e-5, atol=1e-6)
    with pytest.raises(
        nn.ShapeError, match=r"Joined 'layers.0': expected input \(N, 1\) and \(N, 1\), got \(N, 2\) and"
    ):
        model.predict((X, X))


def test_a_memory_mapped_array_gives_the_run_of_its_copy(tmp_path, backend):
    np.save(tmp_path / "x.npy", X)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    streamed, copied = model_of(backend=backend), model_of(backend=backend)
    for model, x in ((streamed, on_disk), (copied, X)):
        model.fit(x, Y, epochs=2, batch_size=16, validation_split=0.2)
        model.fit(x, Y, batch_size=None)
    assert streamed.history == copied.history
    assert_same_weights(streamed, copied)
    np.testing.assert_array_equal(streamed.predict(on_disk), copied.predict(X))
    assert streamed.evaluate(on_disk, Y) == copied.evaluate(X, Y)


def test_an_iterable_is_iterated_each_epoch(backend):
    model = model_of(backend=backend)
    history = model.fit([(X[:30], Y[:30]), (X[30:], Y[30:], np.ones(30))], epochs=3, validation_data=(X, Y))
    assert (model.epoch, model.step) == (3, 6)
    assert len(history["val_loss"]) == 3


def test_a_generator_provides_one_epoch_and_loses_no_batch():
    model, listed = model_of(), model_of()
    parts = [(X[i : i + 20], Y[i : i + 20]) for i in (0, 20, 40)]
    model.fit(part for part in parts)
    listed.fit(parts)
    assert model.history == listed.history


def test_class_weights_of_an_iterable_must_be_given_by_class():
    parts = [(X[Y == 0], Y[Y == 0]), (X[Y > 0], Y[Y > 0])]
    weighted, plain = (model_of().fit(parts, class_weight=w) for w in ({0: 0.0}, None))
    assert weighted != plain
    with pytest.raises(nn.DataError, match=r"needs all labels at once; give \{class: weight\} instead"):
        model_of().fit(parts, class_weight="balanced")


def test_a_metric_of_an_iterable_is_prepared_by_its_first_batch():
    y = np.linspace(-1, 1, 60)
    model = model_of(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, metrics=["regression_accuracy"])
    model.fit([(X[:30], y[:30]), (X[30:], y[30:])])
    assert model.prepared_metrics[0].tolerance == pytest.approx(np.std(y[:30]) / 250, rel=1e-5)


# ---------------------------------------------------------------- what is refused, and that nothing is lost

ONES = np.ones(60)
REFUSED = {
    "labels beyond": (lambda m: m.fit(X, Y + 1), nn.DataError, r"class labels must lie in \[0, 2\], got 3"),
    "labels below": (lambda m: m.fit(X, Y - 1), nn.DataError, r"must lie in \[0, 2\], got -1"),
    "float labels": (lambda m: m.fit(X, Y * 1.0), nn.DataError, r"must be integers in \[0, 3\), got float64"),
    "nan": (lambda m: m.fit(np.where(X[7] == X, np.nan, X), Y), nn.DataError, "x holds nan in row 7"),
    "validation nan": (lambda m: m.fit(X, Y, validation_data=(np.full_like(X, np.inf), Y)), nn.DataError, "x holds"),
    "validation labels": (lambda m: m.fit(X, Y, validation_data=(X, Y + 1)), nn.DataError, "must lie in"),
    "validation alone": (lambda m: m.fit(X, Y, validation_data=X), nn.DataError, "validation_data must give"),
    "column labels": (lambda m: m.fit(X, Y[:, None]), nn.ShapeError, r"must have shape \(N,\)"),
    "rows": (lambda m: m.fit(X, Y[:-1]), nn.ShapeError, "x has 60 rows, the targets have shape"),
    "rows, split": (lambda m: m.fit(X, Y[:-1], validation_split=0.5), nn.ShapeError, "x has 60 rows"),
    "empty": (lambda m: m.fit(X[:0], Y[:0]), nn.DataError, "x is empty: it has 0 rows"),
    "empty list": (lambda m: m.fit([], []), nn.DataError, "x is empty"),
    "no batch": (lambda m: m.fit([]), nn.DataError, "the iterable gave no batch"),
    "spent": (lambda m: m.fit(iter(())), nn.DataError, "the iterable gave no batch: it is empty, or a generator that"),
    "generator": (lambda m: m.fit(iter([(X, Y)]), epochs=2), nn.DataError, "a generator is spent after one epoch and"),
    "no y": (lambda m: m.fit(X), nn.DataError, r"y is missing: give fit\(x, y\)"),
    "number": (lambda m: m.fit(3), nn.DataError, "x must be an array, or an iterable of .* got int"),
    "ragged": (lambda m: m.fit([[1.0, 2.0], [3.0]], [0, 1]), nn.DataError, "x cannot be made an array"),
    "ragged y": (
        lambda m: m.fit(X[:2], [[0], [1, 2]]),
        nn.DataError,
        "y cannot be made an array",
    ),
    "object": (lambda m: m.fit(X.astype(object), Y), nn.DataError, "x must hold real numbers, got dtype object"),
    "text": (lambda m: m.fit(X, ["a"] * 60), nn.DataError, "y must hold real numbers"),
    "1-D": (lambda m: m.fit(X[:, 0], Y), nn.ShapeError, "Dense 'layers.0': expected input"),
    "batch size": (lambda m: m.fit(X, Y, batch_size=0), nn.DataError, "batch_size must be an integer of at least 1"),
    "batch size -": (lambda m: m.fit(X, Y, batch_size=-1), nn.DataError, r"\(None is the whole set\), got -1"),
    "batch size .": (lambda m: m.fit(X, Y, batch_size=0.5), nn.DataError, "got 0.5"),
    "epochs": (lambda m: m.fit(X, Y, epochs=0), nn.DataError, "epochs must be an integer of at least 1, got 0"),
    "freq": (
        lambda m: m.fit(X, Y, validation_freq=0),
        nn.DataError,
        "validation_freq must be an integer of at least 1",
    ),
    "split": (lambda m: m.fit(X, Y, validation_split=1.0), nn.DataError, r"validation_split must lie in \[0, 1\)"),
    "split two": (
        lambda m: m.fit(X, Y, validation_split=0.1, validation_data=(X, Y)),
        nn.DataError,
        "no validation_data",
    ),
    "split iterable": (lambda m: m.fit([(X, Y)], validation_split=0.1), nn.DataError, "needs x and y as arrays"),
    "weights": (lambda m: m.fit(X, Y, sample_weight=ONES[1:]), nn.ShapeError, r"shape \(60,\), got \(59,\)"),
    "weights 0": (lambda m: m.fit(X, Y, sample_weight=0 * ONES), nn.DataError, "at least 0 and not all 0"),
    "weights -": (lambda m: m.fit(X, Y, sample_weight=-ONES), nn.DataError, "got values from -1 to -1"),
    "weights nan": (
        lambda m: m.fit(X, Y, sample_weight=ONES * np.nan),
        nn.DataError,
        "sample_weight holds nan in row 0",
    ),
    "weights iterable": (lambda m: m.fit([(X, Y)], sample_weight=ONES), nn.DataError, "y is missing"),
    "class weight": (lambda m: m.fit(X, Y, class_weight={5: 1}), nn.DataError, "classes are 0 to 2"),
    "distribution": (lambda m: m.fit(X, np.ones((60, 3))), nn.DataError, "each row must sum to 1, but row 0 sums to 3"),
    "verbose": (lambda m: m.fit(X, Y, verbose=7), ValueError, "verbose must be 0"),
    "monitor": (
        lambda m: m.fit(X, Y, callbacks=[nn.EarlyStopping()]),
        nn.DataError,
        "follows 'val_loss', but the logs have",
    ),
    "evaluate": (lambda m: m.evaluate(X, Y + 1), nn.DataError, r"class labels must lie in \[0, 2\], got 3"),
    "predict": (lambda m: m.predict(X[:0]), nn.DataError, "x is empty"),
    "predict one": (lambda m: m.predict(3.0), nn.ShapeError, "rows along its first axis"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("fitted", [False, True])
def test_a_refusal_is_one_line_and_changes_nothing(case, fitted):
    use, kind, told = REFUSED[case]
    rng = np.random.default_rng(0)
    model = model_of(backend="auto", seed=rng)
    if fitted:
        model.fit(X, Y, epochs=2)
    before = {name: copy.deepcopy(value) for name, value in vars(model).items() if name not in ("_backend", "rng")}
    stream = rng.bit_generator.state
    with pytest.raises(kind, match=told) as caught:
        use(model)
    assert "\n" not in str(caught.value)
    assert rng.bit_generator.state == stream
    for name, value in before.items():
        if name not in ("_params", "state"):
            assert getattr(model, name) == value, name
    for a, b in zip(tree.leaves(before["_params"]), tree.leaves(model.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (model._backend is not None) == fitted
    model.fit(X, Y, epochs=2)
    fresh = model_of(backend="auto", seed=np.random.default_rng(0))
    fresh.fit(X, Y, epochs=4 if fitted else 2)
    assert model.history == fresh.history


def test_a_refusal_draws_nothing_from_a_random_state():
    model, fresh = (model_of(seed=np.random.RandomState(1)) for _ in range(2))
    with pytest.raises(nn.DataError, match="must lie in"):
        model.fit(X, Y + 1)
    assert model.fit(X, Y) == fresh.fit(X, Y)


@pytest.mark.parametrize(
    ("network", "shape", "told"),
    [
        (NETWORK, (60, 3), "Dense 'layers.0': expected input (N, 2), got (N, 3)"),
        (nn.Sequential(nn.Flatten(), NETWORK), (60, 5), "Flatten 'layers.0': expected input (N, 2), got (N, 5)"),
        (nn.Dense(3), (60, 3), "Dense 'network': expected input (N, 2), got (N, 3)"),
    ],
)
def test_inputs_of_another_shape_name_the_first_layer(network, shape, told):
    model = model_of(network)
    model.fit(X, Y)
    for use in (
        model.predict,
        lambda x: model.evaluate(x, Y),
        lambda x: model.fit(x, Y),
        lambda x: model.fit([(x, Y)]),
    ):
        with pytest.raises(nn.ShapeError, match=re.escape(told)):
            use(np.zeros(shape))


def test_a_shape_that_does_not_fit_a_later_layer_names_that_layer():
    inner = nn.Sequential(nn.ReLU(), nn.Conv2D(4, 1))
    for network, told in (
        (inner, r"Conv2D 'layers.1': expected input \(N, H, W, C\), .* got \(N, 2, 2\).*from ReLU 'layers.0'"),
        (nn.Sequential(nn.Identity(), inner), r"Conv2D 'layers.1.layers.1': expected input \(N, H, W, C\), .*got"),
    ):
        with pytest.raises(nn.ShapeError, match=told):
            model_of(network).fit(X.reshape(30, 2, 2), Y[:30])


def test_outputs_that_are_not_classes_are_refused():
    with pytest.raises(nn.ShapeError, match="takes outputs"):
        model_of(nn.Identity()).fit(X.reshape(30, 2, 2), Y[:30])


def test_a_regression_of_one_output_takes_n_but_not_wider_targets():
    model = model_of(nn.Sequential(nn.Dense(1)), nn.mean_squared_error)
    one, other = (
        copy.deepcopy(model_of(nn.Sequential(nn.Dense(1)), nn.mean_squared_error).fit(X, y))
        for y in (ONES, ONES[:, None])
    )
    assert one == other
    with pytest.raises(nn.ShapeError, match=r"targets have shape \(N, 2\), the network's outputs \(N, 1\)"):
        model.fit(X, X)


def test_fewer_classes_than_outputs_are_fine():
    model_of().fit(X[Y < 2], Y[Y < 2])
    model_of().fit(X[Y == 2], Y[Y == 2])


def test_mixed_libraries_and_devices_are_refused(xp):
    import array_api_strict as strict

    other = strict.asarray(Y, device=strict.Device("device2"))
    if xp.name.startswith("numpy"):
        pytest.skip("NumPy goes along with any")
    model = model_of(backend="auto")
    for use in (
        lambda: model.fit(xp.asarray(X), other),
        lambda: model.fit(xp.asarray(X), xp.asarray(Y), sample_weight=other),
        lambda: model.evaluate(xp.asarray(X), other),
        lambda: model.predict((xp.asarray(X), other)),
    ):
        with pytest.raises(nn.DataError, match=r"the data are mixed: .* and .*; bring them to one place"):
            use()
    assert model.params is None


def test_a_network_without_parameters_cannot_be_fitted():
    model = model_of(nn.Sequential(nn.Identity()), nn.mean_squared_error)
    with pytest.raises(nn.DataError, match=r"the network has no parameters to train; add a layer that has"):
        model.fit(X, X)
    np.testing.assert_array_equal(model.predict(X), X)


@pytest.mark.parametrize(
    ("make", "kind", "told"),
    [
        (lambda: nn.Dropout(1.0), ValueError, r"must lie in \[0, 1\), got 1.0"),
        (lambda: nn.SGD(-0.1), ValueError, "learning_rate must be a finite number of at least 0, .* got -0.1"),
        (lambda: model_of(dtype="float16"), ValueError, "dtype must be 'float32' or 'float64', got 'float16'"),
        (lambda: model_of(nn.Dense), TypeError, "network must be a layer, such as"),
        (lambda: model_of([nn.Dense(3)]), TypeError, "network must be a layer"),
        (
            lambda: nn.Model(NETWORK, optimizer=3),
            TypeError,
            r"optimizer must be an Optimizer, such as nn.Adam\(\)",
        ),
        (lambda: nn.Model(NETWORK, 3), TypeError, "loss must be a loss block or a Loss"),
        (lambda: model_of(clip_norm=0), ValueError, "clip_norm must be a finite number above 0, or None, got 0"),
        (lambda: model_of(clip_value=-1), ValueError, "clip_value must be a finite number above 0"),
        (lambda: model_of(metrics=["acuracy"]), ValueError, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        (lambda: model_of(backend=3).fit(X, Y), TypeError, "backend takes a name, an array-API module"),
    ],
)
def test_a_model_with_wrong_arguments_is_refused(make, kind, told):
    with pytest.raises(kind, match=told) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_values_that_cannot_be_hashed_are_refused_when_the_model_is_made():
    @dataclass(frozen=True)
    class Listed(Layer):
        sizes: list

    with pytest.raises(TypeError, match="frozen dataclasses of hashable values"):
        model_of(nn.Sequential(Listed([1]), nn.Dense(3)))


def test_a_loaded_model_continues_training(tmp_path, backend):
    model = model_of(optimizer=nn.Adam(0.02))
    model.fit(X, Y, epochs=2, validation_split=0.2)
    model.save(tmp_path / "m.safetensors")
    loaded = nn.Model.load(tmp_path / "m.safetensors", backend=backend)
    assert (loaded.epoch, loaded.step, loaded.history) == (model.epoch, model.step, model.history)
    np.testing.assert_allclose(loaded(X), model(X), rtol=1e-5, atol=1e-6)
    for one in (model, loaded):
        one.fit(X, Y, epochs=2, validation_split=0.2)
    assert_close(loaded.history, model.history)


def test_the_rate_is_reduced_by_replacing_the_optimizer():
    model = model_of(optimizer=nn.Adam(0.02))
    model.fit(X, Y)
    model.optimizer = replace(model.optimizer, learning_rate=0.01)
    assert model.fit(X, Y)["learning_rate"] == [0.02, 0.01]


def test_ignored_labels_train_as_if_their_rows_were_not_there():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((40, 2)), rng.integers(0, 3, 40)
    marked = np.where(np.arange(40) < 30, labels, -100)
    histories = []
    for rows, targets in ((x, marked), (x[:30], labels[:30])):
        loss = nn.SoftmaxCrossEntropy(ignore_label=-100)
        model = nn.Model(nn.Sequential(nn.Dense(3)), loss, nn.SGD(0.1), backend="numpy", dtype="float64")
        weights = {c: 1.0 + c for c in range(3)}
        histories.append(model.fit(rows, targets, epochs=3, batch_size=None, class_weight=weights, verbose=0))
    for name, values in histories[1].items():
        np.testing.assert_allclose(histories[0][name], values, rtol=1e-12)


def test_a_label_that_is_neither_a_class_nor_ignored_is_refused():
    model = nn.Model(nn.Sequential(nn.Dense(3)), nn.SoftmaxCrossEntropy(ignore_label=-100), backend="numpy")
    with pytest.raises(nn.DataError, match=r"-1\b"):
        model.fit(np.zeros((2, 2)), np.asarray([-100, -1]), verbose=0)


@pytest.mark.parametrize("kind", [bool, float, np.bool_, np.float32, np.int8, np.uint64, Fraction, Decimal, complex])
def test_a_key_of_any_numeric_type_means_the_class_that_it_equals(kind):
    # {False: 1.0, True: 10.0} gave every class one weight: a bool picked all rows of the table, or none
    z = (X[:, 0] > 0).astype(int)
    told = [{kind(0): 1.0, kind(1): 10.0}, {0: 1.0, 1: 10.0}]
    for loss, units in ((nn.sigmoid_cross_entropy, 1), (nn.softmax_cross_entropy, 2)):
        runs = [model_of(nn.Sequential(nn.Dense(units)), loss).fit(X, z, class_weight=weights) for weights in told]
        assert runs[0] == runs[1]
        weighted = np.asarray([1.0, 10.0])[z]
        assert runs[0] == model_of(nn.Sequential(nn.Dense(units)), loss).fit(X, z, sample_weight=weighted)
        stream = model_of(nn.Sequential(nn.Dense(units)), loss)
        stream.fit([(X, z)], class_weight=told[0])
        assert stream.history["loss"] == pytest.approx(
            model_of(nn.Sequential(nn.Dense(units)), loss).fit(X, z, batch_size=None, sample_weight=weighted)["loss"]
        )


@pytest.mark.parametrize("key", [2, -1, 0.5, "1", None, float("nan"), (1,)])
def test_a_key_that_equals_no_class_is_refused(key):
    with pytest.raises(nn.DataError, match=r"class_weight has .*; classes are 0 to 1, weights at least 0"):
        model_of(nn.Sequential(nn.Dense(2))).fit(X, (X[:, 0] > 0).astype(int), class_weight={0: 1.0, key: 2.0})

"""Callbacks: what each does, in which order they are told, and that an error in one loses nothing."""

import copy
import csv
import math
import pickle

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.training import loop
from arraynn.training.callbacks import Monitor

X, Y = nn.datasets.spiral(10, 3)


@pytest.fixture
def model():
    return nn.Model(nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(3)), optimizer=nn.Adam(0.02), backend="numpy")


def weights(model):
    return [np.array(model.backend.to_numpy(leaf)) for leaf in tree.leaves(model.params)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


class Scripted(nn.Callback):
    """Puts a number of ours into the logs, and keeps the weights of each epoch."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name, self.kept, self.rates = values, name, [], []

    def on_epoch_end(self, model, epoch, logs):
        logs[self.name] = self.values[epoch]
        self.kept.append(weights(model))
        self.rates.append(logs["learning_rate"])


class Diary(nn.Callback):
    """Writes down what it is told of."""

    def __init__(self, every_epoch=True, stop_at=None):
        self.every_epoch, self.stop_at, self.told = every_epoch, stop_at, []

    def on_fit_begin(self, model):
        self.told.append("begin")

    def on_batch_end(self, model):
        self.told.append(f"step {model.step}")
        return self.told[-1] == self.stop_at

    def on_epoch_end(self, model, epoch, logs):
        self.told.append(f"epoch {epoch}")
        return self.told[-1] == self.stop_at

    def on_fit_end(self, model):
        self.told.append("end")


def run(model, values, *callbacks, name="val_loss", **options):
    """A fit whose monitored numbers are these; returns the script."""
    script = Scripted(values, name)
    options.setdefault("validation_data", (X, Y))
    model.fit(X, Y, epochs=len(values), batch_size=None, callbacks=[script, *callbacks], **options)
    return script


# ---------------------------------------------------------------- being told


def test_callbacks_are_called_in_order(model):
    diary = Diary()
    model.fit(X, Y, epochs=2, batch_size=15, callbacks=[diary])
    assert diary.told == ["begin", "step 1", "step 2", "epoch 0", "step 3", "step 4", "epoch 1", "end"]


def test_a_callback_that_only_logs_gets_all_epochs_in_order(model, monkeypatch):
    monkeypatch.setattr(loop, "FETCH_SECONDS", 1e9)
    diary = Diary(every_epoch=False)
    seen = []
    diary.on_epoch_end = lambda model, epoch, logs: seen.append((epoch, model.step, logs["loss"]))
    history = model.fit(X, Y, epochs=4, batch_size=None, callbacks=[diary])
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2, 3]
    assert [loss for _, _, loss in seen] == history["loss"]
    assert [step for _, step, _ in seen] == [4] * 4  # together, at the end: the device was not waited for


def test_logs_equal_the_entries_of_history(model):
    seen = []

    class Keep(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            assert {name: values[-1] for name, values in model.history.items()} == logs
            seen.append(epoch)

    model.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[Keep()])
    model.fit(X, Y, epochs=1, validation_data=(X, Y), callbacks=[Keep()])
    assert seen == [0, 1, 2]


def test_returning_true_stops_after_the_epoch(model):
    diary = Diary(stop_at="epoch 1")
    model.fit(X, Y, epochs=9, batch_size=None, callbacks=[diary])
    assert diary.told[-3:] == ["step 2", "epoch 1", "end"]
    assert model.epoch == len(model.history["loss"]) == 2


def test_returning_true_after_a_batch_stops_and_the_epoch_is_reported(model):
    diary = Diary(stop_at="step 4")
    model.fit(X, Y, epochs=9, batch_size=10, callbacks=[diary], validation_data=(X, Y), validation_freq=5)
    assert diary.told[-3:] == ["step 4", "epoch 1", "end"]
    assert model.step == 4
    assert math.isfinite(model.history["val_loss"][-1])  # the last epoch is measured


def test_any_other_return_value_continues(model):
    class Chatty(nn.Callback):
        def on_batch_end(self, model):
            return "yes"

        def on_epoch_end(self, model, epoch, logs):
            return 1

    model.fit(X, Y, epochs=3, callbacks=[Chatty()])
    assert model.epoch == 3


# ---------------------------------------------------------------- errors in a callback


class Fails(nn.Callback):
    """Raises in one of its methods."""

    def __init__(self, where, every_epoch=True):
        self.where, self.every_epoch = where, every_epoch

    def on_fit_begin(self, model):
        self.maybe("begin")

    def on_batch_end(self, model):
        if model.step == 4:
            self.maybe("batch")

    def on_epoch_end(self, model, epoch, logs):
        if epoch == 1:
            self.maybe("epoch")

    def on_fit_end(self, model):
        self.maybe("end")

    def maybe(self, where):
        if where == self.where:
            raise RuntimeError(f"broken at {where}")


@pytest.mark.parametrize("where", ["batch", "epoch", "end"])
@pytest.mark.parametrize("every_epoch", [True, False])
def test_an_error_in_a_callback_leaves_the_model_usable_and_the_others_are_called(model, where, every_epoch):
    before, after = Diary(every_epoch), Diary(every_epoch)
    with pytest.raises(RuntimeError, match=f"broken at {where}"):
        model.fit(X, Y, epochs=3, batch_size=10, callbacks=[before, Fails(where, every_epoch), after])
    epochs = {"batch": 1, "epoch": 2, "end": 3}[where]
    if every_epoch or where != "epoch":
        assert model.epoch == epochs
    assert {len(values) for values in model.history.values()} == {model.epoch}
    for diary in (before, after):
        assert diary.told[-1] == "end"
        assert [word for word in diary.told if word.startswith("epoch")] == [f"epoch {i}" for i in range(model.epoch)]
    model.fit(X, Y, epochs=2)
    assert {len(values) for values in model.history.values()} == {model.epoch}


def test_an_error_at_the_beginning_ends_the_callbacks_that_had_begun(model):
    before, after = Diary(), Diary()
    model.build(2)
    start = weights(model)
    with pytest.raises(RuntimeError, match="broken at begin"):
        model.fit(X, Y, callbacks=[before, Fails("begin"), after])
    assert (before.told, after.told) == (["begin", "end"], [])
    assert_same(start, weights(model))


def test_a_second_error_is_noted_on_the_first(model):
    diary = Diary()
    with pytest.raises(RuntimeError, match="broken at batch") as caught:
        model.fit(X, Y, epochs=9, callbacks=[Fails("batch"), Fails("end"), diary])
    assert caught.value.__notes__ == ["On the way out there was also RuntimeError: broken at end"]
    assert diary.told[-1] == "end"


def test_an_error_in_validation_keeps_the_epoch(model, monkeypatch):
    monkeypatch.setattr("arraynn.model.measure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, epochs=3, validation_data=(X, Y))
    assert model.epoch == len(model.history["loss"]) == 1
    assert math.isnan(model.history["val_loss"][0])


# ---------------------------------------------------------------- following a number


@pytest.mark.parametrize(
    ("monitor", "mode", "upwards"),
    [
        ("val_loss", "auto", False),
        ("loss", "auto", False),
        ("val_accuracy", "auto", True),
        ("accuracy", "auto", True),
        ("val_r2", "auto", True),
        ("val_accuracy", "min", False),
        ("loss", "max", True),
    ],
)
def test_accuracies_and_r2_are_better_when_larger(monitor, mode, upwards):
    follower = Monitor(monitor, 0.0, mode)
    follower.on_fit_begin(None)
    assert follower.better({monitor: 1.0})
    assert follower.better({monitor: 2.0}) is upwards
    assert follower.better({monitor: 0.5}) is not upwards
    assert follower.better({monitor: math.nan}) is None


def test_early_stopping_waits_patience_epochs_and_restores_the_best(model):
    stop = nn.EarlyStopping(patience=3)
    script = run(model, [3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 1.2, 0.5, 0.5], stop)
    assert model.epoch == 7  # epochs 4, 5 and 6 were not better than epoch 3
    assert stop.best_epoch == 3
    assert_same(weights(model), script.kept[3])
    assert stop.best == 1.0


def test_early_stopping_restores_the_best_where_it_never_stopped(backend):
    model = nn.Model(nn.Sequential(nn.Dense(3)), optimizer=nn.Adam(0.02), backend=backend)
    script = run(model, [3.0, 1.0, 2.0, 2.0], nn.EarlyStopping(patience=10))
    assert model.epoch == 4
    assert_same(weights(model), script.kept[1])
    model.fit(X, Y, epochs=1)
    assert_same(weights(model)[:0], [])


def test_early_stopping_restores_the_best_after_an_error(model):
    script = Scripted([1.0, 2.0, 3.0, 4.0])

    class Late(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            if epoch == 2:
                raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        model.fit(X, Y, epochs=4, validation_data=(X, Y), callbacks=[script, nn.EarlyStopping(), Late()])
    assert_same(weights(model), script.kept[0])


def test_early_stopping_restores_the_best_after_divergence(model):
    script = Scripted([1.0, 2.0, 3.0, 4.0])
    model.optimizer = nn.SGD(lambda step: 0.1 if step < 2 else 1e45)
    with pytest.raises(nn.DivergedError):
        model.fit(X, Y, epochs=4, batch_size=None, validation_data=(X, Y), callbacks=[script, nn.EarlyStopping()])
    assert_same(weights(model), script.kept[0])


def test_min_delta_is_the_least_improvement(model):
    stop = nn.EarlyStopping(patience=2, min_delta=0.5)
    run(model, [3.0, 2.6, 2.4, 2.0, 1.95, 1.9, 0.0], stop)
    assert (stop.best_epoch, model.epoch) == (2, 5)  # 2.4 is better by more than a half; 2.0 and 1.95 are not


def test_an_accuracy_is_better_when_larger(model):
    stop = nn.EarlyStopping("val_accuracy", patience=2)
    run(model, [0.1, 0.5, 0.4, 0.3, 0.9], stop, name="val_accuracy")
    assert (stop.best_epoch, model.epoch) == (1, 4)


def test_epochs_without_validation_do_not_count(model):
    stop = nn.EarlyStopping(patience=2)
    run(model, [math.nan, 2.0, math.nan, 3.0, math.nan, 1.0, math.nan, 2.0], stop)
    assert (stop.best_epoch, model.epoch) == (5, 8)


def test_a_second_fit_starts_without_a_best_value(model):
    stop = nn.EarlyStopping(patience=1)
    run(model, [1.0, 2.0, 0.0], stop)
    assert model.epoch == 2
    model.fit(X, Y, epochs=1, validation_data=(X, Y), callbacks=[stop])
    assert stop.best_epoch == 2


@pytest.mark.parametrize(
    "make", [nn.EarlyStopping, nn.ReduceLROnPlateau, lambda **o: nn.BestWeights("m.safetensors", **o)]
)
def test_a_quantity_that_is_not_logged_is_refused_before_training(model, make):
    told = (
        r"(EarlyStopping|ReduceLROnPlateau|BestWeights) follows 'val_loss', but the logs have loss, data_loss, "
        r"penalty, accuracy, learning_rate; give validation_data, or another monitor"
    )
    with pytest.raises(nn.DataError, match=told):
        model.fit(X, Y, callbacks=[make()])
    assert (model.params, model.history) == (None, {})
    with pytest.raises(nn.DataError, match=r"follows 'val_accurcy', but the logs have .*val_accuracy"):
        model.fit(X, Y, validation_split=0.2, callbacks=[make(monitor="val_accurcy")])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: nn.EarlyStopping(patience=0), "patience must be an integer of at least 1 epoch, got 0"),
        (lambda: nn.EarlyStopping(patience=1.5), "patience must be an integer of at least 1 epoch, got 1.5"),
        (lambda: nn.EarlyStopping(min_delta=-1), "min_delta must be a finite number of at least 0, got -1"),
        (lambda: nn.EarlyStopping(min_delta=math.nan), "min_delta must be a finite number of at least 0, got nan"),
        (lambda: nn.EarlyStopping(mode="up"), "mode must be 'auto', 'min' or 'max', got 'up'"),
        (lambda: nn.ReduceLROnPlateau(factor=1.0), r"factor must lie in \(0, 1\), got 1.0"),
        (lambda: nn.ReduceLROnPlateau(patience=0), "patience must be an integer of at least 1 epoch, got 0"),
        (lambda: nn.ReduceLROnPlateau(min_learning_rate=-1), "min_learning_rate must be a finite number of at least 0"),
    ],
)
def test_wrong_settings_are_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


# ---------------------------------------------------------------- the learning rate


def test_the_rate_is_reduced_after_patience_epochs(model):
    script = run(model, [1.0] * 6, nn.ReduceLROnPlateau(factor=0.5, patience=2))
    assert script.rates == [0.02, 0.02, 0.02, 0.01, 0.01, 0.005]
    assert model.optimizer.scalars(0)["lr"] == pytest.approx(nn.Adam(0.005).scalars(0)["lr"])


def test_the_rate_stays_above_the_floor(model):
    script = run(model, [1.0] * 6, nn.ReduceLROnPlateau(factor=0.1, patience=1, min_learning_rate=0.01))
    assert script.rates == pytest.approx([0.02, 0.02, 0.01, 0.01, 0.01, 0.01])


def test_a_schedule_is_scaled(model):
    model.optimizer = nn.SGD(nn.InverseTimeDecay(1.0, decay=1.0))
    script = run(model, [1.0] * 5, nn.ReduceLROnPlateau(factor=0.5, patience=2))
    assert script.rates == pytest.approx([1, 1 / 2, 1 / 3, 0.5 / 4, 0.5 / 5])


def test_the_rates_of_all_groups_are_reduced(model):
    model.optimizer = nn.Groups(nn.SGD(0.2), {"*.bias": nn.SGD(0.1)})
    run(model, [1.0] * 6, nn.ReduceLROnPlateau(factor=0.5, patience=2))
    scalars = model.optimizer.scalars(0)
    assert (scalars[""]["lr"], scalars["*.bias"]["lr"]) == pytest.approx((0.05, 0.025))


def test_an_improving_quantity_leaves_the_rate(model):
    script = run(model, [5.0, 4.0, 3.0, 2.0], nn.ReduceLROnPlateau(patience=1))
    assert script.rates == [0.02] * 4


# ---------------------------------------------------------------- files


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_csv_log_holds_history(model, tmp_path):
    path = tmp_path / "log.csv"
    history = model.fit(X, Y, epochs=5, validation_data=(X, Y), validation_freq=2, callbacks=[nn.CSVLog(path)])
    header, *lines = rows_of(path)
    assert header == ["epoch", *history]
    assert [line[0] for line in lines] == ["0", "1", "2", "3", "4"]
    for i, name in enumerate(history, 1):
        assert [float(line[i]) for line in lines] == pytest.approx(history[name], abs=0, nan_ok=True)


def test_a_csv_log_is_overwritten_or_continued(model, tmp_path):
    path = tmp_path / "log.csv"
    for append, epochs in ((True, 2), (True, 3), (False, 1)):
        model.fit(X, Y, epochs=epochs, callbacks=[nn.CSVLog(path, append=append)])
        if model.epoch == 5:
            assert [row[0] for row in rows_of(path)] == ["epoch", "0", "1", "2", "3", "4"]
    assert [row[0] for row in rows_of(path)] == ["epoch", "5"]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_csv_log_continues_after_a_last_line_without_a_line_end(model, tmp_path, end):
    path = tmp_path / "log.csv"
    model.fit(X, Y, epochs=2, callbacks=[nn.CSVLog(path)])
    path.write_bytes(path.read_bytes().rstrip() + end.encode())  # as an editor, or a killed process, leaves it
    model.fit(X, Y, epochs=1, callbacks=[nn.CSVLog(path, append=True)])
    header, *lines = rows_of(path)
    assert [line[0] for line in lines] == ["0", "1", "2"]
    assert {len(line) for line in lines} == {len(header)}


def test_a_csv_log_is_copied_after_its_run(model, tmp_path):
    log = nn.CSVLog(tmp_path / "log.csv", append=True)
    model.fit(X, Y, epochs=1, callbacks=[log])
    other = pickle.loads(pickle.dumps(copy.deepcopy(log)))
    model.fit(X, Y, epochs=1, callbacks=[other])
    assert [row[0] for row in rows_of(log.path)] == ["epoch", "0", "1"]


def test_a_csv_log_of_other_columns_is_not_continued(model, tmp_path):
    path = tmp_path / "log.csv"
    model.fit(X, Y, callbacks=[nn.CSVLog(path)])
    with pytest.raises(ValueError, match=r"has the columns epoch, .* this run logs .*val_loss.*; log to another file"):
        model.fit(X, Y, validation_data=(X, Y), callbacks=[nn.CSVLog(path, append=True)])
    assert len(rows_of(path)) == 2
    assert len(model.history["loss"]) == 2


def test_a_csv_log_is_written_while_the_run_continues(model, tmp_path):
    path = tmp_path / "log.csv"
    seen = []

    class Look(nn.Callback):
        def on_epoch_end(self, model, epoch, logs):
            seen.append(len(rows_of(path)))

    model.fit(X, Y, epochs=3, callbacks=[nn.CSVLog(path), Look()])
    assert seen == [2, 3, 4]


def test_a_missing_folder_is_reported_before_training(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.log\.csv"):
        model.fit(X, Y, callbacks=[nn.CSVLog(tmp_path / "nowhere" / "log.csv")])
    assert model.step == 0


def test_the_best_weights_are_saved(model, tmp_path):
    path = tmp_path / "best.safetensors"
    script = run(model, [3.0, 1.0, 2.0, 1.5], nn.BestWeights(path))
    best = nn.Model.load(path, backend="numpy")
    assert best.epoch == 2
    assert_same(weights(best), script.kept[1])
    assert_same(weights(model), script.kept[3])  # the model itself goes on


def gain(outputs, targets):
    return 1.0 * (outputs[:, 0] > 0)


@pytest.mark.parametrize("make", [nn.EarlyStopping, nn.ReduceLROnPlateau])
def test_mode_auto_is_refused_for_a_quantity_of_unknown_direction(make):
    # it was minimized: the worst epoch's weights were restored
    model = nn.Model(nn.Sequential(nn.Dense(3)), metrics=[gain], backend="numpy")
    told = "follows 'val_gain', of which mode='auto' cannot know whether more is better; give mode='max' or mode='min'"
    with pytest.raises(nn.DataError, match=told):
        model.fit(X, Y, validation_split=0.2, callbacks=[make("val_gain")])
    assert (model.params, model.history) == (None, {})
    with pytest.raises(nn.DataError, match="follows 'learning_rate', of which"):
        model.fit(X, Y, callbacks=[make("learning_rate")])
    model.fit(X, Y, validation_split=0.2, callbacks=[make("val_gain", mode="max")])


def test_a_metric_has_a_direction():
    class Least(nn.metrics.MeanOf):
        mode = "min"

    def marked(outputs, targets):
        return gain(outputs, targets)

    marked.mode = "max"
    for metric, sign in [
        (nn.metrics.MeanOf(gain, "max"), -1.0),
        (nn.metrics.MeanOf(gain, direction="min"), 1.0),
        (Least(gain), 1.0),
        (marked, -1.0),
    ]:
        model = nn.Model(nn.Sequential(nn.Dense(3)), metrics=[metric], backend="numpy")
        stop = nn.EarlyStopping(f"val_{model.metrics[0].name}")
        model.fit(X, Y, validation_split=0.2, callbacks=[stop])
        assert stop.sign == sign
    with pytest.raises(ValueError, match="the direction of metric 'gain' must be 'min' or 'max', got 'up'"):
        nn.metrics.MeanOf(gain, "up")


def test_a_metrics_own_direction_precedes_that_of_its_name():
    def accuracy(outputs, targets):
        return gain(outputs, targets)

    model = nn.Model(nn.Sequential(nn.Dense(3)), metrics=[nn.metrics.MeanOf(accuracy, "min")], backend="numpy")
    stop = nn.EarlyStopping("accuracy")
    model.fit(X, Y, callbacks=[stop])
    assert stop.sign == 1.0

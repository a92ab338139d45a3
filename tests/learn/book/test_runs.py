import numpy as np
import pytest

import arraynn as nn
from arraynn.learn.book import ROWS, Row, Stream, run_row
from arraynn.learn.book.blocks import BookDense
from arraynn.learn.book.runs import _optimizer, fashion_folder, missing, prepared
from arraynn.schedules import rate_at

QUICK = [row for row in ROWS if row.today_100.loss is not None and row.seconds <= 12]


def printed(figures):
    return f"{figures.accuracy:.3f}", f"{figures.loss:.3f}"


@pytest.mark.parametrize("row", [row for row in QUICK if not row.transcribed], ids=lambda row: row.name)
def test_with_the_books_random_stream_a_run_prints_the_books_figures(row):
    result = run_row(row, "book", epochs=100)
    if row.data == "spiral":
        assert printed(result.start) == ("0.360", "1.099")
    assert printed(result.hundred) == printed(row.today_100)
    assert result.end == result.hundred.__class__(
        **{**vars(result.hundred), "val_accuracy": result.end.val_accuracy, "val_loss": result.end.val_loss}
    )


@pytest.mark.parametrize("name", ["sgd-0.85", "rmsprop-0.001", "binary", "sine"])
def test_a_run_prints_the_figures_of_the_books_program_run_today(name):
    row = next(row for row in ROWS if row.name == name)
    assert printed(run_row(row, "book", epochs=100).hundred) == printed(row.today_100)


@pytest.mark.parametrize("row", [row for row in ROWS if row.book.learning_rate is not None], ids=lambda row: row.name)
def test_learning_rates_at_the_end_are_the_books_to_the_last_digit(row):
    # what is printed at an epoch is the rate of the update before; Fashion-MNIST has 469 batches of 128
    steps = row.epochs if row.batch_size is None else row.epochs * 469
    assert rate_at(_optimizer(row, True).learning_rate, steps - 1) == row.book.learning_rate
    assert rate_at(_optimizer(row, False).learning_rate, steps - 1) == pytest.approx(row.book.learning_rate, rel=1e-15)


def test_the_reported_rate_is_that_of_the_last_update():
    result = run_row("sgd-decay-1e-2", epochs=3)
    assert (result.start.learning_rate, result.end.learning_rate) == (1.0, 1 / (1 + 0.01 * 2))


def test_draws_come_in_the_books_order():
    row = next(row for row in ROWS if row.name == "l2")
    stream, legacy = Stream(0), np.random.RandomState(0)
    model, x, _, test = prepared(row, stream, "numpy")
    assert test is None
    noise = [legacy.randn(100).astype("float32") for _ in range(3)]
    t = np.linspace(0, 4, 100) + noise[0] * np.float32(0.2)
    assert np.array_equal(x[:100, 0], (np.linspace(0.0, 1, 100) * np.sin(t * 2.5)).astype("float32"))
    for i, shape in ((0, (2, 64)), (2, (64, 3))):
        weight = np.float32(0.01) * legacy.randn(*shape).astype("float32")
        assert np.array_equal(model.params[i]["weight"], weight)
        assert not model.params[i]["bias"].any()
    model.fit(x, np.repeat(np.arange(3), 100), epochs=2, batch_size=None, shuffle=False, verbose=0)
    assert stream.randn() == np.float32(legacy.randn())  # fit draws nothing, so validation data come next


def test_validation_data_are_measured_where_the_book_does():
    result = run_row("adam-0.05", epochs=2)
    assert result.end.val_loss == pytest.approx(1.09, abs=0.02)
    assert run_row("sgd", epochs=2).end.val_loss is None


def test_seeds_take_the_librarys_blocks_and_differ():
    row = next(row for row in ROWS if row.name == "l2")
    model, *_ = prepared(row, np.random.default_rng(0), "numpy")
    assert not any(isinstance(layer, BookDense) for layer in model.network.layers)
    assert isinstance(model.optimizer, nn.Adam)
    assert model.optimizer.epsilon == 1e-7
    losses = {run_row(row, seed, epochs=20).end.loss for seed in (0, 1)}
    assert len(losses) == 2
    assert run_row(row, 1, epochs=20).end.loss in losses  # and each is itself again


def test_a_seed_gives_close_figures_on_another_backend():
    strict = run_row("adam-0.02", 0, epochs=10, backend="array_api_strict")
    assert strict.backend == "array_api_strict"
    assert strict.end.loss == pytest.approx(run_row("adam-0.02", 0, epochs=10).end.loss, rel=1e-4)


def test_dropout_draws_its_masks_from_the_stream():
    row = Row("mine", "dropout", "adam", 0.05, samples=20, hidden=(8,), dropout=0.1)
    one, again = (run_row(row, "book", epochs=5) for _ in range(2))
    assert one.end == again.end
    assert one.end != run_row(row, 0, epochs=5).end


def test_curves_have_both_ends_and_at_most_two_hundred_points():
    result = run_row("sgd", epochs=450)
    assert (result.curve[0].epoch, result.curve[-1].epoch, len(result.curve)) == (0, 450, 201)
    assert result.curve[-1].loss == result.end.loss
    assert result.epochs == 450


def test_a_run_that_diverges_is_reported():
    row = Row("wild", "SGD lr 1e30", learning_rate=1e30, samples=10)
    result = run_row(row, 0, epochs=50)
    assert "diverged" in result.problem
    assert result.end.loss is None


def test_an_unknown_row_is_refused_with_the_list_of_rows():
    with pytest.raises(nn.errors.DataError, match=r"there is no row 'adm'; there are sgd, .*sine-64-0\.1"):
        run_row("adm")


def test_fashion_rows_are_not_run_without_their_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path))
    row = next(row for row in ROWS if row.data == "fashion")
    assert fashion_folder() is None
    assert "not run: needs the four files" in missing(row)
    assert missing(ROWS[0]) == ""
    with pytest.raises(nn.errors.DataError, match="is missing"):
        run_row(row)


def test_fashion_rows_run_with_their_files(tmp_path, monkeypatch, rng):
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    for part, n in (("train", 300), ("t10k", 40)):
        labels = rng.integers(0, 10, n).astype("uint8")
        if part == "train":
            labels[:10] = 9, 0, 0, 3, 0, 2, 7, 2, 5, 5
        images = rng.integers(0, 256, (n, 28, 28)).astype("uint8")
        for kind, array, magic in (("images-idx3", images, 0x803), ("labels-idx1", labels, 0x801)):
            head = np.asarray([magic, *array.shape], ">u4").tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path))
    for stream in ("book", 0):
        result = run_row("fashion-64", stream, epochs=2)
        assert result.end.learning_rate == pytest.approx(0.001 / (1 + 5e-5 * 5))  # six steps were taken
        assert result.end.val_loss > 0
        assert len(result.curve) == 2
    x, y = prepared(ROWS[-1], Stream(0), "numpy")[1:3]
    given = nn.datasets.fashion_mnist(folder)
    order = np.arange(300)
    np.random.RandomState(0).shuffle(order)  # the book sorts by class, then shuffles
    assert np.array_equal(y, np.sort(given[1])[order])
    assert x.min() == -1.0

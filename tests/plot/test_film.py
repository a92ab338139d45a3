"""The film of a run: its frames, their order and durations, and that the last one is the model's answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn.plot import Film
from arraynn.plot._film import FRAME_MS, GRID, HEAD, LAST_FRAME_MS, SIZE, ZOOM, colours

Image = pytest.importorskip("PIL.Image")
ImageSequence = pytest.importorskip("PIL.ImageSequence")
ROOT = Path(__file__).parents[2]


def filmed(path: Path, epochs: int = 30, batch_size: int | None = None, y=None, outputs: int = 3, **options):
    x, labels = nn.datasets.spiral(20, 3)
    model = nn.Model(nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(outputs)), backend="numpy", **options)
    film = Film(path, x, labels if y is None else y)
    model.fit(x, labels if y is None else y, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=[film])
    return model, film


def read(path: Path) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as film:
        found = [(np.asarray(one.convert("RGB")), one.info["duration"]) for one in ImageSequence.Iterator(film)]
    return [frame for frame, _ in found], [duration for _, duration in found]


def test_frames_are_dense_at_the_beginning_and_at_the_end(tmp_path):
    model, film = filmed(tmp_path / "film.webp", epochs=25)
    steps = [one.step for one in film.recorded]
    assert steps == [*range(21), 22, 24, 25]
    assert [one.epoch for one in film.recorded][-1] == model.epoch == 25


def test_webp_is_lossless_and_its_last_frame_shows_the_predictions_pixel_by_pixel(tmp_path):
    model, film = filmed(tmp_path / "film.webp", epochs=25, batch_size=16)
    frames, durations = read(tmp_path / "film.webp")
    drawn = film.frames(model)
    assert len(frames) == len(film.recorded) == len(drawn)
    assert durations == [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    for one, other in zip(frames, drawn, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
    # an oracle of its own: the colours of predict_proba on the grid, from the top
    left, right, bottom, top = film.extent
    down, across = np.linspace(top, bottom, GRID), np.linspace(left, right, GRID)
    grid = np.stack([np.tile(across, GRID), np.repeat(down, GRID)], axis=1).astype("float32")
    expected = colours(model.predict_proba(grid).astype(float)).reshape(GRID, GRID, 3)
    expected = np.kron(expected, np.ones((ZOOM, ZOOM, 1), np.uint8))
    bare = np.asarray(film._points)[:, :, 3] == 0  # where there is no point
    plane = frames[-1][HEAD:, :SIZE]
    assert bare.mean() > 0.8
    close = np.abs(plane.astype(int) - expected)[bare]  # a grid computed in another order may round a colour otherwise
    assert (close <= 1).all()
    assert (close == 0).mean() > 0.99
    assert not np.array_equal(frames[0][HEAD:, :SIZE], plane)


def test_gif_has_one_palette_for_all_frames(tmp_path):
    _, film = filmed(tmp_path / "film.gif", epochs=12)
    frames, durations = read(tmp_path / "film.gif")
    assert len(frames) == len(film.recorded)
    assert durations == [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    data = (tmp_path / "film.gif").read_bytes()
    assert data[10] & 0x80  # a global palette, of 256 colours
    assert data[10] & 0x07 == 7
    places = [i for i in range(len(data) - 18) if data[i : i + 3] == b"\x21\xf9\x04" and data[i + 8] == 0x2C]
    assert len(places) == len(frames)
    for i in places:  # a frame that brings a palette brings the same
        assert not data[i + 17] & 0x80 or data[i + 18 : i + 18 + 768] == data[13 : 13 + 768]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not found")
def test_mp4_is_written_by_ffmpeg(tmp_path):
    filmed(tmp_path / "film.mp4", epochs=5)
    assert (tmp_path / "film.mp4").read_bytes()[4:8] == b"ftyp"


def test_without_ffmpeg_mp4_is_refused_before_the_fit(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(nn.DataError, match=r"needs ffmpeg.*film\.webp"):
        Film("film.mp4", [[0.0, 1.0]], [0])


@pytest.mark.parametrize("inputs", [1, 2])
def test_regressions_are_filmed(tmp_path, inputs):
    x, y = nn.datasets.sine(50) if inputs == 1 else nn.datasets.plane(50)
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, nn.SGD(0.1), backend="numpy")
    model.fit(x, y, epochs=8, verbose=0, callbacks=[Film(tmp_path / "film.webp", x, y)])
    frames, _ = read(tmp_path / "film.webp")
    assert not np.array_equal(frames[0][HEAD:, :SIZE], frames[-1][HEAD:, :SIZE])


def test_the_film_is_written_after_a_divergence(tmp_path):
    x, y = nn.datasets.plane(50)
    model = nn.Model(nn.Sequential(nn.Dense(1)), nn.mean_squared_error, nn.SGD(1e6), backend="numpy")
    with pytest.raises(nn.DivergedError):
        model.fit(x, y, epochs=200, verbose=0, callbacks=[Film(tmp_path / "film.webp", x, y)])
    assert read(tmp_path / "film.webp")[0]


def test_filming_does_not_change_training(tmp_path):
    filmed_model, _ = filmed(tmp_path / "film.webp", batch_size=16)
    x, y = nn.datasets.spiral(20, 3)
    plain = nn.Model(nn.Sequential(nn.Dense(8), nn.Tanh(), nn.Dense(3)), backend="numpy")
    plain.fit(x, y, epochs=30, batch_size=16, verbose=0)
    for one, other in zip(nn.tree.leaves(plain.params), nn.tree.leaves(filmed_model.params), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_points_and_names_are_refused():
    with pytest.raises(nn.DataError, match=r"\.webp, \.gif or \.mp4"):
        Film("film.png", [[0.0, 1.0]], [0])
    with pytest.raises(nn.ShapeError, match="one or two inputs"):
        Film("film.webp", [[0.0, 1.0, 2.0]], [0])
    with pytest.raises(nn.DataError, match="a target for each"):
        Film("film.webp", [[0.0, 1.0]], [0, 1])


def test_without_pillow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"arraynn\[plot\]"):
        Film("film.webp", [[0.0, 1.0]], [0])


def test_a_film_needs_no_matplotlib(tmp_path):
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import arraynn as nn\nx, y = nn.datasets.spiral(5, 3)\n"
        "nn.Model(nn.Dense(3), backend='numpy').fit(x, y, verbose=0, callbacks=[nn.plot.Film('film.webp', x, y)])\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "film.webp").stat().st_size > 1000

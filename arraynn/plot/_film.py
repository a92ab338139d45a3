"""`Film`: a callback that records a training run as an animated image, drawn by NumPy and Pillow."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from ..training.callbacks import Callback
from ._figures import COLOURS, MOST_POINTS, TRAINING, _class_probabilities, _columns, _extent, _grid, _host, _labels

GRID, ZOOM = 160, 2  #: points along each axis of the plane, and pixels along each side of a point
SIZE, SIDE, HEAD = GRID * ZOOM, 240, 28  #: pixels of the plane, of the curve beside it, of the line above both
STEP_FRACTION = 10  #: the next frame comes after a tenth of the steps so far, so the start of training has many frames
FRAME_MS, LAST_FRAME_MS = 80, 2000  #: how long a frame is shown
FORMATS = (".webp", ".gif", ".mp4")


class Film(Callback):
    """Callback that writes a film of the run: the network's predictions over the plane, its loss, the epoch.

    path : film.webp (lossless), film.gif (one palette for all frames) or film.mp4 (where ffmpeg is found).
    x, y : the points to show, (N, 2) or (N, 1), and their targets, as for `boundary`; at most 5000 are drawn.

    A frame is recorded before the first update, and then whenever the number of steps has grown by a tenth: 65 frames
    in a thousand updates, 89 in ten thousand. The colour of a pixel mixes the classes' colours by the probabilities
    that `predict_proba` gives there. The file is written when the fit ends, for whatever reason. Raises ImportError
    without Pillow, DataError for another file ending, and ShapeError for points of more inputs, all before the first
    step.

    >>> Film("film.avi", [[0.0, 0.0]], [0])
    Traceback (most recent call last):
    arraynn.errors.DataError: a film is .webp, .gif or .mp4, got 'film.avi'
    """

    every_epoch, first_worker_only = False, True

    def __init__(self, path: str | Path, x: Any, y: Any) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in FORMATS:
            raise DataError(f"a film is .webp, .gif or .mp4, got {str(path)!r}")
        if self.path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
            raise DataError("an .mp4 film needs ffmpeg, which is not found; install it, or write film.webp")
        _pillow()
        self.x, self.y = _host(x), _host(y)
        if self.x.ndim != 2 or self.x.shape[1] not in (1, 2):
            raise ShapeError(f"a film shows one or two inputs, x of shape (N, 1) or (N, 2), got {self.x.shape}")
        if len(self.x) != len(self.y) or not len(self.x):
            raise DataError(
                f"a film needs at least one point and a target for each, got {len(self.x)} and {len(self.y)}"
            )
        edges = _extent(self.x) if self.x.shape[1] == 2 else None
        self.grid = np.linspace(self.x.min(), self.x.max(), GRID)[:, None] if edges is None else _grid(edges, GRID)
        self.extent = edges
        self.recorded: list[_RecordedFrame] = []
        self.next = 0

    def on_fit_begin(self, model: Any) -> None:
        self.recorded, self.next = [], 0
        self.take(model)

    def on_batch_end(self, model: Any) -> None:
        if model.step >= self.next:
            self.take(model)

    def on_fit_end(self, model: Any) -> None:
        self.take(model)
        self.path.write_bytes(self.encoded(model))

    def take(self, model: Any) -> None:
        """Record a frame of the model as it is. It replaces a frame of the same step."""
        step = model.step
        self.next = step + max(1, step // STEP_FRACTION)
        if self.recorded and self.recorded[-1].step == step:
            self.recorded.pop()
        if self.extent is None or model.loss.targets == "values":
            predictions = _columns(_host(model.predict(self.grid.astype(self.x.dtype))))[:, 0]
        else:
            predictions = colours(_class_probabilities(model, self.grid.astype(self.x.dtype)))
        self.recorded.append(_RecordedFrame(step, model.epoch, predictions))

    def frames(self, model: Any) -> list[Any]:
        """All frames as Pillow images, in order. model : its history gives the loss curve."""
        losses = [float(value) for value in model.history.get("loss", [])]
        return [self._frame(recorded, losses) for recorded in self.recorded]

    def encoded(self, model: Any) -> bytes:
        """The bytes of the film's file."""
        frames = self.frames(model)
        durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
        suffix, file = self.path.suffix.lower(), io.BytesIO()
        if suffix == ".mp4":
            return _mp4(frames)
        options: dict[str, Any] = {"save_all": True, "duration": durations, "loop": 0}
        if suffix == ".gif":
            palette = _palette(frames)
            frames = [frame.quantize(palette=palette, dither=0) for frame in frames]
            options |= {"format": "GIF", "optimize": False}
        else:
            options |= {"format": "WEBP", "lossless": True, "method": 0, "quality": 0}
        frames[0].save(file, append_images=frames[1:], **options)
        return file.getvalue()

    # Drawing.

    def _frame(self, recorded: _RecordedFrame, losses: list[float]) -> Any:
        image, draw, font = _pillow()
        frame = image.new("RGB", (SIZE + SIDE, HEAD + SIZE), "white")
        plane = self._plane(recorded.predictions)
        frame.paste(plane, (0, HEAD))
        pen = draw.Draw(frame)
        known = losses[: recorded.epoch]  # interrupted epochs have no loss
        loss = f"   loss {known[-1]:.3f}" if known else ""
        pen.text(
            (6, 5), f"epoch {recorded.epoch}   step {recorded.step}{loss}", fill="#333333", font=font.load_default(14)
        )
        self._curve(pen, font, losses, len(known))
        return frame

    def _plane(self, predictions: Any) -> Any:
        image = _pillow()[0]
        if self.extent is None:
            return self._line(predictions)
        if predictions.ndim == 1:
            low, high = (float(edge) for edge in (self.y.min(), self.y.max()))
            share = np.clip((predictions - low) / ((high - low) or 1.0), 0, 1)[:, None]
            predictions = np.rint((1 - share) * _rgb("#56B4E9") + share * _rgb("#E69F00")).astype(np.uint8)
        pixels = predictions.reshape(GRID, GRID, 3)[::-1].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
        plane = image.fromarray(np.ascontiguousarray(pixels))
        plane.paste(self._points, (0, 0), self._points)
        return plane

    @property
    def _points(self) -> Any:
        """The data points on a transparent background, drawn once."""
        if not hasattr(self, "_dots"):
            image, draw, _ = _pillow()
            rows = np.unique(np.linspace(0, len(self.x) - 1, min(len(self.x), MOST_POINTS)).round().astype(int))
            big = image.new("RGBA", (2 * SIZE, 2 * SIZE))
            pen, radius = draw.Draw(big), float(np.clip(90 / math.sqrt(len(rows)), 3, 9))
            assert self.extent is not None
            left, right, bottom, top = self.extent
            values = self.y.dtype.kind == "f"
            labels = np.zeros(len(self.x), int) if values else _labels(self.y)
            for (a, b), k in zip(self.x[rows], labels[rows], strict=True):
                across, down = (a - left) / (right - left) * 2 * SIZE, (top - b) / (top - bottom) * 2 * SIZE
                box = (across - radius, down - radius, across + radius, down + radius)
                pen.ellipse(box, fill="#333333" if values else COLOURS[int(k) % len(COLOURS)], outline="white")
            self._dots = big.resize((SIZE, SIZE), image.Resampling.BOX)
        return self._dots

    def _line(self, values: Any) -> Any:
        """The curve of a model of one input through its points."""
        image, draw, _ = _pillow()
        plane = image.new("RGB", (SIZE, SIZE), "white")
        pen, targets = draw.Draw(plane), _columns(self.y)[:, 0]
        low, high = float(targets.min()), float(targets.max())
        edge = 0.1 * ((high - low) or 1.0)

        def down(value: float) -> float:
            return float(np.clip((high + edge - value) / (high - low + 2 * edge) * SIZE, -9, SIZE + 9))

        left, right = float(self.x.min()), float(self.x.max())
        for a, b in zip(self.x[:MOST_POINTS, 0], targets[:MOST_POINTS], strict=True):
            across = (float(a) - left) / ((right - left) or 1.0) * SIZE
            pen.ellipse((across - 1, down(b) - 1, across + 1, down(b) + 1), fill="#9cc4e4")
        pen.line([(i * SIZE / (GRID - 1), down(v)) for i, v in enumerate(values)], fill="#333333", width=3)
        return plane

    def _curve(self, pen: Any, font: Any, losses: list[float], epoch: int) -> None:
        """Draw the loss up to this epoch, on axes scaled to the whole run."""
        shown = [value for value in losses if math.isfinite(value)]
        if len(shown) < 2:
            return
        log = min(shown) > 0
        scale = math.log10 if log else float
        low, high = scale(min(shown)), scale(max(shown))
        left, top, wide, high_px = SIZE + 46, HEAD + 24, SIDE - 60, SIZE - 60
        span, small = (high - low) or 1.0, font.load_default(11)
        pen.text((left, HEAD + 2), "loss", fill="#333333", font=small)
        pen.line((left, top, left, top + high_px, left + wide, top + high_px), fill="#b0b0b0")
        for value in (max(shown), min(shown)):
            pen.text(
                (left - 42, top + (high - scale(value)) / span * high_px - 6), f"{value:.2g}", "#666666", font=small
            )
        pen.text((left + wide - 30, top + high_px + 4), f"{len(losses)}", fill="#666666", font=small)
        rows = np.unique(np.linspace(0, max(epoch - 1, 0), min(epoch, 2 * wide)).round().astype(int))
        line = [
            (left + i / max(len(losses) - 1, 1) * wide, top + (high - scale(losses[i])) / span * high_px)
            for i in rows
            if math.isfinite(losses[i])
        ]
        if len(line) > 1:
            pen.line(line, fill=TRAINING, width=2)


@dataclass
class _RecordedFrame:
    """A recorded frame that is not drawn yet. predictions : 8-bit colours (GRID², 3), or values."""

    step: int
    epoch: int
    predictions: Any


def colours(p: Any) -> Any:
    """The classes' paled colours mixed by probabilities (N, K), as 8-bit colours (N, 3)."""
    pale = np.asarray([255 - 0.45 * (255 - _rgb(COLOURS[k % len(COLOURS)])) for k in range(p.shape[1])])
    mixed: Any = np.rint(np.clip(p @ pale, 0, 255)).astype(np.uint8)
    return mixed


def _rgb(colour: str) -> Any:
    return np.asarray([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)


def _palette(frames: list[Any]) -> Any:
    """One palette for the whole film, computed from eight of its frames."""
    image = _pillow()[0]
    chosen = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, 8).round().astype(int))]
    wide, high = chosen[0].size
    sheet = image.new("RGB", (wide * len(chosen), high))
    for i, frame in enumerate(chosen):
        sheet.paste(frame, (i * wide, 0))
    return sheet.quantize(256, dither=0)


def _mp4(frames: list[Any]) -> bytes:
    wide, high = frames[0].size
    rate = 1000 / FRAME_MS
    command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}"]
    command += ["-r", f"{rate:g}", "-i", "-", "-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov"]
    held = [*frames, *[frames[-1]] * round(LAST_FRAME_MS / FRAME_MS - 1)]
    data = b"".join(frame.tobytes() for frame in held)
    done = subprocess.run([*command, "-f", "mp4", "-"], input=data, capture_output=True, check=False)
    if done.returncode:
        raise DataError(f"ffmpeg wrote no film: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        problem = f"films are drawn by Pillow, which cannot be imported ({error})"
        raise ImportError(f'{problem}: pip install "arraynn[plot]"') from error
    return Image, ImageDraw, ImageFont

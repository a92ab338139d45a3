"""A film of a network that learns, drawn by NumPy and Pillow."""

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

GRID, ZOOM = 160, 2  #: points of the plane along an axis, and how many pixels wide each is
SIZE, SIDE, HEAD = GRID * ZOOM, 240, 28  #: pixels of the plane, of the curve beside it, of the line above both
PART = 10  #: a frame's step is followed by one a tenth further on, so that the beginning is seen
FRAME, LAST = 80, 2000  #: milliseconds
FORMATS = (".webp", ".gif", ".mp4")


class Film(Callback):
    """Write a film of the run: what the network answers between the points, its loss, the epoch.

    path : film.webp (lossless), film.gif (one palette for all frames) or film.mp4 (where ffmpeg is found).
    x, y : the points to show, (N, 2) or (N, 1), and their targets, as for `boundary`; at most 5000 are drawn.

    A frame is taken before the first update, and then at steps that grow by a tenth: 65 in a thousand updates, 89
    in ten thousand. A pixel of the plane is the mixture of the classes' colours that `predict_proba` answers there.
    The file is written when the fit ends, however it ends. Raises ImportError without Pillow, DataError for another
    file name, and ShapeError for points of more inputs, all before the first step.

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
            raise DataError(f"a film needs points and as many targets, got {len(self.x)} and {len(self.y)}")
        edges = _extent(self.x) if self.x.shape[1] == 2 else None
        self.at = np.linspace(self.x.min(), self.x.max(), GRID)[:, None] if edges is None else _grid(edges, GRID)
        self.extent = edges
        self.taken: list[_Taken] = []
        self.next = 0

    def on_fit_begin(self, model: Any) -> None:
        self.taken, self.next = [], 0
        self.take(model)

    def on_batch_end(self, model: Any) -> None:
        if model.step >= self.next:
            self.take(model)

    def on_fit_end(self, model: Any) -> None:
        self.take(model)
        self.path.write_bytes(self.encoded(model))

    def take(self, model: Any) -> None:
        """Take a frame of the model as it is; in the place of one of the same step."""
        step = model.step
        self.next = step + max(1, step // PART)
        if self.taken and self.taken[-1].step == step:
            self.taken.pop()
        if self.extent is None or model.loss.targets == "values":
            answers = _columns(_host(model.predict(self.at.astype(self.x.dtype))))[:, 0]
        else:
            answers = colours(_class_probabilities(model, self.at.astype(self.x.dtype)))
        self.taken.append(_Taken(step, model.epoch, answers))

    def frames(self, model: Any) -> list[Any]:
        """All frames as Pillow images, in their order. model : gives the history for the curve."""
        losses = [float(value) for value in model.history.get("loss", [])]
        return [self._frame(one, losses) for one in self.taken]

    def encoded(self, model: Any) -> bytes:
        """The film as its file has it."""
        frames = self.frames(model)
        durations = [FRAME] * (len(frames) - 1) + [LAST]
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

    def _frame(self, taken: _Taken, losses: list[float]) -> Any:
        image, draw, font = _pillow()
        frame = image.new("RGB", (SIZE + SIDE, HEAD + SIZE), "white")
        plane = self._plane(taken.answers)
        frame.paste(plane, (0, HEAD))
        pen = draw.Draw(frame)
        known = losses[: taken.epoch]  # epochs that were broken off are not among them
        loss = f"   loss {known[-1]:.3f}" if known else ""
        pen.text((6, 5), f"epoch {taken.epoch}   step {taken.step}{loss}", fill="#333333", font=font.load_default(14))
        self._curve(pen, font, losses, len(known))
        return frame

    def _plane(self, answers: Any) -> Any:
        image = _pillow()[0]
        if self.extent is None:
            return self._line(answers)
        if answers.ndim == 1:
            low, high = (float(edge) for edge in (self.y.min(), self.y.max()))
            share = np.clip((answers - low) / ((high - low) or 1.0), 0, 1)[:, None]
            answers = np.rint((1 - share) * _rgb("#56B4E9") + share * _rgb("#E69F00")).astype(np.uint8)
        pixels = answers.reshape(GRID, GRID, 3)[::-1].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
        plane = image.fromarray(np.ascontiguousarray(pixels))
        plane.paste(self._points, (0, 0), self._points)
        return plane

    @property
    def _points(self) -> Any:
        """The points on a transparent ground, drawn once."""
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
        """The loss until this epoch, on axes that hold all of it."""
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
class _Taken:
    """A frame before it is drawn. answers : colours (GRID², 3) of 8 bits, or values."""

    step: int
    epoch: int
    answers: Any


def colours(p: Any) -> Any:
    """The mixture of the classes' colours, each paled, that probabilities (N, K) stand for: (N, 3) of 8 bits."""
    pale = np.asarray([255 - 0.45 * (255 - _rgb(COLOURS[k % len(COLOURS)])) for k in range(p.shape[1])])
    mixed: Any = np.rint(np.clip(p @ pale, 0, 255)).astype(np.uint8)
    return mixed


def _rgb(colour: str) -> Any:
    return np.asarray([int(colour[i : i + 2], 16) for i in (1, 3, 5)], float)


def _palette(frames: list[Any]) -> Any:
    """One palette for a whole film, from eight of its frames."""
    image = _pillow()[0]
    chosen = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, 8).round().astype(int))]
    wide, high = chosen[0].size
    sheet = image.new("RGB", (wide * len(chosen), high))
    for i, frame in enumerate(chosen):
        sheet.paste(frame, (i * wide, 0))
    return sheet.quantize(256, dither=0)


def _mp4(frames: list[Any]) -> bytes:
    wide, high = frames[0].size
    rate = 1000 / FRAME
    command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}"]
    command += ["-r", f"{rate:g}", "-i", "-", "-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov"]
    held = [*frames, *[frames[-1]] * round(LAST / FRAME - 1)]
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

"""`Session`: one visitor's network behind `arraynn play`, without a transport. It answers calls with plain data."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import tree
from ...errors import ArraynnError, DataError, DivergedError
from ...io.model_file import own_version
from ...model import Model
from ...plot import Film
from .export import script
from .files import File
from .pictures import dead, neurons, parameters, predictions, rounded
from .presets import PRESETS, worked_example
from .settings import LIMITS, LIVE, Settings, choices, number, point
from .stepping import Stepper


def calls(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method of Session as one that a page may call."""
    method.called_by_pages = True  # type: ignore[attr-defined]
    return method


def reason(error: Exception) -> str:
    """An error's text on the page: the message of an error meant for users, of other errors the type as well."""
    if isinstance(error, (ArraynnError, LookupError, ImportError, MemoryError)):
        return str(error) or "out of memory"
    return f"{type(error).__name__}: {error}"


class Session:
    """One visitor's network and run. A page calls the methods marked by `calls`, through `call`.

    Each of these methods returns plain data, or bytes.
    file : the user's data, offered as the data set "file". backend : the backend of the model.
    """

    def __init__(self, file: File | None = None, backend: Any = "numpy") -> None:
        self.file, self.backend = file, backend
        self.settings = Settings()
        self.begin(replace(self.settings, data="file") if file else self.settings)

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a method by name. Raises LookupError for an unknown name, DataError for wrong arguments."""
        method = getattr(self, name, None)
        if not getattr(method, "called_by_pages", False):
            raise LookupError(f"there is no call {name[:40]!r}")
        assert method is not None
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise DataError(f"{name}: {error}") from None
        return method(**arguments)

    def begin(self, settings: Settings) -> None:
        """Start a new run: draw data, then weights. Invalid settings raise DataError and change nothing."""
        if settings.data == "file":
            if self.file is None:
                raise DataError("no file was given; start with --data FILE.npz, or choose another data set")
            x, y = self.file.x, self.file.y
            test = None if self.file.x_test is None else (self.file.x_test, self.file.y_test)
            targets = "classes" if y.ndim == 1 else "values"
            rng: Any = settings.weights_seed
        else:
            targets = settings.targets
            rng = np.random.RandomState(settings.seed) if settings.book else settings.weights_seed
            x, y = settings.draw(rng if settings.book else settings.seed)
            test = settings.draw(np.random.default_rng([settings.seed, 1]))
        outputs = _outputs(settings, targets, y)
        x, y = _joined(x, y, settings.added, outputs)
        model = Model(
            settings.network(outputs),
            settings.loss_of(targets),
            settings.rule(),
            backend=self.backend,
            dtype="float64" if settings.book else "float32",
            seed=rng,
        )
        if model.loss.targets == "binary" and outputs > 2:
            raise DataError(f"{settings.loss} has one output, for two classes; the data have {outputs}")
        if model.loss.targets == "binary":
            model.network = settings.network(1)
        stepper = Stepper(model, x, y, settings.batch_size)
        self.settings, self.started, self.model, self.stepper = settings, settings, model, stepper
        self.x, self.y, self.test, self.targets, self.outputs = x, y, test, targets, outputs
        self.log: list[tuple[Any, ...]] = []
        self.sent, self.layer = 0, max(len(settings.layers) - 1, 0)

    # Methods that a page calls.

    @calls
    def hello(self) -> dict[str, Any]:
        """The choices that a page offers, and the state of the run."""
        backend = self.model.backend
        about = {"version": own_version(), "backend": f"{backend.name} {backend.version}", "file": bool(self.file)}
        presets = {name: one.about() for name, one in PRESETS.items()}
        return {"choices": choices(), "presets": presets, **about, **self.state()}

    @calls
    def configure(self, settings: Any) -> dict[str, Any]:
        """Start a new run with these settings and defaults for the others. Equal settings give equal weights."""
        self.begin(Settings().changed(settings))
        return self.state()

    @calls
    def preset(self, name: Any) -> dict[str, Any]:
        """Start a run with a lesson's settings, or explain the one step of a lesson that trains nothing."""
        if not isinstance(name, str) or name not in PRESETS:
            raise DataError(f"there is no preset {str(name)[:40]!r}; there are {', '.join(PRESETS)}")
        chosen = PRESETS[name]
        if chosen.settings is None:
            return {"explained": worked_example(name).html(whole=False), "title": chosen.title}
        self.begin(chosen.settings)
        return self.state()

    @calls
    def change(self, settings: Any) -> dict[str, Any]:
        """Change settings of the current run: optimizer, learning rate, schedule, batch size. The weights stay."""
        if isinstance(settings, dict) and (fixed := sorted(map(str, settings.keys() - set(LIVE)))):
            raise DataError(f"{fixed[0][:40]} needs a new run: call configure; what can change is {', '.join(LIVE)}")
        new = self.settings.changed(settings)
        rule = new.rule()
        self.settings = new
        if rule != self.model.optimizer:
            self.model.optimizer = rule
        self.log.append(("live", new))
        return {"settings": asdict(new), "code": self.code()["code"]}

    @calls
    def add(self, points: Any) -> dict[str, Any]:
        """Add points to the data: [[x0, x1, class], …], or [[x, y], …] for one input. The weights stay."""
        if not isinstance(points, list) or not points:
            raise DataError("points must be a list of at least one point")
        new = tuple(map(point, points))
        added = (*self.settings.added, *new)
        if len(added) > LIMITS["added"][1]:
            raise DataError(f"at most {LIMITS['added'][1]} points can be added")
        self.x, self.y = _joined(self.x, self.y, new, self.outputs)
        self.settings = replace(self.settings, added=added)
        self.log.append(("points", new))
        self._renew_stepper()
        return self.state()

    @calls
    def advance(self, ms: Any = 20, detail: Any = False) -> dict[str, Any]:
        """Train for about `ms` milliseconds, at most 200. detail : return weights, gradients and neurons too."""
        return self._train(None, _between("ms", ms, 0, 200) / 1000, detail)

    @calls
    def step(self, count: Any = 1, detail: Any = True) -> dict[str, Any]:
        """Take `count` updates, at most 10,000. A large network takes a while."""
        return self._train(int(_between("count", count, 1, 10_000, whole=True)), 0.0, detail)

    @calls
    def show(self, layer: Any = 0) -> dict[str, Any]:
        """Choose the hidden layer, counted from 0, whose neurons frames show. Returns a frame with all images."""
        self.layer = int(_between("layer", layer, 0, max(len(self.settings.layers) - 1, 0), whole=True))
        return self.frame(True)

    @calls
    def code(self) -> dict[str, str]:
        """The run as a Python program."""
        outputs = self.model.output_shape[0]
        return {"code": script(self.started, self.log, outputs, self.targets, self.file)}

    @calls
    def explain(self, rows: Any = 3) -> dict[str, str]:
        """The next step in full, on `rows` evenly spaced points."""
        count = min(int(_between("rows", rows, 1, 8, whole=True)), len(self.x))
        chosen = ((np.arange(count) + 0.5) * len(self.x) / count).astype(int)  # without row 0: all zeros in a spiral
        return {"explained": self.model.explain(self.x[chosen], self.y[chosen]).html(whole=False)}

    @calls
    def save(self) -> bytes:
        """The bytes of the model's file, as `Model.save` writes it."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.safetensors")
            self.model.save(path)
            return path.read_bytes()

    @calls
    def film(self) -> bytes:
        """A film of the run so far, as lossless WebP: the run is replayed from its start and recorded."""
        replay = Session(self.file, self.backend)
        replay.begin(self.started)
        film = Film("film.webp", self.x, self.y)
        film.take(replay.model)
        for entry in self.log:
            if entry[0] == "steps":
                end = replay.model.step + entry[1]
                while replay.model.step < end:
                    replay.stepper.run(min(film.next, end) - replay.model.step)
                    film.take(replay.model)
            else:
                replay.redo(entry)
        return film.encoded(replay.model)

    # Internal methods.

    def redo(self, entry: tuple[Any, ...]) -> None:
        """Apply a log entry other than training: added points, or changed settings."""
        if entry[0] == "points":
            self.x, self.y = _joined(self.x, self.y, entry[1], self.outputs)
            self._renew_stepper()
        else:
            self.settings, self.model.optimizer = entry[1], entry[1].rule()
            if self.settings.batch_size != self.stepper.batch_size:
                self._renew_stepper()

    def _renew_stepper(self) -> None:
        """Make a new stepper for changed data or batch size. An epoch that is not complete ends here."""
        self.model.epoch += bool(self.stepper.position)
        self.stepper = Stepper(self.model, self.x, self.y, self.settings.batch_size)

    def _train(self, steps: int | None, seconds: float, detail: Any) -> dict[str, Any]:
        if not isinstance(detail, bool):
            raise DataError(f"detail is {str(detail)[:40]!r}; it must be true or false")
        if self.settings.batch_size != self.stepper.batch_size:
            self._renew_stepper()
        try:
            count = self.stepper.run(steps, seconds)
        except DivergedError as error:
            return {**self.frame(True), "diverged": str(error)}
        self.log.append(("steps", count, self.stepper.per_epoch))
        if len(self.log) > 1 and self.log[-2][0] == "steps" and self.log[-2][2] == self.log[-1][2]:
            self.log[-2:] = [("steps", self.log[-2][1] + count, self.stepper.per_epoch)]
        return self.frame(detail)

    def state(self) -> dict[str, Any]:
        """Everything that a page shows: settings, points, program, summary and a full frame."""
        self.sent = 0
        target = self.y.reshape(len(self.y), -1)[:, :1]
        points = np.concatenate([self.x, target], axis=1).round(5).tolist()
        own = {"settings": asdict(self.settings), "points": points, "targets": self.targets, "classes": self.outputs}
        return {**own, **self.code(), "summary": self.model.summary(), **self.frame(True)}

    def frame(self, detail: bool) -> dict[str, Any]:
        """The progress of training, the new part of the history, and the predictions over the plane."""
        model, stepper = self.model, self.stepper
        names = ("loss", "data_loss", "learning_rate", *(metric.name for metric in model.metrics))
        new = {name: [rounded(value) for value in model.history.get(name, [])[self.sent :]] for name in names}
        self.sent = len(model.history.get("loss", []))
        place = {"epoch": model.epoch, "step": model.step, "position": stepper.position, "batches": stepper.per_epoch}
        frame = {**place, "history": new, "metric": model.metrics[0].name, **predictions(model, self.x)}
        if detail:
            frame |= {"test": self._test_figures(), "params": parameters(model, stepper), "dead": dead(model, stepper)}
            frame["neurons"] = neurons(model, self.x, self.layer)
        return frame

    def _test_figures(self) -> dict[str, Any]:
        """Loss and metric on test points, drawn from another seed; empty where a file has none."""
        found = self.model.evaluate(*self.test) if self.test else {}
        return {name: rounded(value) for name, value in found.items()}

    @property
    def weights(self) -> dict[str, Any]:
        """Host copies of all parameters, by path."""
        return {path: self.model.backend.to_numpy(leaf) for path, leaf in tree.items(self.model.params)}


def _outputs(settings: Settings, targets: str, y: Any) -> int:
    if targets == "values":
        return int(y.shape[1])
    return max(2, int(y.max()) + 1) if settings.data == "file" else settings.classes


def _joined(x: Any, y: Any, added: Any, classes: int) -> tuple[Any, Any]:
    """The data with the added points. Raises DataError for points that do not fit the data."""
    if not added:
        return x, y
    for one in added:
        if len(one) != x.shape[1] + 1:
            raise DataError(f"a point here has {x.shape[1] + 1} numbers, got {list(one)}")
        if y.ndim == 1 and one[-1] not in range(classes):
            raise DataError(f"a point's class is 0 to {classes - 1}, got {one[-1]:g}")
    more = np.asarray(added)
    last = more[:, -1].astype(y.dtype).reshape(-1, *y.shape[1:])
    return np.concatenate([x, more[:, :-1].astype(x.dtype)]), np.concatenate([y, last])


def _between(name: str, value: Any, low: float, high: float, whole: bool = False) -> float:
    return float(number(name, value, whole, (low, high)))

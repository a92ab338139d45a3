"""Exports a session as a Python program that, when run, gives the session's weights to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from typing import Any

from ... import initializers, layers
from .files import File
from .settings import Settings


def expression(thing: Any) -> str:
    """The Python call that constructs a layer, loss, optimizer, schedule, regularizer or initializer, as `nn.…`.

    Arguments equal to their default are left out. A first argument that is required, or a learning rate, is positional.

    >>> from arraynn import Adam, InverseTimeDecay
    >>> expression(Adam(InverseTimeDecay(0.05, decay=1e-4), epsilon=1e-7))
    'nn.Adam(nn.InverseTimeDecay(0.05, decay=0.0001), epsilon=1e-07)'
    """
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return repr(thing)
    known = {name: value for name, value in vars(initializers).items() if not name.startswith("_")}
    for name, initializer in known.items():
        if initializer == thing:
            return f"nn.initializers.{name}"
    kind = type(thing)
    prefix = "nn.initializers." if known.get(kind.__name__) is kind else "nn."
    if isinstance(thing, layers.Sequential):
        return f"nn.Sequential({''.join(f'{chr(10)}    {expression(layer)},' for layer in thing.layers)}\n)"
    arguments = []
    for i, field in enumerate(fields(thing)):
        value = getattr(thing, field.name)
        if field.default is MISSING or value != field.default:
            positional = i == 0 and (field.default is MISSING or field.name == "learning_rate")
            arguments.append(expression(value) if positional else f"{field.name}={expression(value)}")
    return f"{prefix}{kind.__name__}({', '.join(arguments)})"


def script(settings: Settings, log: Sequence[tuple[str, Any]], outputs: int, targets: str, file: File | None) -> str:
    """The program's source.

    log : what was done, in order: ("steps", count, updates in an epoch), ("live", Settings) and ("points", list of
        points). file : the user's data, where the data set is "file".
    """
    body = [*_data(settings, targets, file), *_points(settings.added, targets)]
    seed = "rng" if settings.book else repr(settings.weights_seed)
    kind = ', dtype="float64"' if settings.book else ""
    body += [
        f"network = {expression(settings.network(outputs))}",
        f"loss = {expression(settings.loss_of(targets))}",
        f"optimizer = {expression(settings.rule())}",
        f'model = nn.Model(network, loss, optimizer, backend="numpy"{kind}, seed={seed})',
        "model.build(x.shape[1:])",
        *_training(settings, log, targets),
        "print(model.evaluate(x, y))",
    ]
    text = "\n".join(body) + "\n"
    numpy = "import numpy as np\n\n" if "np." in text else ""
    used = [name for name in ("advance", "load_table") if f"{name}(" in text]
    helper = f"from arraynn.learn.play import {', '.join(used)}\n" if used else ""
    return f"{numpy}import arraynn as nn\n{helper}\n{text}"


def _data(settings: Settings, targets: str, file: File | None) -> Iterator[str]:
    if settings.data == "file":
        assert file is not None
        if file.columns is not None:
            names, target = file.columns
            yield f"x, y = load_table({file.path!r}, {list(names)!r}, {target!r})"
            return
        yield f"x, y = nn.datasets.load_npz({file.path!r})[:2]"
        yield (
            "x, y = x.reshape(len(x), -1), y.reshape(-1).astype(int)"
            if targets == "classes"
            else "x = x.reshape(len(x), -1)"
        )
        return
    if settings.book:
        yield f"rng = np.random.RandomState({settings.seed})  # the book's stream: data first, then weights"
    arguments = ", ".join(f"{name}={value!r}" for name, value in settings.arguments().items())
    yield f"x, y = nn.datasets.{settings.data}({arguments}, seed={'rng' if settings.book else settings.seed})"


def _points(added: Sequence[tuple[float, ...]], targets: str) -> Iterator[str]:
    """The lines that add points to the data. A point's last number is its target."""
    if added:
        yield f"x = np.concatenate([x, np.asarray({[list(point[:-1]) for point in added]}, x.dtype)])"
        last = [int(point[-1]) if targets == "classes" else point[-1] for point in added]
        yield f"y = np.concatenate([y, np.asarray({last}, y.dtype).reshape(-1, *y.shape[1:])])"


def _training(settings: Settings, log: Sequence[tuple[str, Any]], targets: str) -> Iterator[str]:
    """The lines that train: whole epochs by `fit`, parts of epochs by `advance`."""
    position, live = 0, settings
    for entry in _merged(log):
        if entry[0] == "steps":
            _, count, per_epoch = entry
            size = f"batch_size={live.batch_size}"
            if position:
                part = min(count, per_epoch - position)
                yield f"advance(model, x, y, steps={part}, {size}, position={position})"
                count, position = count - part, (position + part) % per_epoch
            if count >= per_epoch:
                yield f"model.fit(x, y, epochs={count // per_epoch}, {size}, verbose=0)"
            if count % per_epoch:
                yield f"advance(model, x, y, steps={count % per_epoch}, {size})"
                position = count % per_epoch
            continue
        if position and (entry[0] == "points" or entry[1].batch_size != live.batch_size):
            yield "model.epoch += 1  # the epoch was broken off: other batches begin a new one"
            position = 0
        if entry[0] == "points":
            yield from _points(entry[1], targets)
        else:
            if entry[1].rule() != live.rule():
                yield f"model.optimizer = {expression(entry[1].rule())}"
            live = entry[1]


def _merged(log: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The log with consecutive steps merged into one entry, and only the last of consecutive settings."""
    merged: list[tuple[Any, ...]] = []
    for entry in log:
        before = merged[-1] if merged else ("",)
        if entry[0] == before[0] == "steps" and entry[2] == before[2]:
            merged[-1] = ("steps", before[1] + entry[1], entry[2])
        elif entry[0] == before[0] == "live":
            merged[-1] = entry
        else:
            merged.append(entry)
    return merged

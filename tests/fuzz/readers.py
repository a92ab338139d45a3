"""Hostile files: good ones, changed in many ways, and what every reader must do with whatever comes.

    python -m tests.fuzz.readers 10000            that many changed files through each reader (seed 0)
    python -m tests.fuzz.readers 10000 --seed 7

A reader gives an array or a model, or raises the one error that is its own. Anything else, more memory than a small
multiple of the file, or more than some seconds, is a failure: the file is kept and named.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import signal
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import arraynn as nn
from arraynn.datasets import load_npz, read_idx

X, Y = nn.datasets.spiral(10, 3)
SECONDS = 20  #: for one file, far more than any takes
ROOM = 1 << 30  #: bytes of address space beyond what the process has when it begins

NASTY = [
    *(0, 1, -1, 2, 3, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 0.5, 1e308, -0.0, True, False, None, ""),
    *("x", "F64", "I8", "nan", "Dense.v1", "os.system", "../../etc/passwd", "\ud800", "a" * 300, [], {}, [[]], [0, 0]),
    *([2**62], [0, 2**62], [1] * 40, {"float": "inf"}, {"float": "nan"}, {"function": "Dense.v1"}, {"type": "ReLU.v1"}),
    *(
        {"type": "ReLU.v1", "fields": {}},
        {"type": "Dense.v1", "fields": {"units": 10**12}},
        {"type": "eval", "fields": {}},
    ),
]


# ---------------------------------------------------------------- good files


def good_model(folder: Path) -> bytes:
    """A small trained model, with most of what a file can hold."""
    inner = nn.Residual(nn.Dense(4, weight_regularizer=nn.L2(1e-4)), nn.BatchNorm(), nn.Dropout(0.1))
    network = nn.Sequential(nn.Dense(4), nn.ReLU(), inner, nn.Concatenate(nn.Identity(), nn.Tanh()), nn.Dense(3))
    rule = nn.Adam(nn.InverseTimeDecay(0.05, decay=5e-5))
    model = nn.Model(network, nn.SoftmaxCrossEntropy(0.1), rule, backend="numpy", clip_norm=1.0)
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(folder / "good.safetensors")
    return (folder / "good.safetensors").read_bytes()


FRAME = {
    "size": [float(i * i) if i % 5 else None for i in range(60)],
    "kind": [f"k{i % 3}" for i in range(60)],
    "word": [f"w{i % 25}" for i in range(60)],
    "on": [f"2024-01-{1 + i % 28:02d}" for i in range(60)],
    "sure": [("yes", "no")[i % 2] for i in range(60)],
    "one": ["x"] * 60,
    "label": [("ham", "spam")[i // 2 % 2] for i in range(60)],
}


def good_table(folder: Path) -> bytes:
    """A model on a table, with every kind of column and with labels."""
    encoding = nn.encoding.learn(FRAME, "label", text=["word"]).encoding
    network = nn.Sequential(encoding.input_layer(), nn.Dense(4), nn.ReLU(), nn.Dense(2))
    model = nn.Model(network, backend="numpy", encoding=encoding)
    model.fit(FRAME, epochs=1, verbose=0)
    model.save(folder / "table.safetensors")
    return (folder / "table.safetensors").read_bytes()


def good_checkpoint(folder: Path) -> bytes:
    """A run that is one step from its end, with callbacks that have noted something."""
    path = folder / "good.checkpoint"

    class Keep(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model: Any) -> None:
            if model.step == 9:
                kept.append(path.read_bytes())  # of the step before

    kept: list[bytes] = []
    _fit(path, nn.Checkpoint(path, 1), Keep())
    return kept[0]


def _fit(path: Path, *callbacks: nn.Callback, resume: Path | None = None) -> None:
    network = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dropout(0.1), nn.Dense(3))
    model = nn.Model(network, optimizer=nn.Adam(nn.InverseTimeDecay(0.05, decay=5e-5)), backend="numpy")
    watchers = [nn.EarlyStopping("loss"), nn.ReduceLROnPlateau("loss"), nn.CSVLog(path.with_suffix(".csv"))]
    model.fit(X, Y, epochs=2, batch_size=7, callbacks=[*watchers, *callbacks], verbose=0, resume=resume)


def good_idx(folder: Path) -> bytes:
    """Six numbers of two bytes."""
    return bytes([0, 0, 0x0B, 2]) + struct.pack(">II6h", 2, 3, *range(6))


def good_npz(folder: Path) -> bytes:
    """x and y, compressed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.arange(12.0).reshape(4, 3), y=np.asarray([0, 1, 1, 0]))
    return buffer.getvalue()


# ---------------------------------------------------------------- changes


def bent_bytes(data: bytes, rng: random.Random) -> bytes:
    """Some bytes set, cut out, doubled, or put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at, length = rng.randrange(len(changed) + 1), rng.choice((1, 1, 2, 4, 8, 50))
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = rng.randbytes(length)
            case 3:
                changed[at:at] = changed[at : at + length]
            case _:
                del changed[at:]
    return bytes(changed)


def bent_value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one place in it changed."""
    if rng.random() < 0.15 or not isinstance(value, (dict, list)) or not value:
        if isinstance(value, (int, float)) and rng.random() < 0.5:
            return value + rng.choice((-8, -4, -1, 1, 4, 8, 2**32))
        return rng.choice(NASTY)
    if isinstance(value, dict):
        key = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice(("__metadata__", "0", "extra", key + "x")): value[key]}
            case 2:
                other = rng.choice(list(value))
                return {**value, key: value[other], other: value[key]}
        return {**value, key: bent_value(value[key], rng)}
    at = rng.randrange(len(value))
    match rng.randrange(8):
        case 0:
            return value[:at] + value[at + 1 :]
        case 1:
            return value[:at] + [value[at]] * rng.choice((2, 3, 500)) + value[at + 1 :]
        case 2:
            nested: Any = value
            for _ in range(rng.choice((5, 50, 500, 5000))):
                nested = [nested]
            return nested
    return [*value[:at], bent_value(value[at], rng), *value[at + 1 :]]


def bent_model(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file with its header, or the description inside that, changed as JSON."""
    header, tensors = _apart(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if rng.random() < 0.7:
            try:
                description = json.loads(header["__metadata__"]["arraynn"])
            except (RecursionError, ValueError):
                break  # it was changed so that it cannot be changed again
            header["__metadata__"]["arraynn"] = _json(bent_value(description, rng))
        else:
            bent = bent_value(header, rng)
            header = bent if isinstance(bent, dict) and isinstance(bent.get("__metadata__"), dict) else header
            if not isinstance(header["__metadata__"].get("arraynn"), str):
                break
    if rng.random() < 0.1:
        tensors = np.frombuffer(tensors[: len(tensors) // 4 * 4], "<f4").copy().tobytes()[:-4] + struct.pack(
            "<f", np.nan
        )
    text = _json(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", rng.choice((len(text), len(text), len(text), 2**40, 2**63, 0))) + text + tensors


def bent_checkpoint(data: bytes, rng: random.Random) -> bytes:
    """A checkpoint changed as a model is, or in what a model has not: where the run is, and what was noted."""
    if rng.random() < 0.3:
        return bent_model(data, rng)
    header, tensors = _apart(data)
    description = json.loads(header["__metadata__"]["arraynn"])
    part = description if rng.random() < 0.3 else description["run"]
    name = rng.choice(list(part))
    part[name] = bent_value(part[name], rng)
    header["__metadata__"]["arraynn"] = _json(description)
    text = _json(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + tensors


def _apart(data: bytes) -> tuple[Any, bytes]:
    """The header and the tensors of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (RecursionError, ValueError):
        return "[" * 20000


def bent_idx(data: bytes, rng: random.Random) -> bytes:
    """An IDX file with an axis, the type or the number of axes changed."""
    changed = bytearray(data)
    match rng.randrange(3):
        case 0:
            changed[4:8] = struct.pack(">I", rng.choice((0, 1, 3, 2**31, 2**32 - 1)))
        case 1:
            changed[2] = rng.randrange(256)
        case _:
            changed[3] = rng.randrange(256)
    return bytes(changed) if rng.random() < 0.7 else bent_bytes(bytes(changed), rng)


def bent_npz(data: bytes, rng: random.Random) -> bytes:
    """A .npz file whose members are changed, and packed again as they are."""
    buffer = io.BytesIO()
    warnings.filterwarnings("ignore", "Duplicate name")  # that is the point
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", rng.choice((0, 8, 12, 14))) as new:
        for info in old.infolist():
            member = old.read(info)
            if rng.random() < 0.6:
                member = bent_bytes(member, rng)
            if rng.random() < 0.3:
                shape = rng.choice(
                    (b"(4, 3)", b"(-4, 3)", b"(9**99, 3)", b"(4, 30000000000000)", b"(((((4,)))))", b"()")
                )
                member = member.replace(b"(4, 3)", shape)
            if rng.random() < 0.2:
                member = member.replace(b"<f8", rng.choice((b"|O8", b"<f2", b"<c8", b"|V8", b">f8")))
            new.writestr(rng.choice((info.filename,) * 6 + ("../x.npy", "x", "x.npy", "y.npy")), member)
    return buffer.getvalue()


# ---------------------------------------------------------------- what every reader must do


def load_model(path: Path) -> None:
    """The whole of it: loaded, and asked for a prediction."""
    model = nn.Model.load(path, backend="numpy")
    model.network(model.params, np.zeros((1, *model.input_shape), model.dtype))


def load_table(path: Path) -> None:
    """The whole of it: loaded, and asked for predictions of rows, which may lack what another encoding asks for."""
    model = nn.Model.load(path, backend="numpy")
    if model.encoding is None:
        return
    with suppress(nn.DataError):
        model.predict(FRAME)


def resume(path: Path) -> None:
    """The whole of it: checked, taken up, and trained to its end, unless its numbers lead to others that are none."""
    with suppress(nn.DivergedError):
        _fit(path, resume=path)


READERS: dict[
    str, tuple[Callable[[Path], Any], type, Callable[[Path], bytes], Callable[[bytes, random.Random], bytes]]
] = {
    "model": (load_model, nn.CheckpointError, good_model, bent_model),
    "table": (load_table, nn.CheckpointError, good_table, bent_model),
    "checkpoint": (resume, nn.CheckpointError, good_checkpoint, bent_checkpoint),
    "idx": (read_idx, nn.DataError, good_idx, bent_idx),
    "npz": (load_npz, nn.DataError, good_npz, bent_npz),
}


def survives(name: str, path: Path) -> bool:
    """Read the file; whether it was taken. Raises whatever a reader must not raise."""
    reader, own, *_ = READERS[name]
    try:
        with np.errstate(all="ignore"):
            reader(path)
    except own as error:
        if any(word in str(error) for word in ("MemoryError", "nable to allocate")):
            raise AssertionError(f"it asked for more memory than the file can need: {error}") from error
        return False
    return True


def changed(name: str, data: bytes, rng: random.Random) -> bytes:
    """One changed file."""
    return READERS[name][3](data, rng) if rng.random() < 0.7 else bent_bytes(data, rng)


def main(argv: list[str] | None = None) -> int:
    import resource  # of Unix alone

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the files need not reach a disk
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = Path(name)
        good = {kind: make(folder) for kind, (_, _, make, _) in READERS.items()}
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
        signal.signal(signal.SIGALRM, _late)
        for kind, data in good.items():
            rng, taken = random.Random(f"{kind} {arguments.seed}"), 0
            for i in range(arguments.count):
                path = folder / "file"
                path.write_bytes(changed(kind, data, rng))
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                try:
                    taken += survives(kind, path)
                except BaseException:
                    kept = Path(f"hostile-{kind}-{i}")
                    kept.write_bytes(path.read_bytes())
                    print(f"{kind}: file {i} of seed {arguments.seed} is kept as {kept}", file=sys.stderr)
                    raise
                signal.setitimer(signal.ITIMER_REAL, 0)
            print(f"{kind}: {arguments.count:,} files, {taken:,} taken, the others refused", flush=True)
    return 0


def _late(number: int, frame: Any) -> None:
    raise TimeoutError(f"one file took more than {SECONDS} seconds")


if __name__ == "__main__":
    sys.exit(main())

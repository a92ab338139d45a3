"""Saved models: there whole or not at all, on every backend, and from anyone."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn import tree
from arraynn.io import atomic, model_file, registry
from tests.fuzz.readers import READERS, changed, survives

X, Y = nn.datasets.spiral(12, 3)
NETWORK = nn.Sequential(
    nn.Dense(8, weight_regularizer=nn.L2(1e-3)),
    nn.Residual(nn.Dense(8), nn.BatchNorm()),
    nn.Concatenate(nn.Identity(), nn.Tanh()),
    nn.Dropout(0.2),
    nn.Dense(3),
)


def trained(backend="numpy", **options):
    model = nn.Model(NETWORK, optimizer=nn.Adam(nn.InverseTimeDecay(0.02, decay=0.01)), backend=backend, **options)
    model.fit(X, Y, epochs=3, validation_data=(X, Y), validation_freq=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def model():
    return trained(clip_norm=1.0, seed=3)


# ---------------------------------------------------------------- there and back


def test_a_loaded_model_equals_the_saved_one(model, tmp_path):
    model.save(tmp_path / "m")
    again = nn.Model.load(tmp_path / "m", backend="numpy")
    for name in (
        "network",
        "loss",
        "optimizer",
        "metrics",
        "dtype",
        "clip_norm",
        "clip_value",
        "seed",
        "epoch",
        "step",
    ):
        assert getattr(again, name) == getattr(model, name), name
    assert (again.input_shape, again.output_shape) == (model.input_shape, model.output_shape)
    assert repr(again.history) == repr(model.history)
    for part in ("params", "state"):
        one, other = getattr(model, part), getattr(again, part)
        assert tree.paths(one) == tree.paths(other)
        for a, b in zip(tree.leaves(one), tree.leaves(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_loaded_model_trains_on_to_the_same_bits(tmp_path):
    straight, saved = trained(), trained()
    saved.save(tmp_path / "m")
    again = nn.Model.load(tmp_path / "m", backend="numpy")
    for one in (straight, again):
        one.fit(X, Y, epochs=2, verbose=0)
    np.testing.assert_array_equal(again(X), straight(X))
    assert again.history["loss"] == straight.history["loss"]


def test_a_model_can_be_loaded_in_another_dtype(model, tmp_path):
    model.save(tmp_path / "m")
    double = nn.Model.load(tmp_path / "m", backend="numpy", dtype="float64")
    assert {leaf.dtype.name for leaf in tree.leaves(double.params)} == {"float64"}
    np.testing.assert_allclose(double(X), model(X), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="dtype"):
        nn.Model.load(tmp_path / "m", dtype="float16")


def test_an_unavailable_backend_is_reported(model, tmp_path):
    model.save(tmp_path / "m")
    with pytest.raises(nn.BackendUnavailable):
        nn.Model.load(tmp_path / "m", backend="no_such_library")


def test_the_file_is_safetensors_and_names_the_version_that_wrote_it(model, tmp_path):
    model.save(tmp_path / "m")
    with safetensors.safe_open(tmp_path / "m", "numpy") as file:
        assert {"params.0.weight", "slots.0.weight.m", "params.1.1.statistics.mean", "history.loss"} <= set(file.keys())
        header = json.loads(file.metadata()["arraynn"])
    assert header["network"]["type"] == "Sequential.v1"
    assert {"arraynn", "optimizer", "seed", "step", "epoch"} <= header.keys()


@dataclass(frozen=True)
class Bent(nn.Activation):
    def function(self, x):
        return x * abs(x), lambda dy: 2 * dy * abs(x)


def test_a_custom_layer_must_be_registered_to_save_and_to_load(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    model = nn.Model(nn.Sequential(Bent(), nn.Dense(2)), backend="numpy").build((2,))
    with pytest.raises(nn.CheckpointError, match=r"nn\.register\(Bent\)"):
        model.save(tmp_path / "m")
    nn.register(Bent)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(nn.Model.load(tmp_path / "m", backend="numpy")(X), model(X))
    monkeypatch.setattr(registry, "_registered", {})
    with pytest.raises(nn.CheckpointError, match=r"Bent\.v1.*nn\.register"):
        nn.Model.load(tmp_path / "m")


def test_a_model_given_another_optimizer_can_be_saved(tmp_path):
    model = trained()
    model.optimizer = nn.SGD(0.1, momentum=0.9)
    model.save(tmp_path / "m")
    again = nn.Model.load(tmp_path / "m", backend="numpy")
    again.fit(X, Y, verbose=0)


def test_a_model_without_weights_is_not_saved(tmp_path):
    with pytest.raises(nn.CheckpointError, match="build"):
        nn.Model(NETWORK).save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path):
    model = trained()
    model.hold(tree.map(lambda leaf: leaf * np.nan, model.params), model.state)
    with pytest.raises(nn.CheckpointError, match=r"'params\.0\.weight' holds numbers that are not finite"):
        model.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- whole or not at all


@pytest.fixture
def kept(model, tmp_path):
    """A good file, and a look at the end that it still is, alone in its folder."""
    path = tmp_path / "m"
    model.save(path)
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_fails_at_any_point_leaves_the_good_file(call, model, kept, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    if call == "write":
        real = os.fdopen

        def opened(*arguments):
            file = real(*arguments)
            monkeypatch.setattr(os, "fdopen", real)
            raw = os.dup(file.fileno())
            os.write(raw, b"half")
            os.close(raw)
            file.close()
            fail()

        monkeypatch.setattr(os, "fdopen", opened)
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(
        nn.CheckpointError, match="No space left on device; an existing file and the model are unchanged"
    ):
        model.save(kept)
    monkeypatch.undo()


def in_child(*lines):
    """The status of a Python that runs these lines, with the model's file as sys.argv[1]."""
    program = "import os, signal, sys, resource\nimport arraynn as nn\npath = sys.argv[1]\n" + "\n".join(lines)
    return lambda path: subprocess.run(
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_a_file_size_limit_leaves_the_good_file(size, kept):
    """RLIMIT_FSIZE: the system itself refuses to write on, as on a full disk, at any byte."""
    done = in_child(
        "model = nn.Model.load(path, backend='numpy')",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))",
        "try:\n    model.save(path)",
        "except nn.CheckpointError as error:\n    print(error)",
    )(kept)
    assert "cannot write" in done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no such permissions")
def test_a_read_only_folder_is_reported(model, kept):
    if os.geteuid() == 0:
        # root may write anywhere; what saving imports comes first, as root's Python may be closed to others
        become_nobody = ["nn.io.model_file.own_version()", "os.setgid(65534)", "os.setuid(65534)"]
        for folder in (kept.parent, *kept.parents[1:3]):
            folder.chmod(0o755)
    else:
        become_nobody = []
    kept.chmod(0o644)
    kept.parent.chmod(0o555)
    done = in_child(
        "model = nn.Model(nn.Sequential(nn.Dense(1)), backend='numpy').build((1,))",
        "nn.io.model_file.described(model)  # all is imported now, from where nobody may not be allowed to read",
        *become_nobody,
        "try:\n    model.save(path)",
        "except nn.CheckpointError as error:\n    print(error)",
    )(kept)
    kept.parent.chmod(0o755)
    assert "Permission denied" in done.stdout, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.thorough
def test_a_process_killed_while_it_saves_leaves_one_good_file(tmp_path):
    path = tmp_path / "m"
    program = "import sys, arraynn as nn\n" + (
        "model = nn.Model(nn.Sequential(nn.Dense(300)), backend='numpy').build((300,))\n"
        "while True:\n    model.epoch += 1\n    model.save(sys.argv[1])\n    print(flush=True)"
    )
    rng = random.Random(0)
    for _ in range(6):
        command = [sys.executable, "-c", program, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            process.stdout.readline()  # one was saved
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        assert nn.Model.load(path, backend="numpy").epoch >= 1


def test_temporary_files_of_a_killed_process_are_removed_later(model, tmp_path, monkeypatch):
    stale, fresh, other = (tmp_path / name for name in (".m.0a1b2c3d.tmp", ".m.ffffffff.tmp", ".n.0a1b2c3d.tmp"))
    for path in (stale, fresh, other):
        path.write_bytes(b"half")
    for path in (stale, other):
        os.utime(path, (0, 0))
    model.save(tmp_path / "m")
    assert not stale.exists()
    assert fresh.exists()  # somebody may be writing it
    assert other.exists()
    assert atomic.STALE_SECONDS >= 60


def test_many_processes_may_save_at_once(model, tmp_path):
    """What a killed process left is looked for among what others are just writing: such a file may be gone."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: model.save(tmp_path / "m"), range(100)))
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_synced_still_gets_the_file(number, model, tmp_path, monkeypatch):
    real = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    model.save(tmp_path / "m")
    assert nn.Model.load(tmp_path / "m", backend="numpy").step == model.step


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["m*", "[m]mm", "???"])
def test_glob_characters_in_a_name_are_literal(name, model, tmp_path):
    stale = tmp_path / ".mmm.0a1b2c3d.tmp"
    stale.write_bytes(b"another's")
    os.utime(stale, (0, 0))
    model.save(tmp_path / name)
    assert stale.exists()


def test_a_link_stays_a_link(model, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "m").symlink_to(tmp_path / "store" / "real")
    model.save(tmp_path / "m")
    assert (tmp_path / "m").is_symlink()
    assert nn.Model.load(tmp_path / "store" / "real", backend="numpy").epoch == model.epoch


def test_permissions_are_those_of_any_new_file(model, tmp_path):
    model.save(tmp_path / "m")
    (tmp_path / "plain").touch()
    assert (tmp_path / "m").stat().st_mode == (tmp_path / "plain").stat().st_mode


# ---------------------------------------------------------------- from anyone


def rewritten(path, change, header_too=None):
    """The file with its description changed by `change(description)`."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    description = json.loads(header["__metadata__"]["arraynn"])
    change(description)
    header["__metadata__"]["arraynn"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    return path


def nested(depth):
    """Concatenate twice the same, so often within itself: each doubles the width."""
    layer = {"type": "Identity.v1", "fields": {}}
    for _ in range(depth):
        pair = {"type": "Concatenate.v1", "fields": {"layers": [{"type": "Identity.v1", "fields": {}}] * 2}}
        layer = {"type": "Sequential.v1", "fields": {"layers": [layer, pair]}}
    return layer


def doubled(depth):
    """The nest of names of `nested`."""
    form = {}
    for _ in range(depth):
        form = [form, [{}, {}]]
    return form


HOSTILE = {
    "another format": lambda d: d.update(format=1),
    "no format": lambda d: d.pop("format"),
    "a type that is not known": lambda d: d.update(network={"type": "os.system", "fields": {}}),
    "a loss that is a layer": lambda d: d.update(loss={"type": "ReLU.v1", "fields": {}}),
    "an optimizer that is a layer": lambda d: d.update(optimizer={"type": "ReLU.v1", "fields": {}}),
    "a network that is a loss": lambda d: d.update(network={"type": "Hinge.v1", "fields": {}}),
    "a network for other weights": lambda d: d["network"]["fields"]["layers"][0]["fields"].update(units=9),
    "metrics that are numbers": lambda d: d.update(metrics=[1]),
    "a dtype": lambda d: d.update(dtype="O"),
    "a seed": lambda d: d.update(seed=-1),
    "a step that is negative": lambda d: d.update(step=-1),
    "a step beyond counting": lambda d: d.update(step=10**400),
    "an epoch that is text": lambda d: d.update(epoch="3"),
    "an input of another shape": lambda d: d.update(input_shape=[5]),
    "an input that is huge": lambda d: d.update(input_shape=[2**40]),
    "an input that is negative": lambda d: d.update(input_shape=[-2]),
    "no names": lambda d: d.pop("forms"),
    "a name that is not there": lambda d: d["forms"]["params"][0].update(weight="params.9.weight"),
    "a tensor named twice": lambda d: d["forms"]["params"][0].update(bias="params.0.weight"),
    "a tensor named a thousand times": lambda d: d["forms"].update(more=["params.0.weight"] * 1000),
    "a name that is a number": lambda d: d["forms"]["params"][0].update(weight=3),
    "a tensor that nobody names": lambda d: d["forms"]["params"][0].pop("bias"),
    "slots of another form": lambda d: d["forms"].update(slots=d["forms"]["slots"][::-1]),
    "slots in each other's place": lambda d: d["forms"]["slots"][0].update(
        weight=d["forms"]["slots"][0]["bias"], bias=d["forms"]["slots"][0]["weight"]
    ),
    "history that is missing": lambda d: d.update(history=d["history"][1:]),
    "history that is named twice": lambda d: d.update(history=[*d["history"][1:], d["history"][1]]),
    "clipping by text": lambda d: d.update(clip=["1", None]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_description_raises_checkpoint_error(name, model, tmp_path):
    model.save(tmp_path / "the-file")
    rewritten(tmp_path / "the-file", HOSTILE[name])
    with pytest.raises(nn.CheckpointError, match="the-file"):
        nn.Model.load(tmp_path / "the-file", backend="numpy")


def test_a_history_that_is_not_a_list_is_refused(model, tmp_path):
    header, parts = model_file.described(model)
    table = {name: values[:, None] for name, values in parts["history"].items()}
    model_file.write(tmp_path / "m", header, {**parts, "history": table})
    with pytest.raises(nn.CheckpointError, match="history"):
        nn.Model.load(tmp_path / "m", backend="numpy")


def test_a_small_file_of_ever_wider_layers_is_refused(tmp_path):
    """Forty small layers, each twice as wide as the one before: a row through them would take terabytes."""
    model = nn.Model(nn.Sequential(nn.Dense(4)), backend="numpy").build((4,))
    model.save(tmp_path / "m")

    def change(description):
        description["network"]["fields"]["layers"].append(nested(40))
        description["forms"]["params"].append(doubled(40))
        description["forms"]["slots"].append(doubled(40))

    rewritten(tmp_path / "m", change)
    tracemalloc.start()
    with pytest.raises(nn.CheckpointError, match="more work"):
        nn.Model.load(tmp_path / "m", backend="numpy")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6


def test_a_tensor_of_nan_is_named(tmp_path):
    model = nn.Model(nn.Sequential(nn.Dense(1)), backend="numpy").build((1,))
    model.save(tmp_path / "m")
    data = bytearray((tmp_path / "m").read_bytes())
    data[-4:] = struct.pack("<f", np.nan)
    (tmp_path / "m").write_bytes(data)
    with pytest.raises(nn.CheckpointError, match=r"tensor '.*' holds numbers that are not finite"):
        nn.Model.load(tmp_path / "m")


def test_a_file_of_another_library_is_reported(tmp_path):
    (tmp_path / "m").write_bytes(safetensors.numpy.save({"w": np.zeros(2, np.float32)}))
    with pytest.raises(nn.CheckpointError, match="not a model of arraynn"):
        nn.Model.load(tmp_path / "m")


def test_loading_opens_no_other_file_and_starts_no_process(model, tmp_path):
    """Whatever the names in it: an audit hook sees every file that is opened, every import and every process."""
    path = tmp_path / "m"
    model.save(path)
    rewritten(path, lambda d: d["forms"]["params"][0].update(weight="../../../etc/passwd"))
    done = in_child(
        "nn.Model(nn.Sequential(nn.Dense(1)), backend='numpy').build((1,))",
        "try:\n    nn.Model.load(path, backend='numpy')\nexcept nn.CheckpointError:\n    pass",  # all is imported now
        "seen = []",
        "watched = 'open', 'import', 'exec', 'compile', 'os.', 'subprocess', 'socket', 'pickle', 'ctypes'",
        "sys.addaudithook(lambda e, a: seen.append((e, str(a)[:200])) if e.startswith(watched) else None)",
        "try:\n    nn.Model.load(path, backend='numpy')\nexcept nn.CheckpointError:\n    pass",
        "print(seen)",
    )(path)
    assert done.returncode == 0, done.stderr
    seen = eval(done.stdout)
    assert [event for event, _ in seen] == ["open"]
    assert str(path) in seen[0][1]


FOLDER = Path(tempfile.mkdtemp())
GOOD = {name: make(FOLDER) for name, (_, _, make, _) in READERS.items()}


@pytest.mark.filterwarnings("ignore")  # from NumPy, on what the hostile numbers do
@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_a_corrupted_file_is_read_or_refused(reader, seed):
    path = FOLDER / "file"
    path.write_bytes(changed(reader, GOOD[reader], random.Random(seed)))
    survives(reader, path)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(reader, data):
    (FOLDER / "file").write_bytes(data)
    survives(reader, FOLDER / "file")


@pytest.mark.parametrize("reader", READERS)
def test_a_file_truncated_at_any_byte_is_refused(reader):
    whole = GOOD[reader]
    for size in range(0, len(whole), max(1, len(whole) // 400)):
        (FOLDER / "file").write_bytes(whole[:size])
        assert not survives(reader, FOLDER / "file"), size


SERIES, IMAGE = (6, 4), (8, 7, 2)
LAYERS = [
    *((layer, SERIES) for layer in (nn.Conv1D(4, 3, padding="same"), nn.MaxPool1D(), nn.AveragePool1D(3, strides=1))),
    *((layer, IMAGE) for layer in (nn.Conv2D(4, (3, 2), strides=2, groups=2, dilation=2), nn.MaxPool2D((2, 3)))),
    *(
        (layer, IMAGE)
        for layer in (nn.AveragePool2D(3, padding=((1, 1), (0, 2))), nn.Permute((3, 1, 2)), nn.GroupNorm(2))
    ),
    *((layer, IMAGE) for layer in (nn.GlobalAveragePool(), nn.GlobalMaxPool(), nn.Reshape((-1, 4)), nn.Dense(3))),
    *((layer, SERIES) for layer in (nn.RMSNorm(), nn.PositionalEmbedding(9), nn.PositionalEmbedding(9, "sinusoidal"))),
    *((layer, SERIES) for layer in (nn.MultiHeadAttention(2, causal=True), nn.MultiHeadAttention(3, 2, value_units=5))),
    *((layer, SERIES) for layer in (nn.RNN(3), nn.LSTM(3, return_sequences=True), nn.GRU(3, reverse=True))),
    *((layer, SERIES) for layer in (nn.Bidirectional(nn.LSTM(3)), nn.Freeze(nn.Sequential(nn.GRU(3), nn.BatchNorm())))),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_a_model_of_every_kind_of_layer_is_saved_and_loaded(layer, shape, rng, tmp_path):
    model = nn.Model(nn.Sequential(layer, nn.Flatten(), nn.Dense(3)), backend="numpy").build(shape)
    x = rng.standard_normal((2, *shape))
    model.fit(x, [0, 2], epochs=1, verbose=0)
    model.save(tmp_path / "model.safetensors")
    loaded = nn.Model.load(tmp_path / "model.safetensors", backend="numpy")
    assert loaded.network == model.network
    assert np.array_equal(loaded(x), model(x))


def test_a_model_of_attention_between_two_inputs_is_saved_and_loaded(rng, tmp_path):
    model = nn.Model(nn.Sequential(nn.MultiHeadAttention(2), nn.Flatten(), nn.Dense(3)), backend="numpy")
    x = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 6)), np.ones((2, 5))
    model.fit(x, [0, 2], epochs=1, verbose=0)
    model.save(tmp_path / "model.safetensors")
    assert np.array_equal(nn.Model.load(tmp_path / "model.safetensors", backend="numpy")(x), model(x))


@pytest.mark.parametrize(
    "layer", [nn.MaxPool1D(10**6, padding=10**6 - 1), nn.Conv1D(1, 1, padding=10**7), nn.PositionalEmbedding(10**8)]
)
def test_work_out_of_proportion_to_the_file_size_is_refused(layer, tmp_path):
    # of a small file, a window or a padding as large as the memory
    model = nn.Model(nn.Sequential(nn.Conv1D(1, 1), nn.GlobalMaxPool(), nn.Dense(2)), backend="numpy").build((3, 1))
    model.save(tmp_path / "model.safetensors")
    network, params = nn.Sequential(layer, *model.network.layers), [{}, *model.params]
    if isinstance(layer, nn.Conv1D):
        params[0] = model.params[0]
    with pytest.raises(nn.ShapeError, match=r"more work than is allowed for a file of this size|has weights of shapes"):
        model_file._check_work(network, params, (3, 1))

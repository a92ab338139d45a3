"""The TensorBoard callback, read back from the file that it writes."""

from __future__ import annotations

import struct

import pytest

import arraynn as nn
from arraynn import interop

pytest.importorskip("tensorboardX")


def scalars(folder):
    """(tag, step, value) of every scalar in the folder's event file: TFRecord's frames around Event messages."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in folder.glob("events.*"):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + size])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            at += 16 + size
    return found


def test_the_logs_of_each_epoch_are_written(tmp_path):
    x, y = nn.datasets.spiral(20, 3)
    model = nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy")
    history = model.fit(
        x, y, epochs=4, validation_data=(x, y), validation_freq=2, callbacks=[interop.TensorBoard(tmp_path)], verbose=0
    )
    found = scalars(tmp_path)
    assert [step for tag, step, _ in found if tag == "loss/training"] == [0, 1, 2, 3]
    assert [step for tag, step, _ in found if tag == "loss/validation"] == [1, 3]
    assert [value for tag, _, value in found if tag == "accuracy/training"] == pytest.approx(history["accuracy"])


def test_a_resumed_run_removes_events_after_its_checkpoint(tmp_path):
    x, y = nn.datasets.spiral(20, 3)
    path = tmp_path / "run"

    def fit(epochs, resume=None):
        model = nn.Model(nn.Sequential(nn.Dense(3)), backend="numpy")
        watchers = [nn.Checkpoint(path), interop.TensorBoard(tmp_path / "board")]
        model.fit(x, y, epochs=epochs, callbacks=watchers, verbose=0, resume=resume)

    fit(2)
    fit(3, resume=path)
    assert sorted(step for tag, step, _ in scalars(tmp_path / "board") if tag == "loss/training") == [0, 1, 2]

"""A training run that tests start as a process, alone or as one of several workers. Not a test by itself.

ENGINE FAULT CHECKPOINT: none, mpi or torch; what befalls the last worker in step 23, or "apart", where nothing does and
each worker is given its own rows only; the file to go on from.
Prints, for each worker, a hash of weights, slots and history.
"""

import hashlib
import os
import signal
import sys
from functools import partial

import numpy as np

import arraynn as nn
from arraynn import tree

EPOCHS = 6
NETWORK = nn.Sequential(
    nn.Dense(32, weight_regularizer=nn.L2(1e-3)), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2), nn.Dense(4)
)


class Fault(nn.Callback):
    """In step 23, on the last worker."""

    every_epoch = False

    def __init__(self, kind, group):
        self.kind, self.group = kind, group

    def on_batch_end(self, model):
        if model.step != 23 or self.group.rank != self.group.size - 1:
            return None
        if self.kind in ("SIGKILL", "SIGTERM", "SIGINT"):
            os.kill(os.getpid(), getattr(signal, self.kind))
        if self.kind == "raise":
            raise ValueError("a fault of one worker")
        if self.kind == "diverge":
            model.params[0]["weight"][...] = np.nan
        return self.kind == "stop"


def data(rows=205):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 20)).astype("float32")
    return x, x[:, :4].argmax(axis=1), rng.uniform(0.5, 1.5, size=rows)


def bits(model, history):
    """A hash of all that training has made."""
    found = hashlib.sha256()
    for leaf in tree.leaves([model.params, model.state["slots"]]):
        found.update(np.ascontiguousarray(leaf).tobytes())
    found.update(repr(history).encode())
    return found.hexdigest()[:12]


def apart(group, array):
    """This worker's rows of the array."""
    mine = group.rows(len(array))
    return nn.Shard(array[mine], mine.start, len(array))


def train(workers=None, shards=None, callbacks=(), resume=None, epochs=EPOCHS, give=lambda array: array):
    """Dropout, batch norm, a penalty, clipping, weights of rows and classes, validation, a last batch of 4 rows."""
    x, y, weight = map(give, data())
    rule = nn.Adam(nn.InverseTimeDecay(0.01, decay=0.01))
    model = nn.Model(NETWORK, optimizer=rule, seed=3, backend="numpy", clip_norm=0.5)
    history = model.fit(
        *(x, y),
        epochs=epochs,
        batch_size=40,
        validation_split=0.2,
        sample_weight=weight,
        class_weight={1: 2.0},
        callbacks=[nn.EarlyStopping(patience=50), *callbacks],
        workers=workers,
        shards=shards,
        resume=resume,
        verbose=0,
    )
    return model, history


def main(engine, fault, path):
    group = nn.workers(None if engine == "none" else engine)
    give = {"give": partial(apart, group)} if fault == "apart" else {}
    model, history = train(group, 8, [Fault(fault, group), nn.Checkpoint(path, every=4)], path, **give)
    everyone = group.gather(bits(model, history))
    if group.rank == 0:
        print(*everyone, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

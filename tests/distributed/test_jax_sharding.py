"""JAX shares a batch out to its devices by itself: arraynn's step as it is, on four faked ones, beside one."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = '''
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import arraynn as nn

rng = np.random.default_rng(0)
x = rng.normal(size=(2048, 16)).astype("float32")
y = x[:, :4].argmax(axis=1).astype("int32")
network = nn.Sequential(nn.Dense(64), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2), nn.Dense(4))
start, _ = network.init(np.random.default_rng(1), (16,))
rule = nn.Adam(1e-3)


def train(rows, whole):
    """rows, whole: where a batch goes, and where weights go."""
    params = nn.tree.map(lambda leaf: jax.device_put(jnp.asarray(leaf), whole), start)
    state = rule.init(params)
    state["slots"] = nn.tree.map(lambda leaf: jax.device_put(leaf, whole), state["slots"])
    step = nn.make_train_step(network, nn.softmax_cross_entropy, rule, clip_norm=1.0)
    losses = []
    for first in range(0, 2048, 256):
        batch = jax.device_put(x[first : first + 256], rows), jax.device_put(y[first : first + 256], rows), None
        params, state, logs = step(params, state, batch, nn.Key(7))
        losses.append(float(logs["data_loss"]))
    return losses, params


devices = jax.devices()
mesh = Mesh(np.array(devices), ("data",))
one = train(devices[0], devices[0])[0]
four, params = train(NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec()))
where = {len(leaf.sharding.device_set) for leaf in nn.tree.leaves(params)}
print(json.dumps({"devices": len(devices), "one": one, "four": four, "where": sorted(where)}))
'''


@pytest.mark.skipif(not find_spec("jax"), reason='no JAX: pip install "arraynn[jax]"')
def test_four_devices_have_the_losses_of_one():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["devices"], found["where"]) == (4, [4])
    assert found["four"] == pytest.approx(found["one"], rel=1e-4)
    assert found["one"][-1] < found["one"][0]

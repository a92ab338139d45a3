"""JAX compiles a training step once, and gives nests back as it got them."""

from dataclasses import replace

import pytest

import arraynn as nn

jax = pytest.importorskip("jax", reason='pip install "arraynn[jax]"')


@pytest.fixture
def compilations():
    """How many programs XLA has compiled since the fixture was asked for."""
    import jax.monitoring

    counted = []

    def note(event, duration, **more):
        if "backend_compile" in event:
            counted.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield counted
    jax.monitoring.unregister_event_duration_listener(note)


def model(batch_norm=False):
    x, labels = nn.datasets.spiral(60, 3)
    middle = [nn.BatchNorm()] if batch_norm else []
    network = nn.Sequential(nn.Dense(8), *middle, nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
    optimizer = nn.Adam(nn.InverseTimeDecay(0.05, 1e-3))
    return nn.Model(network, optimizer=optimizer, backend="jax"), x, labels


def test_later_steps_and_other_learning_rates_compile_nothing(compilations):
    trained, x, labels = model()
    trained.fit(x, labels, epochs=2, batch_size=60, verbose=0)
    assert compilations
    compilations.clear()
    trained.fit(x, labels, epochs=3, batch_size=60, verbose=0)
    trained.optimizer = replace(trained.optimizer, learning_rate=0.001)
    trained.fit(x, labels, epochs=2, batch_size=60, verbose=0)
    assert compilations == []


def test_nests_keep_the_order_of_their_keys():
    trained, x, labels = model(batch_norm=True)
    trained.build((2,))
    paths = nn.tree.paths([trained.params, trained.state["slots"]])
    trained.fit(x, labels, epochs=1, batch_size=60, verbose=0)
    assert nn.tree.paths([trained.params, trained.state["slots"]]) == paths

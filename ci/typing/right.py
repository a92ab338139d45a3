"""A user's project, as a type checker must accept it: ci/types."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import arraynn as nn

x, labels = nn.datasets.spiral(samples=20, classes=3)
network = nn.Sequential(nn.Dense(64, weight_regularizer=nn.L2(5e-4)), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
first = network[0]
rest: nn.Sequential = network[1:]
schedule = nn.InverseTimeDecay(0.05, decay=5e-5)

model = nn.Model(network, nn.softmax_cross_entropy, nn.Adam(learning_rate=schedule), seed=0)
named = nn.Model(network, "softmax_cross_entropy", "adam", metrics=["accuracy", nn.metrics.F1("macro")])
history: dict[str, list[float]] = model.fit(x, labels, epochs=2, callbacks=nn.EarlyStopping("loss"))
share = float((model.predict(x) == labels).mean())
loaded: nn.Model = nn.Model.load("model.safetensors")

y, backward = nn.relu(x)
dx = backward(np.ones_like(x))
loss, loss_backward = nn.softmax_cross_entropy(y, labels)

step = nn.make_train_step(network, nn.mean_squared_error, nn.SGD(0.1), clip_norm=1.0)
params, output_shape = network.init(np.random.default_rng(0), (2,))
params, state, logs = step(params, nn.SGD(0.1).init(params), (x, x, None), nn.Key(0))


@dataclass(frozen=True)
class Scale(nn.Layer):
    factor: float = 2.0

    def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
        return x * self.factor, lambda dy, need_dx=True: (dy * self.factor, {})


own = nn.Sequential(Scale(), nn.Dense(3), Scale(factor=3.0))

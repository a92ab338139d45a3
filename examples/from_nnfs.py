"""From "Neural Networks from Scratch in Python" to arraynn: the book's calls, arraynn's calls, equal numbers.

The classes here have the book's names and calls, written anew from its formulas, as little of them as the comparison
needs. What differs by design: arraynn hangs nothing on its objects (no .output, no .dinputs, no .weights). A forward
returns its value and its backward, and parameters live in a plain nest beside the layers.
"""

# ruff: noqa: N801 - the book's names

# %%
import numpy as np

import arraynn as nn


def beside(what, book, ours):
    """One line: equal or not."""
    print(f"{what}: {'equal' if np.allclose(book, ours, rtol=1e-7, atol=1e-12) else 'DIFFERENT'}")


# %% The book's side.
class Layer_Dense:
    def __init__(self, n_inputs, n_neurons, rng, weight_regularizer_l2=0.0):
        self.weights, self.biases = 0.01 * rng.randn(n_inputs, n_neurons), np.zeros((1, n_neurons))
        self.weight_regularizer_l2 = weight_regularizer_l2

    def forward(self, inputs, training=True):
        self.inputs, self.output = inputs, inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues + 2 * self.weight_regularizer_l2 * self.weights
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class Activation_ReLU:
    def forward(self, inputs, training=True):
        self.inputs, self.output = inputs, np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = np.where(self.inputs > 0, dvalues, 0)


class Activation_Softmax:
    def forward(self, inputs, training=True):
        e = np.exp(inputs - inputs.max(axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)


class Loss_CategoricalCrossentropy:
    def calculate(self, output, y):
        p = np.clip(output, 1e-7, 1 - 1e-7)
        return np.mean(-np.log(p[np.arange(len(y)), y]))

    def backward(self, dvalues, y):
        self.dinputs = -np.eye(dvalues.shape[1])[y] / dvalues / len(y)


class Activation_Softmax_Loss_CategoricalCrossentropy:
    def backward(self, dvalues, y):
        self.dinputs = (dvalues - np.eye(dvalues.shape[1])[y]) / len(y)


class Optimizer_Adam:
    def __init__(self, learning_rate=0.001, decay=0.0, epsilon=1e-7, beta_1=0.9, beta_2=0.999):
        self.learning_rate, self.decay, self.epsilon = learning_rate, decay, epsilon
        self.beta_1, self.beta_2, self.iterations, self.moments = beta_1, beta_2, 0, {}

    def pre_update_params(self):
        self.current_learning_rate = self.learning_rate / (1 + self.decay * self.iterations)

    def update_params(self, layer):
        for name in ("weights", "biases"):
            parameter, gradient = getattr(layer, name), getattr(layer, f"d{name}")
            m, v = self.moments.get((id(layer), name), (0.0, 0.0))
            m = self.beta_1 * m + (1 - self.beta_1) * gradient
            v = self.beta_2 * v + (1 - self.beta_2) * gradient**2
            self.moments[id(layer), name] = m, v
            m_hat = m / (1 - self.beta_1 ** (self.iterations + 1))
            v_hat = v / (1 - self.beta_2 ** (self.iterations + 1))
            setattr(layer, name, parameter - self.current_learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon))

    def post_update_params(self):
        self.iterations += 1


class Model:
    def __init__(self):
        self.layers = []

    def add(self, layer):
        self.layers.append(layer)

    def set(self, *, loss, optimizer):
        self.loss, self.optimizer = loss, optimizer

    def finalize(self):
        self.trainable = [layer for layer in self.layers if hasattr(layer, "weights")]

    def train(self, X, y, *, epochs):
        self.losses = []
        for _ in range(epochs):
            output = X
            for layer in self.layers:
                layer.forward(output)
                output = layer.output
            penalty = sum(layer.weight_regularizer_l2 * np.sum(layer.weights**2) for layer in self.trainable)
            self.losses.append(self.loss.calculate(output, y) + penalty)
            combined = Activation_Softmax_Loss_CategoricalCrossentropy()
            combined.backward(output, y)
            gradient = combined.dinputs
            for layer in reversed(self.layers[:-1]):
                layer.backward(gradient)
                gradient = layer.dinputs
            self.optimizer.pre_update_params()
            for layer in self.trainable:
                self.optimizer.update_params(layer)
            self.optimizer.post_update_params()


# %% Data. nnfs.init() sets RandomState(0) for all; here the generator is passed by hand.
X, y = nn.datasets.spiral(samples=100, classes=3, seed=np.random.RandomState(0), dtype="float64")  # spiral_data(100, 3)

# %% Layers, forward and backward.
dense1, activation1, softmax = Layer_Dense(2, 3, np.random.RandomState(1)), Activation_ReLU(), Activation_Softmax()
dense1.forward(X)  # dense1.output
activation1.forward(dense1.output)  # activation1.output
softmax.forward(activation1.output)  # softmax.output
loss_function = Loss_CategoricalCrossentropy()
loss = loss_function.calculate(softmax.output, y)

w, b = dense1.weights, dense1.biases[0]  # arraynn's biases are (n_out,), the book's (1, n_out)
z, dense_backward = nn.dense(X, w, b)
a, relu_backward = nn.relu(z)
p, softmax_backward = nn.softmax(a)
our_loss, loss_backward = nn.cross_entropy(p, y)

beside("Layer_Dense.forward(X)            | nn.dense(x, w, b)", dense1.output, z)
beside("Activation_ReLU.forward           | nn.relu(z)", activation1.output, a)
beside("Activation_Softmax.forward        | nn.softmax(a)", softmax.output, p)
beside("Loss_Categorical….calculate(p, y) | nn.cross_entropy(p, y)", loss, our_loss)
# > Layer_Dense.forward(X)            | nn.dense(x, w, b): equal
# > Activation_ReLU.forward           | nn.relu(z): equal
# > Activation_Softmax.forward        | nn.softmax(a): equal
# > Loss_Categorical….calculate(p, y) | nn.cross_entropy(p, y): equal

loss_function.backward(softmax.output, y)  # loss_function.dinputs
combined = Activation_Softmax_Loss_CategoricalCrossentropy()
combined.backward(softmax.output, y)  # combined.dinputs
activation1.backward(combined.dinputs)
dense1.backward(activation1.dinputs)
dx, dw, db = dense_backward(relu_backward(softmax_backward(loss_backward())))

beside("loss.backward; loss.dinputs       | loss_backward()", loss_function.dinputs, loss_backward())
beside(
    "Softmax_Loss….backward            | nn.softmax_cross_entropy(a, y)[1]()",
    combined.dinputs,
    nn.softmax_cross_entropy(a, y)[1](),
)
beside("dense1.backward; dense1.dweights  | dx, dw, db = dense_backward(dz)", dense1.dweights, dw)
beside("dense1.dbiases                    | db", dense1.dbiases[0], db)
beside("dense1.dinputs                    | dx", dense1.dinputs, dx)
# > dense1.backward; dense1.dweights  | dx, dw, db = dense_backward(dz): equal

# %% The whole model: the book's, in the order of its calls.
rng = np.random.RandomState(2)
book = Model()
book.add(Layer_Dense(2, 64, rng, weight_regularizer_l2=5e-4))
book.add(Activation_ReLU())
book.add(Layer_Dense(64, 3, rng))
book.add(Activation_Softmax())
book.set(loss=Loss_CategoricalCrossentropy(), optimizer=Optimizer_Adam(learning_rate=0.02, decay=1e-5))
book.finalize()
book.train(X, y, epochs=100)

# %% … and arraynn's. No finalize: shapes are known when the data are. No softmax at the end: the loss takes logits.
small = nn.initializers.normal(0.01)
network = nn.Sequential(
    nn.Dense(64, weight_initializer=small, weight_regularizer=nn.L2(5e-4)),
    nn.ReLU(),
    nn.Dense(3, weight_initializer=small),
)
model = nn.Model(
    network,
    loss=nn.softmax_cross_entropy,
    optimizer=nn.Adam(learning_rate=nn.InverseTimeDecay(0.02, decay=1e-5), epsilon=1e-7),
    backend="numpy",
    dtype="float64",
    seed=np.random.RandomState(2),
)
history = model.fit(X, y, epochs=100, batch_size=None, verbose=0)

beside("Model.train, 100 losses           | model.fit, history['loss']", book.losses, history["loss"])
beside(
    "dense1.weights                    | model.params[0]['weight']", book.layers[0].weights, model.params[0]["weight"]
)
print(f"loss {book.losses[0]:.3f} -> {book.losses[-1]:.3f} and {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f}")
# > Model.train, 100 losses           | model.fit, history['loss']: equal

# %% Where the two differ, and why, is said in the docstring of each block: mean absolute error (the book's gradient has
# the wrong sign), L1 at 0 (the book's slope is +1), Adam's epsilon (1e-7 there, the paper's 1e-8 here), and dropout's
# masks (NumPy's stream there; here a counter, so that every backend drops the same neurons).

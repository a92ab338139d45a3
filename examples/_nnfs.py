"""What from_nnfs.py compares with: classes with the names and calls of "Neural Networks from Scratch in Python".

Written anew from the book's formulas, as little of them as the comparison needs. They keep values on themselves, as the
book's do: a layer's .output, .dinputs, .weights, .dweights.
"""

# ruff: noqa: N801 - the book's names

import numpy as np


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


class Activation_Sigmoid:
    def forward(self, inputs, training=True):
        self.output = 1 / (1 + np.exp(-inputs))

    def backward(self, dvalues):
        self.dinputs = dvalues * self.output * (1 - self.output)


class Loss_BinaryCrossentropy:
    def calculate(self, output, y):
        p = np.clip(output, 1e-7, 1 - 1e-7)
        return np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)))

    def backward(self, dvalues, y):
        self.dinputs = ((1 - y) / (1 - dvalues) - y / dvalues) / dvalues.size


class Loss_MeanSquaredError:
    def calculate(self, output, y):
        return np.mean((y - output) ** 2)

    def backward(self, dvalues, y):
        self.dinputs = -2 * (y - dvalues) / dvalues.size


class Optimizer_SGD:
    def __init__(self, learning_rate=1.0, momentum=0.0):
        self.learning_rate, self.momentum, self.momentums = learning_rate, momentum, 0.0

    def update_params(self, layer):
        self.momentums = self.momentum * self.momentums - self.learning_rate * layer.dweights
        layer.weights = layer.weights + self.momentums


class Optimizer_Adagrad:
    def __init__(self, learning_rate=1.0, epsilon=1e-7):
        self.learning_rate, self.epsilon, self.cache = learning_rate, epsilon, 0.0

    def update_params(self, layer):
        self.cache = self.cache + layer.dweights**2
        layer.weights = layer.weights - self.learning_rate * layer.dweights / (np.sqrt(self.cache) + self.epsilon)


class Optimizer_RMSprop:
    def __init__(self, learning_rate=0.001, epsilon=1e-7, rho=0.9):
        self.learning_rate, self.epsilon, self.rho, self.cache = learning_rate, epsilon, rho, 0.0

    def update_params(self, layer):
        self.cache = self.rho * self.cache + (1 - self.rho) * layer.dweights**2
        layer.weights = layer.weights - self.learning_rate * layer.dweights / (np.sqrt(self.cache) + self.epsilon)


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

    def predict(self, X):
        for layer in self.layers:
            layer.forward(X, training=False)
            X = layer.output
        return X

    def evaluate(self, X, y):
        output = self.predict(X)
        return self.loss.calculate(output, y), np.mean(np.argmax(output, axis=1) == y)

    def train(self, X, y, *, epochs):
        self.losses = []
        for _ in range(epochs):
            output = self.predict(X)  # nothing here tells training from inference; dropout would
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

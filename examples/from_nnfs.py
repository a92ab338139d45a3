"""From "Neural Networks from Scratch in Python" to arraynn: the book's calls, arraynn's calls, equal numbers.

The book's side stands in _nnfs.py. What differs by design: arraynn hangs nothing on its objects (no .output, no
.dinputs, no .weights). A forward returns its value and its backward, and parameters live in a plain nest beside the
layers.
"""

# %%
import numpy as np
from _nnfs import (
    Activation_ReLU,
    Activation_Sigmoid,
    Activation_Softmax,
    Activation_Softmax_Loss_CategoricalCrossentropy,
    Layer_Dense,
    Loss_BinaryCrossentropy,
    Loss_CategoricalCrossentropy,
    Loss_MeanSquaredError,
    Model,
    Optimizer_Adagrad,
    Optimizer_Adam,
    Optimizer_RMSprop,
    Optimizer_SGD,
)

import arraynn as nn


def beside(what, book, ours):
    """One line: equal or not."""
    print(f"{what}: {'equal' if np.allclose(book, ours, rtol=1e-7, atol=1e-12) else 'DIFFERENT'}")


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
# > loss.backward; loss.dinputs       | loss_backward(): equal
# > Softmax_Loss….backward            | nn.softmax_cross_entropy(a, y)[1](): equal
# > dense1.backward; dense1.dweights  | dx, dw, db = dense_backward(dz): equal
# > dense1.dbiases                    | db: equal
# > dense1.dinputs                    | dx: equal

# %% The other outputs: two classes by a sigmoid, numbers as they are.
z = np.random.RandomState(3).randn(5, 1)
t = np.asarray([[0], [1], [1], [0], [1]], dtype="float64")
sigmoid, binary, squared = Activation_Sigmoid(), Loss_BinaryCrossentropy(), Loss_MeanSquaredError()
sigmoid.forward(z)
binary.backward(sigmoid.output, t)
sigmoid.backward(binary.dinputs)
squared.backward(z, t)
p, sigmoid_backward = nn.sigmoid(z)
our_loss, loss_backward = nn.binary_cross_entropy(p, t)
our_error, error_backward = nn.mean_squared_error(z, t)

beside("Activation_Sigmoid.forward        | nn.sigmoid(z)", sigmoid.output, p)
beside("Loss_Binary….calculate(p, t)      | nn.binary_cross_entropy(p, t)", binary.calculate(p, t), our_loss)
beside("sigmoid.dinputs                   | sigmoid_backward(dp)", sigmoid.dinputs, sigmoid_backward(loss_backward()))
beside(
    "… both in one step                | nn.sigmoid_cross_entropy(z, t)", our_loss, nn.sigmoid_cross_entropy(z, t)[0]
)
beside("Loss_MeanSquared….calculate(z, t) | nn.mean_squared_error(z, t)", squared.calculate(z, t), our_error)
beside("Loss_MeanSquared….dinputs         | error_backward()", squared.dinputs, error_backward())
# > Activation_Sigmoid.forward        | nn.sigmoid(z): equal
# > Loss_Binary….calculate(p, t)      | nn.binary_cross_entropy(p, t): equal
# > sigmoid.dinputs                   | sigmoid_backward(dp): equal
# > … both in one step                | nn.sigmoid_cross_entropy(z, t): equal
# > Loss_MeanSquared….calculate(z, t) | nn.mean_squared_error(z, t): equal
# > Loss_MeanSquared….dinputs         | error_backward(): equal

# %% The optimizers: five steps with the gradient that dense1 has. The book's update a layer, arraynn's a nest.
for said, theirs, ours in (
    ("Optimizer_SGD(.5, momentum=.9)    | nn.SGD(.5, .9)", Optimizer_SGD(0.5, 0.9), nn.SGD(0.5, 0.9)),
    ("Optimizer_Adagrad(.5)             | nn.Adagrad(.5)", Optimizer_Adagrad(0.5), nn.Adagrad(0.5)),
    (
        "Optimizer_RMSprop(.02, rho=.99)   | nn.RMSProp(.02, .99)",
        Optimizer_RMSprop(0.02, rho=0.99),
        nn.RMSProp(0.02, 0.99),
    ),
):
    params = {"w": dense1.weights.copy()}  # update writes into what it is given
    state = ours.init(params)
    for _ in range(5):
        theirs.update_params(dense1)
        params, state = ours.update(params, {"w": dense1.dweights}, state)
    beside(said, dense1.weights, params["w"])
# > Optimizer_SGD(.5, momentum=.9)    | nn.SGD(.5, .9): equal
# > Optimizer_Adagrad(.5)             | nn.Adagrad(.5): equal
# > Optimizer_RMSprop(.02, rho=.99)   | nn.RMSProp(.02, .99): equal

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
fresh, fresh_y = nn.datasets.spiral(samples=50, classes=3, seed=np.random.RandomState(4), dtype="float64")
ours = model.evaluate(fresh, fresh_y)
beside(
    "Model.evaluate(X, y)              | model.evaluate(x, y)",
    book.evaluate(fresh, fresh_y),
    (ours["loss"], ours["accuracy"]),
)
beside("Model.predict(X)                  | model.predict_proba(x)", book.predict(fresh), model.predict_proba(fresh))
beside(
    "np.argmax(…, axis=1)              | model.predict(x)", np.argmax(book.predict(fresh), axis=1), model.predict(fresh)
)
print(f"loss {book.losses[0]:.3f} -> {book.losses[-1]:.3f} and {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f}")
# > Model.train, 100 losses           | model.fit, history['loss']: equal
# > dense1.weights                    | model.params[0]['weight']: equal
# > Model.evaluate(X, y)              | model.evaluate(x, y): equal
# > Model.predict(X)                  | model.predict_proba(x): equal
# > np.argmax(…, axis=1)              | model.predict(x): equal

# %% Where the two differ, and why, is said in the docstring of each block: mean absolute error (the book's gradient has
# the wrong sign), L1 at 0 (the book's slope is +1), Adam's epsilon (1e-7 there, the paper's 1e-8 here), and dropout's
# masks (NumPy's stream there; here a counter, so that every backend drops the same neurons).

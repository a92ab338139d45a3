"""Blocks inside PyTorch's autograd, and its modules as networks."""

from __future__ import annotations

import numpy as np
import pytest

import arraynn as nn
from arraynn import interop, layers, tree

torch = pytest.importorskip("torch")

ACTIVATIONS = [
    *(nn.relu, nn.sigmoid, nn.tanh, nn.softmax, layers.elu, layers.selu, layers.gelu, layers.silu, layers.softplus),
    *(layers.leaky_relu, layers.hard_sigmoid, layers.flatten, layers.identity),
]


def numbers(rng, *shape):
    return torch.tensor(rng.standard_normal(shape), requires_grad=True)


@pytest.mark.parametrize("block", ACTIVATIONS, ids=lambda block: block.__name__)
def test_activations_pass_gradcheck(block, rng):
    assert torch.autograd.gradcheck(interop.as_torch(block), (numbers(rng, 4, 3),))


def test_dense_passes_gradcheck_in_all_three_arguments(rng):
    assert torch.autograd.gradcheck(
        interop.as_torch(nn.dense), (numbers(rng, 4, 3), numbers(rng, 3, 2), numbers(rng, 2))
    )


def test_a_loss_passes_gradcheck_and_its_labels_have_no_gradient(rng):
    labels = torch.tensor([0, 2, 1, 1])
    loss = interop.as_torch(nn.softmax_cross_entropy)
    assert torch.autograd.gradcheck(lambda z: loss(z, labels, label_smoothing=0.1), (numbers(rng, 4, 3),))


def test_hyperparameters_and_keys_pass_through(rng):
    x = numbers(rng, 4, 6)
    y = interop.as_torch(nn.dropout)(x, 0.5, nn.Key(3))
    y.sum().backward()
    assert torch.equal(y.detach() == 0, x.grad == 0)
    assert set(x.grad.unique().tolist()) == {0.0, 2.0}


def test_a_whole_network_is_a_function_of_its_params(rng):
    network = nn.Sequential(nn.Dense(5), nn.Tanh(), layers.LayerNorm(), nn.Dense(2))
    params = nn.put(network.init(rng, (3,), "float64")[0], like=torch.zeros(1, dtype=torch.float64))
    leaves = [leaf.requires_grad_() for leaf in tree.leaves(params)]
    function = interop.as_torch(network)

    def of_leaves(x, *given):
        rest = iter(given)
        return function(tree.map(lambda _: next(rest), params), x)

    assert torch.autograd.gradcheck(of_leaves, (numbers(rng, 4, 3), *leaves))


def test_writing_into_the_output_of_a_block_is_refused(rng):
    """tanh's backward reads its y: written over, it would give other gradients."""
    y = interop.as_torch(nn.tanh)(numbers(rng, 3))
    with pytest.raises(RuntimeError, match="modified inplace"):
        y += 1


def test_the_gradient_by_the_input_is_computed_only_on_demand():
    asked = []

    def block(x, w):
        def backward(dy, need_dx=True):
            asked.append(need_dx)
            return None if not need_dx else dy * w, (dy * x).sum()

        return x * w, backward

    w = torch.tensor(2.0, requires_grad=True)
    interop.as_torch(block)(torch.ones(3), w).sum().backward()
    assert asked == [False]
    assert w.grad == 3


def test_batch_norm_statistics_get_no_gradient(rng):
    layer = nn.BatchNorm()
    params = nn.put(layer.init(rng, (3,), "float64")[0], like=torch.zeros(1, dtype=torch.float64))
    for leaf in tree.leaves(params):
        leaf.requires_grad_()
    interop.as_torch(layer)(params, numbers(rng, 4, 3), nn.Key(0)).pow(2).sum().backward()
    assert params["scale"].grad is not None
    assert params["statistics"]["mean"].grad is None


# ---------------------------------------------------------------- modules


def modules():
    m = torch.nn
    return m.Sequential(
        m.Linear(6, 8),
        m.BatchNorm1d(8),
        m.Sequential(m.LeakyReLU(0.2), m.ELU(), m.SELU(), m.SiLU(), m.GELU(approximate="tanh")),
        m.LayerNorm(8),
        *(m.ReLU(), m.Softplus(), m.Hardsigmoid(), m.Tanh(), m.Sigmoid(), m.Dropout(0.3), m.Identity(), m.Flatten()),
        m.Linear(8, 3),
        m.Softmax(dim=-1),
    )


def test_a_module_and_the_network_made_of_it_agree(rng):
    torch.manual_seed(0)
    module = modules().train()
    module(torch.randn(16, 6))  # moves the running statistics
    module.eval()
    network, params = interop.from_torch(module)
    x = rng.standard_normal((5, 6)).astype(np.float32)
    host = tree.map(lambda leaf: leaf.numpy(), params)
    expected = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(network(host, x)[0], expected, rtol=1e-5, atol=1e-6)


def test_to_torch_and_back_gives_the_same_network_and_weights():
    network, params = interop.from_torch(modules())
    again, back = interop.from_torch(interop.to_torch(network, params))
    assert again == network
    for one, other in zip(tree.leaves(params), tree.leaves(back), strict=True):
        assert torch.equal(one, other)


def test_an_embedding_converts_both_ways(rng):
    network = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Dense(2))
    params, _ = network.init(rng, (3,))
    module = interop.to_torch(network, params)
    words = rng.integers(0, 7, (5, 3))
    np.testing.assert_allclose(module(torch.from_numpy(words)).detach().numpy(), network(params, words)[0], rtol=1e-5)


def test_converted_weights_are_a_copy():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    _, params = interop.from_torch(module)
    params[0]["bias"] += 1
    assert not torch.equal(params[0]["bias"], module[0].bias)


def test_a_model_predicts_with_the_converted_weights(rng):
    module = torch.nn.Sequential(torch.nn.Linear(4, 3))
    network, params = interop.from_torch(module)
    model = nn.Model(network, backend="numpy").build((4,))
    model.params = params
    x = rng.standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_allclose(model(x), module(torch.from_numpy(x)).detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "Conv1d(1, 1, 1, bias=False)",
        "AvgPool2d(2, padding=1)",
        "GroupNorm(1, 2)",
        "GELU()",
        "Linear(2, 2, bias=False)",
        "Softmax(dim=0)",
    ],
)
def test_a_module_without_a_counterpart_is_named(name):
    module = eval(f"torch.nn.{name}", {"torch": torch})
    with pytest.raises(ValueError, match=name.partition("(")[0]):
        interop.from_torch(torch.nn.Sequential(module))


def test_a_subclass_with_its_own_forward_is_refused():
    class Doubled(torch.nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(ValueError, match="Doubled"):
        interop.from_torch(torch.nn.Sequential(torch.nn.Linear(2, 2), Doubled(torch.nn.ReLU())))


class Bent(layers.Activation):
    """A layer of one's own."""

    def function(self, x):
        return x * abs(x), lambda dy: 2 * dy * abs(x)


def test_a_layer_without_a_counterpart_is_named(rng):
    with pytest.raises(ValueError, match=r"no module equal to .*Bent"):
        interop.to_torch(nn.Sequential(nn.Residual(Bent())), [[{}]])


def test_batch_norm_after_a_conv1d_normalizes_channels(rng):
    """As many places as channels: taken over as one of the last axis, it would normalize the places."""
    torch.manual_seed(0)
    m = torch.nn
    module = m.Sequential(m.Conv1d(2, 4, 2), m.BatchNorm1d(4), m.ReLU(), m.GroupNorm(2, 4)).double()
    module(torch.randn(16, 2, 5, dtype=torch.float64))  # moves the running statistics
    network, params = interop.from_torch(module)
    agrees(module, network, params, rng.standard_normal((3, 2, 5)))


def test_adaptive_pooling_to_one_position_is_global_pooling(rng):
    m = torch.nn
    module = m.Sequential(m.Conv2d(2, 4, 3), m.AdaptiveAvgPool2d(1), m.Flatten(), m.GroupNorm(2, 4), m.Linear(4, 3))
    network, params = interop.from_torch(module.double())
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Permute", "Conv2D", "GlobalAveragePool", "GroupNorm", "Dense"]
    agrees(module, network, params, rng.standard_normal((3, 2, 6, 5)))
    alone, none = interop.from_torch(m.AdaptiveMaxPool1d(1))
    agrees(m.AdaptiveMaxPool1d(1), alone, none, rng.standard_normal((3, 2, 6)))


def test_pooling_needs_the_number_of_axes(rng):
    network = nn.Sequential(nn.GlobalAveragePool())
    with pytest.raises(ValueError, match="give input_shape, the shape of a row of x"):
        interop.to_torch(network, [{}])
    assert interop.to_torch(network, [{}], (6, 5, 2))(torch.zeros(3, 6, 5, 2)).shape == (3, 2)


def test_a_fully_masked_query_gives_the_bias(rng):
    layer = nn.MultiHeadAttention(2)
    params, _ = layer.init(rng, (3, 4), "float64")
    x, mask = rng.standard_normal((2, 3, 4)), np.asarray([[0, 0, 0], [1, 0, 1]])
    module = interop.to_torch(nn.Sequential(layer), [params])
    y = module((torch.tensor(x), torch.tensor(mask))).detach().numpy()
    np.testing.assert_allclose(y, layer(params, (x, mask))[0], rtol=1e-10, atol=1e-12)


def test_frozen_layers_stay_in_inference_and_are_not_trained(rng):
    network = nn.Sequential(nn.Freeze(nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dropout(0.5))), nn.Dense(2))
    params, _ = network.init(rng, (3,), "float64")
    module = interop.to_torch(network, params).train()
    x = rng.standard_normal((5, 3))
    np.testing.assert_allclose(module(torch.tensor(x)).detach().numpy(), network(params, x)[0], rtol=1e-10)
    assert [p.requires_grad for p in module.parameters()] == [False] * 4 + [True] * 2


def test_a_module_with_arraynn_layers_can_be_saved(rng, tmp_path):
    network = nn.Sequential(nn.Residual(nn.Dense(3)), nn.LSTM(2))
    module = interop.to_torch(network, network.init(rng, (4, 3))[0], (4, 3))
    torch.save(module, tmp_path / "module.pt")
    x = torch.zeros(2, 4, 3)
    assert torch.equal(torch.load(tmp_path / "module.pt", weights_only=False)(x), module(x))


# ---------------------------------------------------------------- images and sequences


def lenet():
    m = torch.nn
    return m.Sequential(
        *(m.Conv2d(2, 4, 3, stride=2, padding=1), m.BatchNorm2d(4), m.ReLU(), m.MaxPool2d(3, stride=1, padding=1)),
        *(m.Conv2d(4, 6, (1, 3), dilation=(1, 2), groups=2, padding="same"), m.GroupNorm(3, 6), m.Tanh()),
        *(m.AvgPool2d(2, padding=1, count_include_pad=False), m.Dropout(0.2), m.Flatten(), m.Linear(6 * 3 * 2, 3)),
    )


def agrees(module, network, params, x):
    """The network on NumPy, against the module in inference: y, and the gradients of all weights and of x."""
    module.eval()
    given = torch.tensor(x, requires_grad=True)
    expected = module(given)
    expected = expected[0] if isinstance(expected, tuple) else expected
    y, backward = network(tree.map(lambda leaf: leaf.numpy(), params), x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    expected.backward(torch.tensor(dy))
    dx, grads = backward(dy)
    np.testing.assert_allclose(dx, given.grad.numpy(), rtol=1e-9, atol=1e-11)
    return grads


def test_a_convolutional_module_and_its_network_agree_on_the_same_images(rng):
    torch.manual_seed(0)
    module = lenet().double()
    module(torch.randn(16, 2, 7, 6, dtype=torch.float64))  # moves the running statistics
    network, params = interop.from_torch(module)
    grads = agrees(module, network, params, rng.standard_normal((3, 2, 7, 6)))
    turns = [type(layer).__name__ for layer in network.layers].count("Permute")
    assert turns == 2  # at the beginning, and before Flatten
    found = [leaf.shape for leaf in tree.leaves(tree.trained(grads))]
    assert sum(map(np.prod, found)) == sum(p.numel() for p in module.parameters())
    weight = np.moveaxis(module[0].weight.grad.numpy(), (0, 1), (-1, -2))
    np.testing.assert_allclose(grads[1]["weight"], weight, rtol=1e-9, atol=1e-11)


def test_an_image_network_converts_both_ways(rng):
    network = nn.Sequential(
        *(nn.Conv2D(4, (3, 2), strides=2, padding=1), nn.ReLU(), nn.MaxPool2D((2, 1)), nn.Reshape((-1, 4))),
        *(nn.Permute((2, 1)), nn.Conv1D(3, 1, padding="same"), nn.AveragePool1D(2, padding=((1, 1),)), nn.RMSNorm()),
        *(nn.Flatten(), nn.Dense(3)),
    )
    params, _ = network.init(rng, (8, 7, 2), "float64")
    module = interop.to_torch(network, params)
    x = rng.standard_normal((3, 8, 7, 2))
    np.testing.assert_allclose(module(torch.tensor(x)).detach().numpy(), network(params, x)[0], rtol=1e-10)
    again, back = interop.from_torch(module)
    host = tree.map(lambda leaf: leaf.numpy(), back)
    np.testing.assert_allclose(again(host, x)[0], network(params, x)[0], rtol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_a_recurrent_module_is_converted(rng, kind, options):
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(4, 3, batch_first=True, dtype=torch.float64, **options)
    for wrap in (lambda m: m, torch.nn.Sequential):
        network, params = interop.from_torch(wrap(module))
        agrees(module, network, params, rng.standard_normal((2, 5, 4)))
    if "num_layers" not in options:
        again, back = interop.from_torch(interop.to_torch(network, params))
        assert again == network
        for one, other in zip(tree.leaves(params), tree.leaves(back), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("options", [{}, {"kdim": 6, "vdim": 6}], ids=str)
def test_multihead_attention_is_converted(rng, options):
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64, **options)
    network, params = interop.from_torch(module)
    x, memory = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, options.get("kdim", 4)))
    expected, _ = module(*(torch.tensor(a) for a in (x, memory, memory)))
    y, _ = network(tree.map(lambda leaf: leaf.numpy(), params), (x, memory))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (lambda m: m.LSTM(2, 3), "batch_first=True"),
        (lambda m: m.RNN(2, 3, batch_first=True, nonlinearity="relu"), "nonlinearity='tanh'"),
        (lambda m: m.LSTM(2, 3, batch_first=True, proj_size=2), "no proj_size"),
        (lambda m: m.MultiheadAttention(4, 2), "MultiheadAttention"),
        (lambda m: m.MaxPool2d(2, ceil_mode=True), "MaxPool2d"),
    ],
)
def test_modules_with_unsupported_options_are_refused(module, said):
    with pytest.raises(ValueError, match=said):
        interop.from_torch(module(torch.nn))


def test_layers_that_pytorch_computes_differently_are_refused(rng):
    for layer, shape, said in (
        (nn.Conv2D(2, 3, padding=((0, 1), (0, 1))), (5, 5, 1), "pads both sides alike"),
        (nn.MaxPool2D(2, padding="same"), (5, 5, 1), "no padding='same'"),
        (nn.MultiHeadAttention(2, 3), (4, 2), "needs heads of width D / h"),
    ):
        network = nn.Sequential(layer)
        with pytest.raises(ValueError, match=said):
            interop.to_torch(network, network.init(rng, shape)[0])

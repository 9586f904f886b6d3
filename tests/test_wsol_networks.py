# SPDX-License-Identifier: MIT
"""Are the networks of the localisation example the published ones, filled from PyTorch files?"""

import hashlib

import jax
import numpy as np
import oracle
import pytest
from flax import traverse_util
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from examples.wsol import inception, networks, weights, zoo

# Of the state of each network, without counters and what is unused: arrays, numbers, and a hash of
# the sorted lines "name (shape)". From torchvision 0.28, with the heads of Choe et al. added, and
# from the file of EfficientNet-Lite0.
STATES = {
    "resnet50": (267, 25610152, "cf11dad974eadeaa"),
    "resnet50-28": (267, 25610152, "cf11dad974eadeaa"),
    "inception-v3": (472, 23869000, "5beceaea5a4204b9"),
    "inception-v3-14": (356, 26526792, "b82d66de7ae57c79"),
    "vgg16-14": (30, 20459304, "e42d9812395e9175"),
    "vgg16-28": (30, 20459304, "dbc4b9ba418df2dd"),
    "efficientnet-lite0": (247, 4694024, "e8b5afc66056b920"),
}


pytestmark = pytest.mark.usefixtures("usual_jax")


def torch_state(variables, seed=0):
    """Random arrays with the names and shapes of PyTorch for a tree of shapes."""
    rng = np.random.default_rng(seed)

    def draw(path, shape):
        if path[-1] == "var":
            return rng.uniform(0.5, 2, shape)
        if len(shape) == 4:  # height, width, in, out
            shape = (shape[3], shape[2], *shape[:2])
        elif len(shape) == 2:
            shape = shape[::-1]
        return rng.normal(scale=np.sqrt(2 / max(1, np.prod(shape[1:]))), size=shape)

    flat = traverse_util.flatten_dict(variables)
    return {
        weights.torch_name(p): draw(p, leaf.shape).astype(np.float32) for p, leaf in flat.items()
    }


class Torch:
    """Layers in numpy as PyTorch defines them, on images [C, H, W], with a state's weights."""

    def __init__(self, state, prefix=""):
        self.state, self.prefix = state, prefix

    def __getitem__(self, name):
        return self.state[self.prefix + name].astype(float)

    def within(self, name):
        return Torch(self.state, f"{self.prefix}{name}.")

    def conv(self, x, name, stride=1, pads=None):
        """Padding: half the filter, or pairs (before, after) for height and width."""
        w = self[f"{name}.weight"]
        pads = pads or [(k // 2, k // 2) for k in w.shape[2:]]
        x = np.pad(x, [(0, 0), *pads])
        windows = sliding_window_view(x, w.shape[2:], (1, 2))[:, ::stride, ::stride]
        if w.shape[1] == 1 and len(x) > 1:
            return np.einsum("chwij,cij->chw", windows, w[:, 0])
        return np.einsum("chwij,ocij->ohw", windows, w)

    def norm(self, x, name, eps):
        mean, var, scale, bias = (
            self[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + eps) * scale + bias

    def unit(self, x, name, stride=1, pads=None):
        """Of Inception: convolution, normalisation, ReLU."""
        x = self.norm(self.conv(x, f"{name}.conv", stride, pads), f"{name}.bn", 1e-3)
        return np.maximum(x, 0)


def same(length, size, stride):
    """The padding of TensorFlow's SAME."""
    total = max(0, (-(-length // stride) - 1) * stride + size - length)
    return total // 2, total - total // 2


def lite(net, x):
    """Features of EfficientNet-Lite0, up to the stages that the state has."""

    def step(net, x, conv, norm, stride=1):
        size = net[f"{conv}.weight"].shape[-1]
        pads = [same(length, size, stride) for length in x.shape[1:]]
        return net.norm(net.conv(x, conv, stride, pads), norm, 1e-3)

    x = np.clip(step(net, x, "_conv_stem", "_bn0", 2), 0, 6)
    strides = {1: 2, 3: 2, 5: 2, 11: 2}  # of blocks; others 1
    for number in range(16):
        block = net.within(f"_blocks.{number}")
        if f"{block.prefix}_bn1.weight" not in net.state:
            break
        y = x
        if f"{block.prefix}_bn0.weight" in net.state:
            y = np.clip(step(block, y, "_expand_conv", "_bn0"), 0, 6)
        y = np.clip(step(block, y, "_depthwise_conv", "_bn1", strides.get(number, 1)), 0, 6)
        y = step(block, y, "_project_conv", "_bn2")
        x = x + y if x.shape == y.shape else y
    return np.clip(step(net, x, "_conv_head", "_bn1"), 0, 6)


def bottleneck(net, x):
    y = np.maximum(net.norm(net.conv(x, "conv1"), "bn1", 1e-5), 0)
    y = np.maximum(net.norm(net.conv(y, "conv2", 2), "bn2", 1e-5), 0)
    y = net.norm(net.conv(y, "conv3"), "bn3", 1e-5)
    return np.maximum(net.norm(net.conv(x, "downsample.0", 2), "downsample.1", 1e-5) + y, 0)


def average(x):
    return ndimage.uniform_filter(x, (0, 3, 3), mode="constant")


def largest(x):
    return sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max((-1, -2))


def mixed6(net, x):
    def chain(name, count):
        y = x
        for k in range(1, count + 1):
            y = net.unit(y, f"{name}_{k}")
        return y

    pool = net.unit(average(x), "branch_pool")
    return np.concatenate(
        [net.unit(x, "branch1x1"), chain("branch7x7", 3), chain("branch7x7dbl", 5), pool]
    )


def mixed6a(net, x):
    none = [(0, 0), (0, 0)]
    double = net.unit(net.unit(x, "branch3x3dbl_1"), "branch3x3dbl_2")
    return np.concatenate(
        [
            net.unit(x, "branch3x3", 2, none),
            net.unit(double, "branch3x3dbl_3", 2, none),
            largest(x),
        ]
    )


def mixed7(net, x):
    single = net.unit(x, "branch3x3_1")
    double = net.unit(net.unit(x, "branch3x3dbl_1"), "branch3x3dbl_2")
    return np.concatenate(
        [
            net.unit(x, "branch1x1"),
            *(net.unit(single, f"branch3x3_2{part}") for part in "ab"),
            *(net.unit(double, f"branch3x3dbl_3{part}") for part in "ab"),
            net.unit(average(x), "branch_pool"),
        ]
    )


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (networks.Bottleneck(4, 2), bottleneck),
        (inception.Mixed6(8), mixed6),
        (inception.Mixed6a(), mixed6a),
        (inception.Mixed7(), mixed7),
    ],
)
def test_blocks_are_those_of_torchvision(module, expected):
    x = np.random.default_rng(1).normal(size=(5, 9, 11)).astype(np.float32)
    batch = x.transpose(1, 2, 0)[None]
    shapes = jax.eval_shape(module.init, jax.random.key(0), batch)
    state = torch_state(shapes)
    got = module.apply(weights.convert(state, shapes), batch)[0].transpose(2, 0, 1)
    want = expected(Torch(state), x)
    np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(want).max())


def test_network_and_its_maps():
    """Scores, plain maps, and maps behind TV by the oracle, of a network in numpy."""
    network = zoo.network("small")
    shapes = zoo.shapes(network)
    state = torch_state(shapes)
    state["_fc.weight"][:, 6:] = 0  # the oracle is slow: few channels matter
    images = np.random.default_rng(1).normal(size=(1, 3, 31, 42)).astype(np.float32)
    labels, lam = np.array([7]), 0.3
    scores, found = zoo.scores_and_maps(
        network.cam,
        weights.convert(state, shapes),
        images.transpose(0, 2, 3, 1),
        labels,
        (0.0, lam),
    )
    net = Torch(state)
    features, w, b = lite(net, images[0]), net["_fc.weight"], net["_fc.bias"]
    want = w @ features.mean((1, 2)) + b
    np.testing.assert_allclose(scores[0], want, atol=2e-5 * np.abs(want).max())
    assert found.shape == (2, 1, 4, 6)
    plain = np.tensordot(w[7], features, 1)
    np.testing.assert_allclose(found[0, 0], plain, atol=2e-5 * np.abs(plain).max())
    smooth = oracle.prox_nd(features[:6], [np.full((), lam)] * 2, axes=(1, 2))
    behind = np.tensordot(w[7, :6], smooth, 1)
    assert np.abs(behind - plain).max() > 0.05 * np.abs(plain).max()
    np.testing.assert_allclose(found[1, 0], behind, atol=5e-3 * np.abs(behind).max())
    # The TV layer keeps the scores.
    np.testing.assert_allclose(np.asarray(found).mean((2, 3))[:, 0] + b[7], want[7], rtol=1e-3)


@pytest.mark.parametrize("name", STATES)
def test_states_have_the_names_and_shapes_of_the_files(name):
    network = zoo.network(name)
    shapes = zoo.shapes(network)
    flat = traverse_util.flatten_dict(shapes)

    def turned(shape):
        return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]

    lines = sorted(
        f"{weights.torch_name(path)} {turned(leaf.shape)}" for path, leaf in flat.items()
    )
    numbers = sum(int(np.prod(leaf.shape)) for leaf in flat.values())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (len(set(lines)), numbers, digest) == STATES[name]


def test_conversion_is_strict():
    shapes = zoo.shapes(zoo.network("small"))
    state = torch_state(shapes)
    state["_bn0.num_batches_tracked"] = np.array(3)
    state["aux.weight"] = np.zeros(2)
    filled = traverse_util.flatten_dict(weights.convert(state, shapes, unused=("aux.",)))
    for path, array in filled.items():
        source = state.pop(weights.torch_name(path))
        np.testing.assert_array_equal(np.sort(array, None), np.sort(source, None))
    assert set(state) == {"_bn0.num_batches_tracked", "aux.weight"}

    state = torch_state(shapes)
    with pytest.raises(ValueError, match=r"0 lack, aux\.weight are left over"):
        weights.convert(state | {"aux.weight": np.zeros(2)}, shapes)
    with pytest.raises(ValueError, match=r"_fc\.bias, turned, has shape \(3,\)"):
        weights.convert(state | {"_fc.bias": np.zeros(3)}, shapes)
    convolution = state["_fc.weight"][:, :, None, None]
    weights.convert(state | {"_fc.weight": convolution}, shapes)
    del state["_fc.bias"]
    with pytest.raises(ValueError, match=r"_fc\.bias lack, 0 are left over"):
        weights.convert(state, shapes)


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match=r"one of efficientnet-lite0, .*, got 'resnet51'"):
        zoo.network("resnet51")

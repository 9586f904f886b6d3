# SPDX-License-Identifier: MIT
"""Do the image-to-image examples run, read their data, and measure what they say they measure?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from examples.common.image_to_image import random_patch
from examples.common.quality import psnr, ssim
from examples.common.runs import same_settings
from examples.denoising import classical
from examples.denoising import data as denoising_data
from examples.denoising import experiment as denoising
from examples.denoising.models import DnCNN
from examples.smoothing import data as smoothing_data
from examples.smoothing import experiment as smoothing
from examples.smoothing import models, optimisation, smoothers
from examples.smoothing.metrics import Example, errors

pytestmark = pytest.mark.usefixtures("usual_jax")


def cells(table, method):
    """The numbers of a row of a Markdown table."""
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {method}"))
    return [float(cell.split("/")[0].split("±")[0]) for cell in line.split("|")[2:-1]]


def test_denoising_in_small_mode(tmp_path, quick_compilation):
    table = denoising.run(
        denoising.SMALL, denoising.SMALL_SETTINGS, denoising_data.stand_in(), tmp_path
    )
    assert cells(table, "noisy") < cells(table, "DnCNN-TV") < cells(table, "TV prox")
    with Image.open(tmp_path / "stages-25.png") as figure:
        assert figure.size[0] > 1000
    done = (tmp_path / "quality.csv").read_text()
    again = denoising.run(
        denoising.SMALL, denoising.SMALL_SETTINGS, denoising_data.stand_in(), tmp_path
    )
    assert again == table and (tmp_path / "quality.csv").read_text() == done


def test_smoothing_in_small_mode(tmp_path, quick_compilation):
    table = smoothing.run(
        smoothing.SMALL, smoothing.SMALL_SETTINGS, smoothing_data.small(), tmp_path
    )
    assert cells(table, "TV prox") < cells(table, "input")
    assert cells(table, "ResNetTV") < cells(table, "input")
    assert (tmp_path / "stages.png").exists() and (tmp_path / "features.png").exists()
    with pytest.raises(ValueError, match="other settings"):
        same_settings(tmp_path, smoothing.SMALL._replace(width=9), smoothing.SMALL_SETTINGS)


@pytest.mark.parametrize("sigma", [25.0, 50.0])
def test_noise_has_its_level_and_its_seed(sigma):
    clean = np.full((200, 200, 3), 0.5, np.float32)
    noisy = denoising_data.noisy(clean, sigma, 3)
    np.testing.assert_array_equal(noisy, denoising_data.noisy(clean, sigma, 3))
    assert abs(np.std(noisy - clean) * 255 / sigma - 1) < 0.01
    assert psnr(clean + sigma / 255, clean) == pytest.approx(-20 * np.log10(sigma / 255), abs=1e-3)


def test_quality_by_hand():
    x = np.zeros((32, 32, 3), np.float32)
    assert psnr(x + 0.1, x) == pytest.approx(20, abs=1e-4)
    assert psnr(x - 5.0, x + 0.5) == pytest.approx(
        peak_signal_noise_ratio(x + 0.5, x, data_range=1)
    )
    # Of two constant images with levels a and b, SSIM is (2 a b + C) / (a^2 + b^2 + C).
    a, b, c = 0.2, 0.6, 0.01**2
    assert ssim(x + 0.2, x + 0.6) == pytest.approx((2 * a * b + c) / (a * a + b * b + c), rel=1e-4)


def test_weighted_errors_by_hand():
    image = np.zeros((1, 2, 3), np.float32)
    truths = np.stack([image, image + 0.2])
    even, second = (Example(image, truths, np.array(w)) for w in ([1.0, 1.0], [0.0, 2.0]))
    off = errors([(image, even)])
    assert off.wmae == pytest.approx(255 * 0.1) and off.wrmse == pytest.approx(
        255 * 0.2 / np.sqrt(2)
    )
    assert errors([(image - 7.0, second)]) == pytest.approx((255 * 0.2, 255 * 0.2))
    assert errors([(image + 0.2, second), (image, even)]).wmae == pytest.approx(255 * 0.05)


def test_chosen_weight_is_near_a_grid_search():
    images = denoising_data.stand_in().tests["stand-in"]
    pairs = [(denoising_data.noisy(x, 25, k), x) for k, x in enumerate(images)]
    best = classical.best_weight(classical.tv_prox, pairs, 25)
    grid = np.geomspace(best / 2, best * 2, 9)
    quality = [np.mean([psnr(classical.tv_prox(y, w), x) for y, x in pairs]) for w in grid]
    assert np.argmax(quality) in (3, 4, 5)


def test_without_affinity_l1_smoothing_is_the_tv_prox():
    image = smoothing_data.small().test[0].image
    got = optimisation.smooth(image, 0.05, np.inf)
    np.testing.assert_allclose(got, classical.tv_prox(image, 0.05), atol=1e-6)
    # Neighbours of other colours are not tied, others are.
    step = np.zeros((4, 8, 3), np.float32)
    step[:, 4:] = [0.9, 0.1, 0.1]
    np.testing.assert_allclose(optimisation.smooth(step, 0.5, 5.0), step, atol=1e-4)


@pytest.mark.parametrize("name", smoothers.SMOOTHERS)
def test_smoothers_flatten_grain_and_keep_an_edge(name):
    rng = np.random.default_rng(0)
    clean = np.full((64, 64, 3), 0.2)
    clean[:, 32:] = 0.8
    image = np.clip(clean + rng.normal(scale=0.03, size=clean.shape), 0, 1)
    y = smoothers.SMOOTHERS[name](image)
    inside = np.s_[8:-8, 6:26]
    assert y[inside].std() < 0.5 * image[inside].std()
    jump = y[8:-8, 36].mean() - y[8:-8, 27].mean()
    assert 0.5 < jump < 0.62
    constant = np.full((16, 24, 3), 0.3)
    np.testing.assert_allclose(smoothers.SMOOTHERS[name](constant), constant, atol=1e-6)


def test_quadratic_smoother_solves_its_equations():
    rng = np.random.default_rng(0)
    image, down, across = rng.random((5, 7, 3)), rng.random((4, 7)), rng.random((5, 6))
    y = smoothers._solve(image, down, across)
    slope = y - image
    slope[1:] += down[..., None] * np.diff(y, axis=0)
    slope[:-1] -= down[..., None] * np.diff(y, axis=0)
    slope[:, 1:] += across[..., None] * np.diff(y, axis=1)
    slope[:, :-1] -= across[..., None] * np.diff(y, axis=1)
    np.testing.assert_allclose(slope, 0, atol=1e-12)


def test_readers_of_the_benchmark_and_of_pairs(tmp_path):
    rng = np.random.default_rng(0)

    def write(name):
        pixels = rng.integers(0, 256, (6, 5, 3), np.uint8)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        return pixels / 255

    image = write("origin_images/0002.png")
    truths = [write(f"gt_images/0002_{k}.png") for k in (1, 2, 3, 4, 5)]
    votes = np.array([[1, 1, 1, 1, 1], [4, 3, 2, 1, 0]])
    scipy.io.savemat(tmp_path / "weight_matrix.mat", {"weight_matrix": votes})
    (found,) = smoothing_data.benchmark(tmp_path).train
    np.testing.assert_allclose(found.image, image, atol=1e-6)
    np.testing.assert_allclose(found.truths, truths, atol=1e-6)
    np.testing.assert_allclose(found.weights, votes[1] / 2)

    image, truth = write("pairs/a.png"), write("pairs/a-predict.png")
    (found,) = smoothing_data.pairs(tmp_path / "pairs").test
    np.testing.assert_allclose(found.image, image, atol=1e-6)
    np.testing.assert_allclose(found.truths[0], truth, atol=1e-6)


def test_patches_of_an_image_and_its_truth_match():
    image = np.arange(20 * 30 * 3).reshape(20, 30, 3)
    a, b = random_patch(np.random.default_rng(1), [image, -image], 8)
    np.testing.assert_array_equal(a, -b)
    assert a.shape == (8, 8, 3)
    with pytest.raises(ValueError, match="patch 21 exceeds"):
        next(random_patch(np.random.default_rng(1), [image], 21))


def test_every_weight_of_the_tv_layers_learns(quick_compilation):
    x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
    for model in (DnCNN(tv=True, depth=3, width=4), models.make("ResNetTV", 4, blocks=16)):
        variables = model.init(jax.random.key(1), x)

        def loss(params, model=model, variables=variables):
            return jnp.mean(model.apply(variables | {"params": params}, x) ** 2)

        params = variables["params"]
        # The last convolution is 0 at first and would let nothing through.
        params = jax.tree.map(lambda p: p + 0.05, params)
        slopes = jax.tree_util.tree_leaves_with_path(jax.grad(loss)(params))
        lams = {jax.tree_util.keystr(k): float(v) for k, v in slopes if "lam_raw" in str(k)}
        assert len(lams) == (2 if isinstance(model, DnCNN) else 5)
        assert all(slope != 0 for slope in lams.values()), lams

# SPDX-License-Identifier: MIT
"""Does each corruption of CIFAR-10-C do to an image what its name says, by its constant?"""

import numpy as np
import pytest

from examples.cifar10 import corruptions, resampling, standin, textures
from examples.cifar10.corruptions import CORRUPTIONS, SEVERITIES, corrupt

BLURS = ("glass_blur", "defocus_blur", "motion_blur", "zoom_blur")
RANDOM = {
    *("gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur"),
    *("snow", "frost", "fog", "elastic_transform"),
}


@pytest.fixture(scope="module")
def images():
    return standin.make(60, seed=1)[0]


def grey(level, count=20):
    return np.full((count, 32, 32, 3), level, np.uint8)


def change(after, before):
    return np.abs(after.astype(float) - before).mean()


def test_names_are_those_of_the_paper():
    assert len(CORRUPTIONS) == 15
    assert all(len(corruption.constants) == 5 for corruption in CORRUPTIONS.values())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption(images, name):
    """Same seed, same result; another, another if it is random; the input stays as it was."""
    kept = images.copy()
    after = corrupt(images, name, 3, seed=5)
    assert after.dtype == np.uint8 and after.shape == images.shape
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(after, corrupt(images, name, 3, seed=5))
    assert np.array_equal(after, corrupt(images, name, 3, seed=6)) == (name not in RANDOM)


def test_severity(images):
    """Each step changes more, on average over corruptions; so does 5 than 1, for each but one.

    Elastic transform trades its affine part, which moves most, for local displacement.
    """
    changes = np.array(
        [[change(corrupt(images, name, s), images) for s in SEVERITIES] for name in CORRUPTIONS]
    )
    assert np.all(np.diff(changes.mean(0)) > 0)
    milder = {name for name, row in zip(CORRUPTIONS, changes, strict=True) if row[4] <= row[0]}
    assert milder <= {"elastic_transform"}


def test_chunks_are_one_stream(images, monkeypatch):
    """Images in different chunks get different noise."""
    monkeypatch.setattr(corruptions, "CHUNK", 10)
    after = corrupt(grey(128), "gaussian_noise", 1)
    assert len(after) == 20 and not np.array_equal(after[:10], after[10:])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise(severity):
    level = 100 / 255
    noisy = corrupt(grey(100), "gaussian_noise", severity) / 255
    (deviation,) = CORRUPTIONS["gaussian_noise"].constants[severity - 1]
    assert noisy.mean() == pytest.approx(level, abs=0.002)
    assert noisy.std() == pytest.approx(deviation, rel=0.03)

    noisy = corrupt(grey(100), "shot_noise", severity) / 255
    (rate,) = CORRUPTIONS["shot_noise"].constants[severity - 1]
    assert noisy.mean() == pytest.approx(level, abs=0.002)
    assert noisy.var() == pytest.approx(level / rate, rel=0.05)

    noisy = corrupt(grey(100), "impulse_noise", severity)
    (amount,) = CORRUPTIONS["impulse_noise"].constants[severity - 1]
    assert set(np.unique(noisy)) == {0, 100, 255}
    for extreme in (0, 255):
        assert np.mean(noisy == extreme) == pytest.approx(amount / 2, rel=0.15)


@pytest.mark.parametrize(
    "name", [*BLURS, "contrast", "elastic_transform", "pixelate", "jpeg_compression"]
)
def test_what_keeps_a_constant_image(name):
    np.testing.assert_allclose(corrupt(grey(77), name, 5), 77, atol=1)


@pytest.mark.parametrize("name", sorted(set(BLURS) - {"glass_blur"}))
def test_blur_takes_detail_and_keeps_the_mean(images, name):
    """Sums of absolute differences fall with every blur."""

    def detail(x):
        return np.abs(np.diff(x.astype(float), axis=1)).mean()

    blurred = corrupt(images, name, 5)
    assert detail(blurred) < 0.8 * detail(images)
    assert blurred.mean() == pytest.approx(images.mean(), rel=0.05)


def test_glass_swaps_neighbours(monkeypatch):
    """Without its Gaussian blurs it only permutes pixels, and nothing far."""
    monkeypatch.setattr(resampling, "gaussian_blur", lambda images, sigma: images.copy())
    number = np.arange(1024, dtype=float).reshape(1, 32, 32, 1)
    after = corruptions.glass_blur(np.random.default_rng(0), number, 0, 1, 1)
    np.testing.assert_array_equal(np.sort(after.ravel()), number.ravel())
    assert np.mean(after != number) > 0.5
    # Up and to the left by one; down and to the right it can be carried along.
    rows, columns = np.divmod(after[0, ..., 0], 32)
    assert (np.arange(32)[:, None] - rows).max() == 1
    assert (np.arange(32)[None, :] - columns).max() == 1


def test_defocus_of_a_point():
    """A disk of radius 1.5 has 9 pixels, each a ninth; its rim is hardly softened."""
    point = np.zeros((1, 32, 32, 1), np.float32)
    point[0, 10, 20] = 9
    blurred = resampling.disk_blur(point, 1.5, 0.1)
    expected = np.zeros_like(point)
    expected[0, 9:12, 19:22] = 1
    np.testing.assert_allclose(blurred, expected, atol=1e-6)


def test_motion_of_a_point():
    """A trail of half a Gaussian, in the direction that is asked for, of weight 1."""
    point = np.zeros((2, 32, 32, 1))
    point[:, 16, 16] = 1
    trail = resampling.motion_blur(point, 6, 2.0, np.array([0.0, 90.0]))
    expected = np.exp(-(np.arange(13) ** 2) / 8)
    expected /= expected.sum()
    np.testing.assert_allclose(trail[0, 16, 16 - 12 : 17, 0], expected[::-1])
    np.testing.assert_allclose(trail[1, 16 - 12 : 17, 16, 0], expected[::-1])
    np.testing.assert_allclose(trail.sum((1, 2, 3)), 1)


def test_zoom_of_a_ramp():
    """Enlarging by f divides the slope by f; the blur has the mean slope."""
    ramp = 0.5 + 0.01 * (np.arange(32) - 15.5)
    picture = np.broadcast_to(ramp[None, None, :, None], (1, 32, 32, 3))
    blurred = corruptions.zoom_blur(None, picture, 1.06)
    factors = [1, 1, 1.01, 1.02, 1.03, 1.04, 1.05]
    slope = 0.01 * np.mean([1 / factor for factor in factors])
    np.testing.assert_allclose(np.diff(blurred, axis=2), slope, rtol=1e-6)
    np.testing.assert_allclose(np.diff(blurred, axis=1), 0, atol=1e-12)


def test_snow_and_brightness_brighten(images):
    before = np.maximum(images, 1)  # black has no hue
    snowed = corrupt(before, "snow", 3).astype(int)
    assert np.all(snowed >= before.astype(int) - 1) and np.mean(snowed > before) > 0.5

    brighter = corrupt(before, "brightness", 2) / 255
    value = np.minimum(before.max(-1) / 255 + 0.1, 1)
    np.testing.assert_allclose(brighter.max(-1), value, atol=0.003)
    # Hue and saturation are ratios of colours to the value.
    ratio = before / before.max(-1, keepdims=True)
    np.testing.assert_allclose(brighter / brighter.max(-1, keepdims=True), ratio, atol=0.03)
    assert np.all(corrupt(grey(0), "brightness", 2) == round(255 * 0.1))


def test_frost_adds_the_pictures():
    pictures = [grey(200, 1)[0].repeat(2, 0)]
    frosted = corrupt(grey(100), "frost", 3, frost_pictures=pictures)
    assert np.all(frosted == 0.9 * 100 + 0.4 * 200)
    crops = corrupt(grey(0), "frost", 3, frost_pictures=textures.procedural_frost())
    assert len(np.unique(crops.reshape(20, -1), axis=0)) == 20


def test_fog():
    """White becomes clouds between 1 / (1 + amount) and 1; the largest fog has both."""
    fogged = corrupt(grey(255), "fog", 5) / 255
    assert fogged.min() == pytest.approx(1 / 2.5, abs=0.003) and fogged.max() == 1
    assert np.all(corrupt(grey(0), "fog", 5) == 0)  # nothing is brighter than the brightest


def test_clouds_are_rougher_with_less_decay():
    def roughness(decay):
        clouds = textures.clouds(np.random.default_rng(0), 50, 32, decay)
        return np.abs(np.diff(clouds, axis=2)).mean()

    assert roughness(1.75) > 1.2 * roughness(3)
    clouds = textures.clouds(np.random.default_rng(0), 50, 32, 3)
    np.testing.assert_array_equal((clouds.min((1, 2)), clouds.max((1, 2))), [[0] * 50, [1] * 50])
    seam = np.abs(clouds[:, :, 0] - clouds[:, :, -1]).mean()
    assert seam < 2 * np.abs(np.diff(clouds, axis=2)).mean()


def test_contrast(images):
    flat = corrupt(images, "contrast", 4).astype(float)
    np.testing.assert_allclose(flat.mean((1, 2)), images.mean((1, 2)), atol=0.5)
    np.testing.assert_allclose(flat.std((1, 2)), 0.3 * images.std((1, 2)), atol=0.5)


def test_elastic_transform(images):
    rng = np.random.default_rng(0)
    pictures = images / 255
    np.testing.assert_allclose(resampling.random_affine(rng, pictures, 0), pictures, atol=1e-12)
    np.testing.assert_array_equal(resampling.random_displacement(rng, pictures, 0, 1), pictures)
    # An affine image of a ramp is a ramp: inside, its second differences vanish.
    ramp = np.broadcast_to(np.arange(32.0)[None, :, None, None], (5, 32, 32, 1))
    warped = resampling.random_affine(rng, ramp, 1.5)[:, 8:24, 8:24]
    assert np.abs(warped - ramp[:, 8:24, 8:24]).max() > 0.3
    for axis in (1, 2):
        np.testing.assert_allclose(np.diff(warped, 2, axis=axis), 0, atol=1e-9)


def test_sample_is_bilinear_and_mirrors():
    image = np.random.default_rng(0).random((1, 4, 4, 1))
    rows, columns = np.array([[[1.25]]]), np.array([[[2.5]]])
    expected = np.array([0.75, 0.25]) @ image[0, 1:3, 2:4, 0] @ np.array([0.5, 0.5])
    assert resampling.sample(image, rows, columns).item() == pytest.approx(expected)
    assert resampling.sample(image, -rows + 0.25, 6 - columns + 0.5).item() == pytest.approx(
        image[0, 1, 2, 0]
    )


def test_pixelate_and_jpeg_lose_detail(images):
    """Pixelate to 20 x 20: at most 20 different rows."""
    pixels = corrupt(images, "pixelate", 5)
    assert max(len(np.unique(picture, axis=0)) for picture in pixels) <= 20
    changes = [change(corrupt(images, "jpeg_compression", s), images) for s in SEVERITIES]
    assert np.all(np.diff(changes) > 0) and changes[0] > 0


def test_published_files(tmp_path):
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.tile([3, 4], 5))
    read, labels = corruptions.published(tmp_path, "fog", 4)
    np.testing.assert_array_equal(read.ravel(), [6, 7])
    np.testing.assert_array_equal(labels, [3, 4])


def test_errors(images, tmp_path):
    with pytest.raises(ValueError, match="name must be one of gaussian_noise"):
        corrupt(images, "rain", 1)
    with pytest.raises(ValueError, match="severity must be 1 to 5, got 6"):
        corrupt(images, "fog", 6)
    with pytest.raises(FileNotFoundError, match="has no image"):
        textures.read_frost(tmp_path)

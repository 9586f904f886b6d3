# SPDX-License-Identifier: MIT
"""Does the edge example run, read its data, and score edges as the protocol says?"""

from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from examples.common import tables
from examples.edges import data, experiment, metrics
from examples.edges.metrics import Counts, count, scores, suppressed
from examples.edges.models import LAM_INIT, DexiNed, balanced_cross_entropy

pytestmark = pytest.mark.usefixtures("usual_jax")


def vertical(column, shape=(60, 80), height=None):
    mask = np.zeros(shape, bool)
    mask[:height, column] = True
    return mask


def count_lines(found, truths):
    """The counts at one threshold of the middle of an edge map that needs no suppression."""
    counts = count(found.astype(float), np.stack(truths))
    return [int(part[40]) for part in counts]


# The diagonal of a 240 x 320 image is 400, so that partners are at most 3 apart.
@pytest.mark.parametrize(("shift", "hits"), [(0, 240), (3, 240), (4, 0)])
def test_shifted_line(shift, hits):
    shape = (240, 320)
    truth, truth_matched, found, found_matched = count_lines(
        vertical(100 + shift, shape), [vertical(100, shape)]
    )
    assert (truth, found) == (240, 240)
    assert truth_matched == found_matched == hits


def test_partners_are_one_to_one():
    shape = (240, 320)
    twice = vertical(98, shape) | vertical(102, shape)
    assert count_lines(twice, [vertical(100, shape)]) == [240, 240, 480, 240]
    assert count_lines(vertical(100, shape), [twice]) == [480, 240, 240, 240]


def test_flat_band_counts_as_a_line():
    """Non-maximum suppression keeps what is level; thinning at each threshold does not."""
    shape = (240, 320)
    band = ndimage.binary_dilation(vertical(100, shape), iterations=3)
    truth, _, found, matched = count_lines(band, [vertical(100, shape)])
    assert truth == 240 and 230 <= found <= 246 and matched >= 230


def test_annotators_are_matched_one_by_one():
    shape = (240, 320)
    left, right = vertical(100, shape), vertical(200, shape)
    # Both found lines have an annotator; of 480 true pixels, each annotator's 240 are found.
    assert count_lines(left | right, [left, right]) == [480, 480, 480, 480]
    assert count_lines(left, [left, left]) == [480, 480, 240, 240]


def test_largest_matching_is_found():
    """Greedy pairing of neighbours would leave the ends alone: rows of a chain a-b, b-c, c-d."""
    pairs = metrics.csr_array(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]]))
    assert metrics._matched(pairs).all()
    alone = metrics.csr_array(np.array([[1, 0], [1, 0], [0, 0]]))
    assert metrics._matched(alone).sum() == 1


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_benchmark(seed):
    """Its own matcher gives up a few pairs for speed: it has as many as here, or a few less."""
    benchmark = pytest.importorskip("pyEdgeEval._lib")
    (example,) = data.drawings(seed, 1, size=96)
    moved = ndimage.shift(example.truths[0].astype(float), (1.4, -0.7), order=1)
    noise = np.random.default_rng(seed).random(moved.shape)
    edges = np.clip(ndimage.gaussian_filter(moved + 0.3 * noise, 0.7), 0, 1)
    counts = count(edges, example.truths)
    for k in range(9, 60, 10):
        kept = metrics.thin(suppressed(edges) >= metrics.THRESHOLDS[k])
        found, truth, *_ = benchmark.correspond_pixels(kept, example.truths[0], metrics.REACH)
        assert counts.found[k] == kept.sum() and counts.truth[k] == example.truths.sum()
        pairs = np.count_nonzero(found)
        assert pairs == np.count_nonzero(truth)
        assert pairs <= counts.found_matched[k] == counts.truth_matched[k] <= 1.01 * pairs + 2


def test_nothing_found_and_nothing_to_find():
    empty, line = np.zeros((60, 80)), vertical(30)
    nothing = count(empty, line[None])
    assert nothing.found.sum() == nothing.truth_matched.sum() == 0 and (nothing.truth == 60).all()
    assert scores([nothing]) == (0, 0, 0)
    assert count(line.astype(float), empty.astype(bool)[None]).found_matched.sum() == 0


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 135])
def test_blurred_ridge_is_thinned_to_a_line(degrees):
    y, x = np.mgrid[:61, :61] - 30
    angle = np.deg2rad(degrees)
    distance = x * np.sin(angle) - y * np.cos(angle)
    line = metrics.thin(suppressed(np.exp(-(distance**2) / 8)) > 0.1)
    inside = np.s_[6:-6, 6:-6]
    assert np.abs(distance[line]).max() < 0.8
    lines = line[inside] if 45 <= degrees <= 135 else line[inside].T
    np.testing.assert_array_equal(lines.sum(1), 1)


def test_scores_by_hand():
    """Two images, of 10 true pixels each, at two thresholds."""
    one = Counts(*map(np.array, ([10, 10], [8, 4], [16, 4], [8, 4])))
    two = Counts(*map(np.array, ([10, 10], [6, 6], [6, 6], [6, 6])))
    # F of image one is 2 * .8 * .5 / 1.3 = .615 and 2 * .4 / 1.4 = .571; of image two .75. Together
    # at the best of each, recall and precision are 14 / 20 and 14 / 22.
    recall, precision = 14 / 20, 14 / 22
    ois = 2 * recall * precision / (recall + precision)
    # The whole set goes from (14 / 20, 14 / 22) to (10 / 20, 1); F is largest between them.
    mix = np.linspace(0, 1, 100001)
    r, p = 0.7 - 0.2 * mix, 14 / 22 + 8 / 22 * mix
    ods = (2 * r * p / (r + p)).max()
    assert ods > max(ois, 2 / 3)
    # Precision falls along a line from recall .5 to .7, and is 0 elsewhere: 21 values.
    ap = 21 * (1 + 14 / 22) / 2 / 100
    assert scores([one, two]) == pytest.approx((ods, ois, ap), abs=1e-5)


def test_readers(tmp_path):
    rng = np.random.default_rng(0)

    def write(name, mode="RGB"):
        pixels = rng.integers(0, 256, (12, 20, 3)) if mode == "RGB" else rng.random((12, 20)) < 0.2
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray((pixels * (1 if mode == "RGB" else 255)).astype(np.uint8)).save(path)
        return pixels

    train = write("imgs/train/rgbr/real/RGB_001.png")
    edges = write("edge_maps/train/rgbr/real/RGB_001.png", "L")
    write("imgs/test/rgbr/RGB_008.png")
    write("edge_maps/test/rgbr/RGB_008.png", "L")
    found = data.biped(tmp_path)
    np.testing.assert_array_equal(found.train[0].image, train)
    np.testing.assert_array_equal(found.train[0].truths, edges[None])
    assert data.biped(tmp_path, scale=0.5).tests["BIPED"][0].truths.shape == (1, 6, 10)

    write("images/1_left_04.png")
    write("images/1_left_040.png")
    write("images/2_left_1.png")
    one = [write(f"edges/1_left_04.{k}.png", "L") for k in (1, 2)]
    write("edges/1_left_040.1.png", "L")
    first, second = data.mdbd(tmp_path)  # the third has no annotator
    np.testing.assert_array_equal(first.truths, one)
    assert len(second.truths) == 1
    for path in (tmp_path / "edges").iterdir():
        path.rename(path.with_name(f"other-{path.name}"))
    with pytest.raises(FileNotFoundError, match="no map of an image"):
        data.mdbd(tmp_path)


def test_edges_on_a_smaller_grid_keep_their_place():
    edges = data._edges(vertical(41), (30, 40))
    np.testing.assert_array_equal(edges, vertical(20, (30, 40)))


def test_augmentation_moves_image_and_edges_alike():
    """The image is white on edges: it stays so however both are turned and flipped."""
    edges = ndimage.binary_dilation(vertical(40) | vertical(20).T[:60, :1], iterations=3)
    image = np.repeat(np.uint8(255) * edges[..., None], 3, -1)
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(16):
        patch, truth = data.augmented(rng, data.Example(image, edges[None]), 24)
        assert patch.shape == (24, 24, 3) and truth.shape == (24, 24)
        assert np.mean((patch[..., 0] > 0.4) == (truth > 0)) > 0.95
        shares.append(truth.mean())
    assert 0.5 < np.mean(shares) / edges.mean() < 2
    gray = data.Example(np.full((60, 80, 3), 51, np.uint8), edges[None])
    levels = {round(float(data.augmented(rng, gray, 24)[0].mean()), 4) for _ in range(40)}
    assert levels == {round(0.2**gamma, 4) for gamma in data.GAMMAS}


def test_balanced_cross_entropy_by_hand():
    """Of four pixels one is on an edge, of logit 0; the others have probability 1/4."""
    targets = jnp.array([[[1.0, 0.0], [0.0, 0.0]]])
    logits = jnp.where(targets > 0, 0.0, -np.log(3.0))[..., None] * jnp.ones(2)
    one = (3 / 4 * np.log(2) + 3 * 1 / 4 * np.log(4 / 3)) / 4
    assert balanced_cross_entropy(logits, targets) == pytest.approx(2 * one, rel=1e-6)


@pytest.mark.parametrize("tv", [False, True])
def test_network_keeps_the_size(tv):
    """It is no multiple of the stride."""
    x = jnp.zeros((2, 20, 40, 3))
    init = DexiNed(tv).init_with_output
    logits, variables = jax.eval_shape(init, jax.random.key(0), x)
    assert logits.shape == (2, 20, 40, 7)
    layers = {name for name in variables["params"] if name.startswith("tv_")}
    assert layers == ({"tv_2x", "tv_4x", "tv_8x", "tv_fused"} if tv else set())


def test_small_mode(tmp_path, quick_compilation):
    table = experiment.run(experiment.SMALL, experiment.SMALL_SETTINGS, data.small(), tmp_path)
    rows = tables.read_csv(tmp_path / "scores.csv")
    assert [row["model"] for row in rows] == ["DexiNed", "DexiNed-TV"]
    for row in rows:
        assert 0 < float(row["ap"]) <= 1 and 0.05 < float(row["ods"]) <= 1
    history = tables.read_csv(tmp_path / "history.csv")
    for first, last in (history[:2], history[2:]):
        assert float(last["loss"]) < float(first["loss"])
    for layer in ("2x", "4x", "8x", "fused"):
        assert abs(float(history[-1][f"lam_{layer}"]) - LAM_INIT) > 1e-4
    with Image.open(tmp_path / "detections.png") as figure:
        assert figure.size[0] > 500
    assert ElementTree.parse(tmp_path / "weights.svg").getroot().tag.endswith("svg")
    done = (tmp_path / "scores.csv").read_text()
    again = experiment.run(experiment.SMALL, experiment.SMALL_SETTINGS, data.small(), tmp_path)
    assert again == table and (tmp_path / "scores.csv").read_text() == done

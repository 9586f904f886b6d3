# SPDX-License-Identifier: MIT
"""Does the localisation example measure what it names, read its data, and go on when stopped?"""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from examples.wsol import boxes, data, experiment, maps, zoo

pytestmark = pytest.mark.usefixtures("usual_jax")


def test_contours_at_all_levels():
    """Against labels at each level: 8-connected components, and 4-connected holes with a margin."""
    rng = np.random.default_rng(0)
    for colours, shape in ((256, (17, 23)), (4, (30, 21))):
        image = (rng.integers(0, colours, shape) * 255 // (colours - 1)).astype(np.uint8)
        found = boxes.contours(image)
        holes = 0
        for level in range(255):
            above = image > level
            want = [
                (x.start, y.start, x.stop - 1, y.stop - 1)
                for y, x in ndimage.find_objects(ndimage.label(above, np.ones((3, 3)))[0])
            ]
            for y, x in ndimage.find_objects(ndimage.label(~above)[0]):
                inside = y.start > 0 and x.start > 0 and y.stop < shape[0] and x.stop < shape[1]
                if inside:
                    want.append((x.start - 1, y.start - 1, x.stop, y.stop))
                    holes += 1
            assert sorted(map(tuple, found.at(level).tolist())) == sorted(want)
        assert holes > 100


def test_resizing_is_that_of_opencv():
    scores = np.array([[0, 1, 4, 2.0], [3, 0, 5, 1], [2, 6, 1, 0]])
    got = boxes.levels(scores)
    # 255 times the scaled result of cv2.resize, INTER_CUBIC, to 224 x 224
    golden = {
        (0, 0): 3.462,
        (10, 200): 89.746,
        (100, 57): 36.697,
        (130, 140): 167.079,
        (190, 90): 230.307,
        (223, 223): 12.436,
    }
    assert {place: int(got[place]) for place in golden} == {k: int(v) for k, v in golden.items()}
    assert got.shape == (224, 224) and got.min() == 0 and got.max() == 255
    assert not boxes.levels(np.full((3, 4), 2.0)).any()
    assert not boxes.levels(np.float32(3) + np.linspace(0, 1e-6, 12).reshape(3, 4)).any()
    assert boxes.levels(scores * 1e-9).max() == 255
    with pytest.raises(ValueError, match="not finite"):
        boxes.levels(np.array([[1, np.nan]]))


def test_overlaps_and_accuracies_by_hand():
    # Found: pixels 2..5 x 3..8, so 2..6 x 3..9 with the end: 35. True: 4..9 x 3..9: 42. Common: 21.
    found, truth = np.array([[2, 3, 5, 8]]), np.array([[4.0, 3, 9, 9], [50, 50, 60, 60]])
    assert boxes.overlap(found, truth).tolist() == [[21 / 56, 0]]
    whole = np.array([[0, 0, 223, 223]])
    assert boxes.overlap(whole, np.array([[0.0, 0, 223, 223]])) == 1

    image = np.zeros((224, 224), np.uint8)
    image[10:61, 20:81] = 100
    image[30:41, 40:51] = 200
    image[150:201, 150:201] = 40  # another object: all boxes count, and all truths
    truths = np.array([[20.0, 10, 81, 61], [150, 150, 201, 201]])
    best = boxes.best_overlaps(image, truths)
    assert (best[:100] == 1).all() and (best[200:] == 0).all()
    inner = 12 * 12 / (62 * 52)
    np.testing.assert_allclose(best[100:200], inner)

    rows = np.zeros((4, 255))
    rows[:3, 5], rows[3, 9], rows[:2, 7] = 0.35, 0.9, 0.6
    np.testing.assert_allclose(boxes.max_box_acc(rows), [75, 50, 25])


def test_difference_has_the_error_of_paired_samples():
    rng = np.random.default_rng(0)
    right = rng.random((2, 400)) < [[0.4], [0.6]]
    plain, other = (np.tile(row[:, None].astype(float), 255) for row in right)
    change, error = experiment.difference(plain, other)
    each = 100 * (right[1].astype(float) - right[0])
    assert change == pytest.approx(each.mean())
    assert error == pytest.approx(each.std() / 20, rel=0.1)
    assert experiment.difference(plain, plain) == (0, 0)


def test_reader(tmp_path):
    (tmp_path / "images").mkdir()
    for name, size in (("a.png", (20, 10)), ("b.png", (8, 8))):
        Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "images" / name)
    (tmp_path / "labels.txt").write_text("a.png,5\nb.png,0\n")
    (tmp_path / "localization.txt").write_text("b.png,0,0,7,7\na.png,10,20,99,49\na.png,0,0,1,1\n")
    with pytest.raises(FileNotFoundError, match=r"image_sizes\.txt is missing"):
        data.load(tmp_path)
    (tmp_path / "image_sizes.txt").write_text("a.png,100,50\nb.png,8,8\n")
    images = data.load(tmp_path)
    assert images.names == ["a.png", "b.png"] and images.labels.tolist() == [5, 0]
    # 224 / 100 = 2.24 across, 224 / 50 = 4.48 down, rounded down
    assert images.boxes[0].tolist() == [[22, 89, 221, 219], [0, 0, 2, 4]]
    assert (images.read(0, 16) == (10, 200, 30)).all() and images.read(0, 16).shape == (16, 16, 3)
    assert data.load(tmp_path, limit=1).names == ["a.png"]
    (tmp_path / "image_sizes.txt").write_text("a.png,100,50\n")
    with pytest.raises(ValueError, match=r"b\.png has a class, but no box or no size"):
        data.load(tmp_path)


def test_small_mode_and_its_resumption(tmp_path, monkeypatch):
    images = data.stand_in()
    table = experiment.run(maps.SMALL, images, tmp_path)
    assert table.count("CAM + TV, λ = 1 |") == 1 and table.count("odd images") == 1
    with Image.open(tmp_path / "maps.png") as figure:
        assert figure.size[0] > 1000
    made = (tmp_path / "accuracy.csv").read_text()
    assert made.count("\n") == 1 + 3 * 3

    computed = []
    compute = zoo.scores_and_maps
    monkeypatch.setattr(zoo, "scores_and_maps", lambda *a: computed.append(1) or compute(*a))
    (tmp_path / "maps" / "00001.npz").unlink()  # as if stopped before the second batch
    assert experiment.run(maps.SMALL, images, tmp_path) == table and len(computed) == 1
    assert (tmp_path / "accuracy.csv").read_text() == made
    with pytest.raises(ValueError, match="other settings"):
        experiment.run(maps.SMALL._replace(lams=(0.3,)), images, tmp_path)
    with pytest.raises(ValueError, match="class 1000"):
        wrong = images._replace(labels=np.full(6, 1000))
        experiment.run(maps.SMALL, wrong, tmp_path / "other")

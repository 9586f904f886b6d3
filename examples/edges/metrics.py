# SPDX-License-Identifier: MIT
"""How good edge maps are: ODS, OIS and AP, by the protocol of the Berkeley segmentation benchmark.

Arbelaez, Maire, Fowlkes, Malik, "Contour Detection and Hierarchical Image Segmentation", IEEE PAMI
2011. A map of edge probabilities is thinned by non-maximum suppression; at each of 99 thresholds
the pixels that pass are thinned once more and matched one to one with those of a ground truth,
within 0.75 % of the diagonal of the image. A pixel that no annotator's ground truth has a partner
for is a false alarm; a pixel of any ground truth without partner is missed.

The protocol asks for the matching of the least distance among the largest; only its size counts
here, so that any largest matching will do. It is found as a maximum flow, whose time is bounded:
`scipy.sparse.csgraph.maximum_bipartite_matching` is faster on most maps, but on some it takes
minutes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_flow
from scipy.spatial import KDTree
from skimage.morphology import thin

THRESHOLDS = np.arange(1, 100) / 100
REACH = 0.0075  # of the diagonal
SLACK = 1.01  # a pixel is suppressed by neighbours that are larger by more than this factor


class Counts(NamedTuple):
    """Numbers of pixels, each an integer array `[..., thresholds]`."""

    truth: np.ndarray  # in all ground truths together
    truth_matched: np.ndarray
    found: np.ndarray
    found_matched: np.ndarray  # with at least one ground truth


class Scores(NamedTuple):
    """F-measure at the best threshold of a data set, of each image, and average precision."""

    ods: float
    ois: float
    ap: float


def suppressed(edges: np.ndarray) -> np.ndarray:
    """An edge map `[H, W]`, smoothed a little, where it is largest across the edge; 0 elsewhere.

    Across the edge means along the direction of the largest curvature, up or down: that of the
    eigenvector of the eigenvalue of the Hessian with the larger modulus, at a scale of two pixels.
    """
    smooth = edges.astype(np.float64)
    for axis in (0, 1):
        smooth = ndimage.convolve1d(smooth, [0.25, 0.5, 0.25], axis, mode="nearest")
    hyy, hyx, hxx = (
        ndimage.gaussian_filter(smooth, 2, order, mode="nearest")
        for order in ((2, 0), (1, 1), (0, 2))
    )
    angle = np.arctan2(2 * hyx, hyy - hxx) / 2  # from the y axis, of the larger eigenvalue
    angle += np.where(hyy + hxx < 0, np.pi / 2, 0)  # the smaller one has the larger modulus
    across = np.stack([np.cos(angle), np.sin(angle)])
    here = np.indices(edges.shape)
    sides = [
        ndimage.map_coordinates(smooth, here + step, order=1, mode="nearest")
        for step in (across, -across)
    ]
    return np.where(SLACK * smooth >= np.maximum(*sides), smooth, 0)


def count(edges: np.ndarray, truths: np.ndarray) -> Counts:
    """The counts of an image at each of `THRESHOLDS`.

    Args:
      edges: probabilities `[H, W]`.
      truths: for each annotator the pixels on edges, bool `[A, H, W]`.
    """
    ridges = suppressed(edges)
    candidates = ridges >= THRESHOLDS[0]
    number = np.cumsum(candidates).reshape(candidates.shape) - 1  # of a candidate, row by row
    graphs = [_reachable(candidates, truth) for truth in truths]
    found, found_matched, truth_matched = (np.zeros(len(THRESHOLDS), int) for _ in range(3))
    for k, threshold in enumerate(THRESHOLDS):
        chosen = number[thin(ridges >= threshold)]
        hit = np.zeros(len(chosen), bool)
        for graph in graphs:
            matched = _matched(graph[chosen])
            truth_matched[k] += np.count_nonzero(matched)
            hit |= matched
        found[k], found_matched[k] = len(chosen), np.count_nonzero(hit)
    truth = np.full(len(THRESHOLDS), np.count_nonzero(truths))
    return Counts(truth, truth_matched, found, found_matched)


def _reachable(found: np.ndarray, truth: np.ndarray) -> csr_array:
    """Which pixels of `found`, row by row, and of `truth` are near enough to be partners."""
    reach = REACH * np.hypot(*truth.shape)
    trees = [KDTree(np.argwhere(mask)) for mask in (found, truth)]
    near = trees[0].sparse_distance_matrix(trees[1], reach, output_type="coo_matrix")
    ones = np.ones(near.nnz, np.int8)  # a distance of 0 is a pair too
    return csr_array((ones, (near.row, near.col)), shape=near.shape)


def _matched(pairs: csr_array) -> np.ndarray:
    """The rows that have partners in a largest matching of rows with columns, as a mask.

    A flow of one unit from a source to each row, from it to the columns it may be paired with, and
    from each column to a sink.
    """
    rows, columns = pairs.shape
    pairs = coo_array(pairs)
    source, sink = 0, rows + columns + 1
    row, column = 1 + np.arange(rows), 1 + rows + np.arange(columns)
    start = np.concatenate([np.full(rows, source), row[pairs.row], column])
    end = np.concatenate([row, column[pairs.col], np.full(columns, sink)])
    ones = np.ones(len(start), np.int32)
    network = csr_array((ones, (start, end)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(network, source, sink, method="dinic").flow
    return flow[[source]].toarray()[0, row] > 0


def scores(images: Sequence[Counts]) -> Scores:
    """The scores of a data set from the counts of its images."""
    each = Counts(*(np.stack(part) for part in zip(*images, strict=True)))
    recall, precision = rates(Counts(*(part.sum(0) for part in each)))
    best = np.argmax(f_measure(*rates(each)), axis=-1)
    chosen = (np.take_along_axis(part, best[:, None], -1).sum() for part in each)
    return Scores(
        _best_between(recall, precision),
        float(f_measure(*rates(Counts(*chosen)))),
        average_precision(recall, precision),
    )


def rates(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision, 0 where there is nothing."""
    recall = counts.truth_matched / np.maximum(counts.truth, 1)
    return recall, counts.found_matched / np.maximum(counts.found, 1)


def f_measure(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Eq. (12), the harmonic mean of both."""
    return 2 * recall * precision / np.maximum(recall + precision, np.finfo(float).tiny)


def _best_between(recall: np.ndarray, precision: np.ndarray) -> float:
    """The largest F-measure on the lines between successive points of the curve."""
    at = np.linspace(0, len(recall) - 1, 100 * (len(recall) - 1) + 1)
    curves = (np.interp(at, np.arange(len(recall)), values) for values in (recall, precision))
    return float(f_measure(*curves).max())


def average_precision(recall: np.ndarray, precision: np.ndarray) -> float:
    """The mean precision at recalls of 0, 0.01, ..., 1, which is 0 where no threshold reaches."""
    at, first = np.unique(recall, return_inverse=True)
    best = np.zeros(len(at))
    np.maximum.at(best, first, precision)
    values = np.interp(np.arange(101) / 100, at, best, left=0, right=0)
    return float(values.sum() / 100)

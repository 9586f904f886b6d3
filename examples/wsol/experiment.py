# SPDX-License-Identifier: MIT
"""The whole experiment: maps with each weight of the TV layer, their boxes, tables, figure."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from examples.common import runs, tables
from examples.common.batches import in_order
from examples.common.figures import save
from examples.wsol import boxes, figures, pickles, weights, zoo
from examples.wsol.data import Images

PAPER = 1.0  # the weight of the TV layer in the paper
RESAMPLES = 1000


class Plan(NamedTuple):
    """What is run on what.

    Attributes:
      data: where the images come from; it marks the results.
      images: how many.
      network: name in `zoo.NETWORKS`.
      weights: file of its weights, `"random"`, or `"package"`: those of an installed package.
      size: height and width of its input, `None` for the usual one.
      lams: weights of the TV layer; plain CAM is always there too.
      batch_size: images at a time.
    """

    data: str
    images: int
    network: str = "efficientnet-lite0"
    weights: str = "package"
    size: int | None = None
    lams: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5, PAPER, 2.0)
    batch_size: int = 16


SMALL = Plan("stand-in", 6, "small", "random", lams=(0.1, PAPER), batch_size=4)


class Found(NamedTuple):
    """What was computed of a batch of N images, with L weights of the TV layer.

    Attributes:
      maps: `[L, N, h, w]` of the true class.
      predicted: `[N]` class with the highest score.
      best: `[L, N, 255]` of `boxes.best_overlaps`.
    """

    maps: np.ndarray
    predicted: np.ndarray
    best: np.ndarray


def run(plan: Plan, images: Images, out: pathlib.Path) -> str:
    """Computes what is not yet in the folder `out`.

    Returns:
      The tables, in Markdown.
    """
    runs.same_settings(out, plan)
    lams = (0.0, *sorted({*plan.lams, PAPER} - {0.0}))
    found = find(plan, lams, images, out / "maps")
    rows = [
        {"lam": lam, "images": part, **_measures(found.best[k, chosen])}
        for k, lam in enumerate(lams)
        for part, chosen in _parts(len(images.names)).items()
    ]
    tables.write_csv(out / "accuracy.csv", rows)
    right = 100 * (found.predicted == images.labels).mean()
    text = f"{len(images.names)} images, top-1 accuracy {right:.1f} %\n\n"
    text += sweep_table(lams, found.best) + "\n" + halves_table(lams, found.best)
    (out / "table.md").write_text(text)
    save(figures.maps(images, lams.index(PAPER), found), out / "maps.png")
    return text


def find(plan: Plan, lams: tuple[float, ...], images: Images, folder: pathlib.Path) -> Found:
    """Maps and boxes of all images; each batch is kept in a file, so that a stopped run goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    parts, variables = [], None
    network = zoo.NETWORKS[plan.network]
    batches = list(in_order(len(images.names), plan.batch_size))
    for number, batch in enumerate(tqdm(batches, plan.network)):
        path = folder / f"{number:05}.npz"
        if not path.exists():
            variables = variables or _variables(plan, network)
            found = _find(network, variables, lams, images, range(batch.start, batch.stop), plan)
            with path.with_suffix(".part").open("wb") as file:
                np.savez(file, **found._asdict())
            path.with_suffix(".part").replace(path)
        with np.load(path) as file:
            parts.append(Found(**file))
    maps, predicted, best = zip(*parts, strict=True)
    return Found(np.concatenate(maps, 1), np.concatenate(predicted), np.concatenate(best, 1))


def _find(
    network: zoo.Network,
    variables: Any,
    lams: tuple[float, ...],
    images: Images,
    numbers: range,
    plan: Plan,
) -> Found:
    # A short last batch is filled up: one shape, compiled once.
    filled = [*numbers, *[numbers[-1]] * (plan.batch_size - len(numbers))]
    pixels = np.stack([images.read(number, plan.size or network.size) for number in filled])
    inputs = zoo.normalised(network, pixels)
    scores, maps = zoo.scores_and_maps(network.cam, variables, inputs, images.labels[filled], lams)
    maps = np.asarray(maps)[:, : len(numbers)]
    best = [
        [
            boxes.best_overlaps(boxes.levels(m), images.boxes[n])
            for n, m in zip(numbers, row, strict=True)
        ]
        for row in maps
    ]
    return Found(maps, np.asarray(scores).argmax(1)[: len(numbers)], np.array(best))


def _variables(plan: Plan, network: zoo.Network) -> Any:
    shapes = zoo.shapes(network)
    if plan.weights == "random":
        return weights.random(shapes)
    package = plan.weights == "package"
    path = weights.packaged() if package else pathlib.Path(plan.weights)
    return weights.convert(pickles.read(path), shapes, network.unused)


def _parts(count: int) -> dict[str, slice]:
    """All images, and two halves of them."""
    return {"all": slice(count), "even": slice(0, count, 2), "odd": slice(1, count, 2)}


def _measures(best: np.ndarray) -> dict[str, str]:
    accuracies = boxes.accuracies(best)
    values = zip(boxes.OVERLAPS, accuracies.max(1), accuracies.argmax(1), strict=True)
    row = {"MaxBoxAccV2": f"{accuracies.max(1).mean():.3f}"}
    for overlap, accuracy, level in values:
        row |= {f"IoU {overlap}": f"{accuracy:.3f}", f"level {overlap}": str(level)}
    return row


def difference(plain: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Difference of MaxBoxAccV2 `other - plain`, and its standard error.

    The error is that over resamples of the images with both methods together, best levels and all.
    """
    counts = np.random.default_rng(0).multinomial(
        len(plain), np.full(len(plain), 1 / len(plain)), RESAMPLES
    )

    def resampled(best: np.ndarray) -> np.ndarray:
        counted = [(counts @ (best >= overlap)).max(1) for overlap in boxes.OVERLAPS]
        return 100 * np.mean(counted, 0) / len(plain)

    change = boxes.max_box_acc(other).mean() - boxes.max_box_acc(plain).mean()
    return float(change), float(np.std(resampled(other) - resampled(plain), ddof=1))


def sweep_table(lams: tuple[float, ...], best: np.ndarray) -> str:
    """The counterpart of Table 3, for each weight."""
    return _table([(_name(lam), rows, best[0]) for lam, rows in zip(lams, best, strict=True)])


def halves_table(lams: tuple[float, ...], best: np.ndarray) -> str:
    """The weight with the highest MaxBoxAccV2 on one half of the images, on the other half."""
    parts, body = _parts(best.shape[1]), []
    for chosen, tested in (("even", "odd"), ("odd", "even")):
        quality = [boxes.max_box_acc(rows[parts[chosen]]).mean() for rows in best]
        k, other = int(np.argmax(quality)), parts[tested]
        body.append((f"CAM, {tested} images", best[0, other], best[0, other]))
        name = f"{_name(lams[k])}, chosen on the {chosen}"
        body.append((name, best[k, other], best[0, other]))
    return _table(body)


def _name(lam: float) -> str:
    return f"CAM + TV, λ = {lam:g}" if lam else "CAM"


def _table(entries: list[tuple[str, np.ndarray, np.ndarray]]) -> str:
    """Rows of name, best overlaps, and those of CAM on the same images."""
    body = []
    for name, best, plain in entries:
        each = boxes.max_box_acc(best)
        change, error = difference(plain, best)
        against = f"{change:+.2f} ± {error:.2f}" if best is not plain else ""
        body.append([name, *(f"{value:.1f}" for value in each), f"{each.mean():.2f}", against])
    header = [f"IoU {overlap}" for overlap in boxes.OVERLAPS]
    return tables.markdown(("", *header, "MaxBoxAccV2", "against CAM"), body)

# SPDX-License-Identifier: MIT
"""The whole experiment: maps with each weight of the TV layer, their boxes, tables, the figure."""

import pathlib

import numpy as np

from examples.common import runs, tables
from examples.common.figures import save
from examples.wsol import boxes, figures
from examples.wsol.data import Images
from examples.wsol.maps import PAPER, Plan, find

RESAMPLES = 1000


def run(plan: Plan, images: Images, out: pathlib.Path, source: str = "stand-in") -> str:
    """Computes what is not yet in the folder `out`; `source` is where the images come from.

    Returns:
      The tables, in Markdown.
    """
    runs.same_settings(out, plan, {"source": source, "images": len(images.names)})
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
        against = "" if np.array_equal(best, plain) else f"{change:+.2f} ± {error:.2f}"
        body.append([name, *(f"{value:.1f}" for value in each), f"{each.mean():.2f}", against])
    header = [f"IoU {overlap}" for overlap in boxes.OVERLAPS]
    return tables.markdown(("", *header, "MaxBoxAccV2", "against CAM"), body)

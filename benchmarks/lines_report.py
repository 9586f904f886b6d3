# SPDX-License-Identifier: MIT
"""Table and plot of the figures of lines.py: rows of its CSV file, as dictionaries."""

import itertools
import pathlib

PASSES = ("forward", "with backward")


def markdown(rows: list[dict], case_type: type) -> str:
    """A case in each row; for each number of threads and pass the time and the ratios to it."""
    peers = sorted({r["library"] for r in rows} - {"jaxtv", "copy"})
    columns = list(itertools.product(dict.fromkeys(r["threads"] for r in rows), PASSES))
    found = {(case_of(r, case_type), r["threads"], r["pass"], r["library"]): r for r in rows}
    head = ["case", "floor", *(f"{t} thread{'s' * (t > 1)}, {kind}" for t, kind in columns)]
    lines = [
        f"Milliseconds of jaxtv (time of {', '.join(peers) or 'no peer'} by that of jaxtv).",
        "",
        "| " + " | ".join(head) + " |",
        "|---|" + "---:|" * (len(head) - 1),
    ]
    for case in dict.fromkeys(key[0] for key in found):
        cells = []
        for threads, kind in columns:
            own = {p: found.get((case, threads, kind, p)) for p in ("jaxtv", *peers)}
            ratios = ", ".join(f"{p} {own[p]['ratio']:.1f}" for p in peers if own[p])
            cells.append(f"{own['jaxtv']['ms']:.3g}" + f" ({ratios})" * bool(ratios))
        floor = found[case, columns[0][0], "forward", "copy"]["ms"]
        lines.append(f"| {case.label()} | {floor:.2g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def case_of(row: dict, case_type: type):
    """The case that a row belongs to; JSON made lists of its tuples."""
    values = (row[field] for field in case_type._fields)
    return case_type(*(tuple(v) if isinstance(v, list) else v for v in values))


def plot(rows: list[dict], case_type: type, path: pathlib.Path) -> None:
    """Ratios to jaxtv in all cases, a panel for each number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    peers = [r for r in rows if r["library"] == "fastprox"]
    if not peers:
        return
    labels = list(dict.fromkeys(case_of(r, case_type).label() for r in peers))[::-1]
    counts = list(dict.fromkeys(r["threads"] for r in peers))
    figure, panels = pyplot.subplots(
        1, len(counts), figsize=(11, 0.19 * len(labels) + 1), sharey=True, squeeze=False
    )
    for threads, axes in zip(counts, panels[0], strict=True):
        for kind, marker in zip(PASSES, ("o", "x"), strict=True):
            own = [r for r in peers if (r["threads"], r["pass"]) == (threads, kind)]
            places = [labels.index(case_of(r, case_type).label()) for r in own]
            axes.plot([r["ratio"] for r in own], places, marker, label=kind, markersize=4)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set(xscale="log", title=f"{threads} thread{'s' * (threads > 1)}")
        axes.set_xlabel("time of fastprox / time of jaxtv")
        axes.set_yticks(range(len(labels)), labels, fontsize=6)
        axes.grid(axis="x", which="both", linewidth=0.3)
    panels[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)

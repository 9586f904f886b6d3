# SPDX-License-Identifier: MIT
"""Do images lie within the error bound that comes with them, and are they solved as asked?

One case is a batch of small images. They are compared with the exact prox (`exact.py`):

* the distance to it is at most `error_bound`, and half of its square at most `gap`;
* `converged` means a bound of at most `tol ||x - mean(x)||`, `exact` one of `eps ||x||`;
* duals that come back are feasible; no start, nor a batch mate, changes what is promised;
* an image that has no prox is all NaN.

Bounds are compared without tolerance, but for the proven error of the exact prox itself and what
`ProxInfo` says of float64.
"""

import jax
import jax.numpy as jnp
import numpy as np
from ml_dtypes import finfo

import jaxtv
from fuzz import exact
from fuzz.image_cases import ImageCase, random_case
from fuzz.tally import Tally, literal

BATCH = 200
TOLERANCES = (1e-1, 1e-3, 1e-6, 0.0)
LIMITS = (1, 2, 7, 1000, 1000)
COMPILED = 300
"""Cases after which compiled programs are dropped."""


def run(seed: int, first: int, count: int, batch: int = BATCH) -> Tally:
    """Checks cases of `batch` images."""
    tally = Tally()
    with jax.enable_x64(True):
        for number in range(first, first + count):
            rng = np.random.default_rng((seed, number))
            case = random_case(rng, batch)
            options = _options(rng, case)
            label = f"seed {seed}, case {number} of {batch} images, {case}, {_described(options)}"
            _check(tally, rng, case, options, label)
            if number % COMPILED == COMPILED - 1:
                jax.clear_caches()
    return tally


def _options(rng: np.random.Generator, case: ImageCase) -> dict:
    if rng.random() < 0.3:
        return {"num_sweeps": int(rng.choice((0, 1, 2, 4, 16, 128)))}
    options = {"tol": float(rng.choice(TOLERANCES)), "max_sweeps": int(rng.choice(LIMITS))}
    kind = rng.random()
    if kind < 0.15:
        options["init"] = 0.0
    elif kind < 0.3:
        options["init"] = _any_duals(rng, case)
    return options


def _described(options: dict) -> str:
    return ", ".join(f"{k}={'arrays' if isinstance(v, tuple) else v}" for k, v in options.items())


def _any_duals(rng: np.random.Generator, case: ImageCase) -> tuple[np.ndarray, ...]:
    """Duals that may be far from feasible, or no numbers."""
    duals = []
    for axis, n in enumerate(case.size):
        shape = [len(case.x), *case.size]
        shape[axis + 1] = max(n - 1, 0)
        dual = rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 6)
        dual[rng.random(shape) < 0.01] = rng.choice((np.nan, np.inf))
        duals.append(case.laid_out(dual.astype(case.lams[0].dtype)))
    return tuple(duals)


def _solve(case: ImageCase, options: dict):
    x, lam, options = jax.tree.map(jnp.asarray, (case.laid_out(case.x), case.weights(), options))
    if "num_sweeps" in options:
        options["num_sweeps"] = int(options["num_sweeps"])
    return jaxtv.prox_tv(x, lam, axes=case.axes, return_info=True, **options)


def _check(tally: Tally, rng, case: ImageCase, options: dict, label: str) -> None:
    y, info = _solve(case, options)
    y = case.batch_first(y)
    fields = {name: np.asarray(value) for name, value in info._asdict().items() if name != "dual"}
    bad = case.bad()
    tally.counts["images"] += len(y)

    def report(kind: str, wrong: np.ndarray, detail) -> None:
        for i in np.flatnonzero(wrong):
            tally.add(
                kind,
                lambda i=i: (
                    f"images: {kind}: {detail(i)} ({label}, image {i})",
                    _snippet(case.one(i), options, i),
                ),
            )

    report("an image that has no prox is not NaN", bad & ~_all(np.isnan(y)), lambda i: "")
    good = ~bad & _all(np.isfinite(y.astype(np.float64)))
    report("not finite", ~bad & ~good, lambda i: "")
    for name, wrong, detail in _broken(tally, case, y, fields, options, good):
        report(name, wrong, detail)
    for name, wrong in _broken_duals(case, info.dual, good):
        report(name, wrong, lambda i: "")
    if rng.random() < 0.1:
        i = int(rng.integers(len(y)))
        alone = case.batch_first(_solve(case.one(i), _options_of_one(case, options, i))[0])
        report(
            "other bits in a batch",
            np.arange(len(y)) == (-1 if _same(alone[0], y[i]) else i),
            lambda i: "",
        )


def _broken(tally: Tally, case: ImageCase, y, fields, options: dict, good):
    """Promises of the info: what is broken, for which images, and in numbers."""
    where = np.flatnonzero(good)
    distance, slack = np.zeros(len(y)), np.zeros(len(y))
    lams = [lam[where] if len(lam) > 1 else lam for lam in case.lams]
    found = exact.compare(case.x[where].astype(np.float64), lams, y[where].astype(np.float64))
    distance[where], slack[where] = found.distance, found.slack
    tally.counts["images compared"] += len(where)
    tally.counts["images without a proof"] += int(np.isinf(slack).sum())

    x, x_type = case.x.astype(np.longdouble), np.dtype(case.x.dtype)
    image = tuple(range(1, x.ndim))
    with np.errstate(all="ignore"):
        size = np.sqrt((x**2).sum(image))
        deviation = np.sqrt(((x - x.mean(image, keepdims=True)) ** 2).sum(image))
        bound, gap = (fields[name].astype(np.longdouble) for name in ("error_bound", "gap"))
        tol = np.longdouble(options.get("tol", 1e-3))
        eps = float(finfo(x_type).eps)
        wide = 1 + 64 * eps  # what is compared with is rounded itself
        floor = float(finfo(case.lams[0].dtype).tiny)
        # In float64 a bound leaves out the last digits of about eps ||x||.
        last_digits = eps * size if x_type.itemsize == 8 else 0
        above = np.maximum(distance - slack - last_digits, 0)
        converged = good & fields["converged"]
        yield (
            "further than its error bound",
            good & ~(above <= bound),
            lambda i: f"distance {distance[i]:.6g}, bound {float(bound[i]):.6g}",
        )
        if x_type.itemsize > 2:  # the cast is not part of the gap
            yield (
                "gap below half the squared distance",
                good & ~(above**2 / 2 <= gap + floor),
                lambda i: f"distance {distance[i]:.6g}, gap {float(gap[i]):.6g}",
            )
        yield (
            "converged beyond tol",
            converged & ~(bound <= tol * deviation * wide + floor),
            lambda i: f"bound {float(bound[i]):.6g}, allowed {float(tol * deviation[i]):.6g}",
        )
        yield (
            "exact beyond rounding",
            good & fields["exact"] & ~(bound <= eps * size * wide + floor),
            lambda i: f"bound {float(bound[i]):.6g}, allowed {float(eps * size[i]):.6g}",
        )
        limit = options.get("num_sweeps", options.get("max_sweeps"))
        yield (
            "more sweeps than allowed",
            good & (fields["sweeps"] > limit),
            lambda i: f"{fields['sweeps'][i]} of {limit}",
        )
        if limit == 1000:
            tally.counts["images to converge"] += int(good.sum())
            tally.counts["images not converged"] += int((good & ~fields["converged"]).sum())
        if tol >= 1e-3 and limit == 1000 and x_type.itemsize > 2:
            easy = tol * deviation >= 4 * eps * size  # not where rounding hides the deviation
            yield (
                "not converged at an easy tol",
                good & easy & ~fields["converged"],
                lambda i: (
                    f"bound {float(bound[i]):.6g}, tol {float(tol * deviation[i]):.6g}, "
                    f"sweeps {fields['sweeps'][i]}"
                ),
            )


def _broken_duals(case: ImageCase, duals, good):
    for axis, dual in enumerate(duals or ()):
        dual = case.batch_first(dual)
        feasible = (np.abs(dual) <= case.lams[axis]) if dual.size else np.ones(dual.shape, bool)
        yield f"dual {axis} beyond its weight", good & ~_all(feasible)


def _options_of_one(case: ImageCase, options: dict, i: int) -> dict:
    if not isinstance(options.get("init"), tuple):
        return options
    init = (case.laid_out(case.batch_first(p)[i : i + 1]) for p in options["init"])
    return options | {"init": tuple(init)}


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def _all(truth: np.ndarray) -> np.ndarray:
    return truth.all(axis=tuple(range(1, truth.ndim)))


def _snippet(case: ImageCase, options: dict, i: int) -> str:
    """A program that solves the image, first batch axis left out."""
    axes = tuple(range(len(case.size)))
    given = dict(options)
    if isinstance(given.get("init"), tuple):
        rows = (case.batch_first(p)[i] for p in given["init"])
        given["init"] = "(" + "".join(f"jnp.array({literal(p)}), " for p in rows) + ")"
    words = "".join(f", {name}={value}" for name, value in given.items())
    lams = [f'jnp.array({literal(lam[0])}, "{lam.dtype}")' for lam in case.lams]
    return (
        "import jax, jax.numpy as jnp, jaxtv\n"
        "from numpy import inf, nan\n"
        'jax.config.update("jax_enable_x64", True)\n'
        f'x = jnp.array({literal(case.x[0].astype(np.float64))}, "{case.x.dtype}")\n'
        f"lam = ({', '.join(lams)},)\n"
        f"print(jaxtv.prox_tv(x, lam, axes={axes}, return_info=True{words}))"
    )

# SPDX-License-Identifier: MIT
"""Are the derivatives the projections that they should be, and the slopes of the prox?

One case is a batch of small images, differentiated as lines, as images or through a number of
sweeps. P, the derivative in x at the result y, is the mean over the components of equal y:

* symmetric, idempotent (along lines bit by bit), and it keeps the sum of an image;
* equal to means over components that SciPy finds, and constant on each, bit by bit;
* the cotangent of a weight is -sign(D y) D P v, summed over what shares it;
* forward mode is the transpose; and, where the prox is affine around x, a difference of exact
  prox values has the same slope.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from images import components

import jaxtv
import jaxtv.forward
from fuzz import exact
from fuzz.image_cases import ImageCase, random_case
from fuzz.tally import Tally

BATCH = 200
STEP = 1e-6
KINDS = ("direct", "newton", "image", "sweeps")
COMPILED = 100
"""Cases after which compiled programs are dropped."""


@dataclasses.dataclass
class Problem:
    """A function of an image case and its derivatives, in both modes."""

    kind: str
    case: ImageCase
    prox: Callable
    forward: Callable
    lams: tuple[np.ndarray, ...]
    axes: tuple[int, ...]


def run(seed: int, first: int, count: int, batch: int = BATCH) -> Tally:
    """Checks cases of `batch` images."""
    tally = Tally()
    with jax.enable_x64(True):
        for number in range(first, first + count):
            rng = np.random.default_rng((seed, number))
            case = random_case(rng, batch, spoiled=False)
            # Data with ties have no slope but one to each side.
            tied = rng.random() < 0.4
            if not tied:
                noise = rng.normal(size=case.x.shape) * 0.1 * np.abs(case.x).max()
                case.x = (case.x + noise).astype(case.x.dtype)
            problem = _problem(rng, case)
            label = f"seed {seed}, case {number}, {problem.kind}, axes {problem.axes}, {case}"
            if case.x.dtype.itemsize == 2:  # computed as float32 is
                continue
            tally.counts["gradients"] += batch
            for kind, wrong in _broken(tally, rng, problem, tied):
                if np.any(wrong):
                    program = f"python -m fuzz --part gradients --seed {seed} --case {number}"
                    tally.add(
                        kind,
                        lambda kind=kind, wrong=wrong, label=label, program=program: (
                            f"gradients: {kind}: {np.sum(wrong)} of {np.size(wrong)} ({label})",
                            program,
                        ),
                    )
            if number % COMPILED == COMPILED - 1:
                jax.clear_caches()
    return tally


def _problem(rng: np.random.Generator, case: ImageCase) -> Problem:
    """The batch axis of `case` is first here."""
    case = dataclasses.replace(case, batch_axis=0)
    kind = KINDS[rng.integers(len(KINDS))]
    if kind in ("direct", "newton"):
        a = int(rng.integers(len(case.size)))

        def line(module):
            return lambda x, lams: module.prox_tv_1d(x, lams[0], axis=a + 1, method=kind)

        return Problem(kind, case, line(jaxtv), line(jaxtv.forward), (case.lams[a],), (a + 1,))
    axes = tuple(range(1, case.x.ndim))
    options = {"tol": 0.0, "max_sweeps": 2000}
    if kind == "sweeps":
        options = {"num_sweeps": int(rng.integers(1, 5))}

    def image(module):
        return lambda x, lams: module.prox_tv(x, lams, axes=axes, **options)

    return Problem(kind, case, image(jaxtv), image(jaxtv.forward), tuple(case.lams), axes)


def _broken(tally: Tally, rng, p: Problem, tied: bool) -> Iterator[tuple[str, np.ndarray | bool]]:
    x, lams = jnp.array(p.case.x), tuple(jnp.array(lam) for lam in p.lams)
    y, pull = jax.vjp(p.prox, x, lams)
    u, v = (rng.normal(size=x.shape).astype(x.dtype) for _ in range(2))
    (pu, lam_u), (pv, _) = jax.device_get((pull(jnp.array(u)), pull(jnp.array(v))))
    y = np.asarray(y)
    yield "not finite", not all(np.isfinite(a).all() for a in (pu, pv, *lam_u))
    if p.kind != "sweeps":
        yield from _not_a_projection(p, y, (u, v), (pu, pv), np.asarray(pull(jnp.array(pu))[0]))
        yield from _not_the_weights(p, y, pu, lam_u)
    yield from _not_the_slope(tally, rng, p, u, pu, lam_u, tied)


def _not_a_projection(p: Problem, y, cotangents, pulled, twice):
    (u, v), (pu, pv) = cotangents, pulled
    eps, axes = np.finfo(y.dtype).eps, p.axes
    size = np.sqrt(_sum(u * u, axes) * _sum(v * v, axes))
    yield "not symmetric", np.abs(_sum(pu * v, axes) - _sum(u * pv, axes)) > 16 * eps * size
    # Along lines bit by bit; components are averaged in float64.
    yield "not idempotent", np.abs(twice - pu) > (4 * eps * np.abs(u).max() * (p.kind == "image"))
    most = np.abs(u).max(axes)
    count = np.prod([y.shape[a] for a in axes])
    yield "the sum changes", np.abs(_sum(pu, axes) - _sum(u, axes)) > 4 * eps * count * most
    lams = [np.ones(()) for _ in range(y.ndim)]
    for axis in range(y.ndim):
        lams[axis] = p.lams[axes.index(axis)] if axis in axes else np.zeros(())
    label = components(y, lams)
    mean = np.bincount(label, u.ravel().astype(np.float64)) / np.bincount(label)
    expected = mean[label].reshape(y.shape)
    yield "not the mean of components", np.abs(pu - expected) > 8 * eps * np.abs(u).max()
    first = np.zeros(label.max() + 1, pu.dtype)
    first[label] = pu.ravel()
    yield "not constant on components", first[label].reshape(y.shape) != pu


def _not_the_weights(p: Problem, y, pu, lam_u):
    eps = np.finfo(y.dtype).eps
    for lam, lam_bar, axis in zip(p.lams, lam_u, p.axes, strict=True):
        slope = -np.sign(np.diff(y, axis=axis)) * np.diff(pu.astype(np.float64), axis=axis)
        shared = tuple(d for d, n in enumerate(lam.shape) if n == 1)
        count = max(np.prod([slope.shape[d] for d in shared]), 1)
        expected = slope.sum(shared, keepdims=True)
        allowed = 4 * eps * count * np.abs(pu).max(initial=0)
        # One weight of 0 for a line: x_bar ties nothing, its own cotangent looks at larger weights.
        special = (lam == 0) if p.kind != "image" and lam.shape[axis] == 1 else False
        yield "cotangent of a weight", (np.abs(lam_bar - expected) > allowed) & ~np.asarray(special)


def _not_the_slope(tally: Tally, rng, p: Problem, u, pu, lam_u, tied: bool):
    """Along random directions of x and of the weights."""
    dx = rng.normal(size=u.shape).astype(u.dtype)
    scale = np.abs(p.case.x).max() or 1.0
    dlams = tuple(
        rng.uniform(-1, 1, lam.shape).astype(lam.dtype) * _movable(lam, scale) for lam in p.lams
    )
    x, lams = jnp.array(p.case.x), tuple(jnp.array(lam) for lam in p.lams)
    tangents = (jnp.array(dx), tuple(jnp.array(d) for d in dlams))
    _, dy = jax.jvp(p.forward, (x, lams), tangents)
    pulled = np.vdot(pu, dx) + sum(np.vdot(a, d) for a, d in zip(lam_u, dlams, strict=True))
    size = (
        np.abs(pu * dx).sum()
        + sum(np.abs(a * d).sum() for a, d in zip(lam_u, dlams, strict=True))
        + np.abs(u * np.asarray(dy)).sum()
    )
    eps = np.finfo(u.dtype).eps
    yield "forward mode is not the transpose", abs(np.vdot(u, dy) - pulled) > 64 * eps * size
    if u.dtype != np.float64 or tied:
        return
    ys = [_prox_of_shifted(p, sign * STEP * scale, dx, dlams) for sign in (-1, 0, 1)]
    before, after = ((b - a) / (STEP * scale) for a, b in itertools.pairwise(ys))
    most = max(np.abs(dx).max(), max(np.abs(d).max(initial=0) for d in dlams))
    affine = np.abs(before - after) <= 1e-7 * most
    affine = affine.all(axis=p.axes, keepdims=True)
    wrong = np.abs((before + after) / 2 - np.asarray(dy)) > 1e-7 * most
    tally.counts["slopes compared"] += int(affine.sum())
    yield "slope", wrong & affine


def _movable(lam: np.ndarray, scale: float) -> np.ndarray:
    """How far a weight may go from where it is: not at all from 0 or infinity."""
    return np.where(np.isfinite(lam), np.minimum(lam / lam.dtype.type(scale), 1), 0)


def _prox_of_shifted(p: Problem, h: float, dx, dlams) -> np.ndarray:
    """The exact prox beside the point; of a number of sweeps, that of the library."""
    x = p.case.x + h * dx
    lams = tuple(np.maximum(lam + h * d, 0) for lam, d in zip(p.lams, dlams, strict=True))
    if p.kind == "sweeps":
        return np.asarray(p.prox(jnp.array(x), tuple(jnp.array(lam) for lam in lams)))
    if p.kind == "image":
        return exact.compare(x, lams, x).y
    moved = np.moveaxis(x, p.axes[0], -1)
    shape = [*moved.shape[:-1], -1]
    lam = np.moveaxis(lams[0], p.axes[0], -1)
    lam = np.broadcast_to(lam, (*moved.shape[:-1], lam.shape[-1]))
    rows = moved.reshape(-1, moved.shape[-1])
    y = exact.compare(rows, [lam.reshape(len(rows), -1)], rows).y
    return np.moveaxis(y.reshape(shape), -1, p.axes[0])


def _sum(a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return a.astype(np.longdouble).sum(axes)

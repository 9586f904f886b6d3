# SPDX-License-Identifier: MIT
"""Do the methods that factor the matrix of a small coupled image end, and in a few steps?"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled_here
from isotropic_models import energies

import jaxtv
from jaxtv._operators import isotropic as operators
from jaxtv._plain.stencil import Stencil
from jaxtv._plumbing import primitive

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),
    pytest.mark.skipif(
        "JAXTV_TEST_BACKEND" in os.environ or not compiled_here("jaxtv_prox_isotropic"),
        reason="other platforms iterate, whatever the image",
    ),
]

RNG = np.random.default_rng(7)
SQUARE = RNG.standard_normal((24, 23)) + 2 * (np.indices((24, 23)).sum(0) > 20)
HOLES = np.where(RNG.random(SQUARE.shape) < 0.3, 0, RNG.uniform(0.5, 1, SQUARE.shape))
EDGES = tuple(RNG.uniform(0.1, 1, SQUARE.shape) * (RNG.random(SQUARE.shape) < 0.9) for _ in "ab")
CASES = {
    "square": (SQUARE, 0.5, 1.0),
    "large weight": (SQUARE, 5.0, 1.0),
    "tall": (SQUARE.reshape(-1, 12), 0.5, 1.0),
    "wide": (SQUARE.reshape(12, -1), 0.5, 1.0),
    "three columns": (SQUARE.reshape(-1, 3), 0.5, 1.0),
    "missing data": (SQUARE, 0.5, HOLES),
    "spacing": (SQUARE, (0.2, 0.9), 1.0),
    "weights of edges": (SQUARE, EDGES, 1.0),
    "tiny weights": (SQUARE, (1e-200, 1e-3), 1.0),
}


@pytest.mark.parametrize(
    ("name", "dtype", "tol"),
    [*((name, "float64", 1e-6) for name in CASES), ("square", "float32", 0.0)],
)
def test_small_images_take_few_steps(name, dtype, tol):
    """Iterations alone would be thousands."""
    image, lam, m = CASES[name]
    lams = lam if isinstance(lam, tuple) else (lam, lam)
    given = jax.tree.map(lambda a: jnp.asarray(a, dtype), (image, lams, m))
    y, info = jaxtv.prox_tv_2d(
        given[0], given[1], kind="isotropic", data_weight=given[2], tol=tol, init=0.0,
        max_sweeps=400, return_info=True,
    )  # fmt: skip
    assert info.sweeps < 400
    assert info.converged or tol == 0
    duals = [np.float64(p) for p in info.dual]
    weights = [np.float64(jnp.asarray(w, dtype)) for w in lams]
    x, eps = np.float64(given[0]), float(jnp.finfo(dtype).eps)
    primal, dual, excess = energies(
        np.float64(y), duals, x, weights, (0, 1), "isotropic", data_weight=np.float64(given[2])
    )
    assert excess <= 1 + 4 * eps
    assert primal - dual <= float(info.gap) + 4 * eps * np.square(x).sum()


def test_a_matrix_without_an_inverse_is_left_to_iterations():
    """A pixel without data whose differences have no weight may have any value."""
    m, lam = np.ones((20, 20)), np.full((20, 20), 0.8)
    m[3, 4] = lam[3, 4] = lam[2, 4] = lam[3, 3] = 0
    x = SQUARE[:20, :20]
    y, info = jaxtv.prox_tv_2d(
        x, lam, kind="isotropic", data_weight=m, tol=1e-4, max_sweeps=30_000, return_info=True
    )
    assert np.isfinite(y).all() and info.converged and info.sweeps > 100


def dense(stencil, m, lams, lengths, q, source):
    """The solution of the linear problem in the images whose inactive differences are 0."""
    n = source.size
    rows, quadratic = [], np.diag(np.broadcast_to(m, source.shape).ravel())
    columns = [stencil.differences(jnp.asarray(e.reshape(source.shape))) for e in np.eye(n)]
    steps = [np.stack([np.asarray(c[a]).ravel() for c in columns], 1) for a in range(2)]
    radii, slopes = (np.asarray(jnp.stack(a)).reshape(2, -1) for a in stencil.radii(lams, source))
    lengths, q = (np.stack(a).reshape(2, -1) for a in (lengths, q))
    for k in range(n):
        both = np.stack([slopes[a, k] * steps[a][k] for a in range(2)])
        if lengths[0, k] > 0:
            across = np.eye(2) - np.outer(q[:, k], q[:, k])
            quadratic += radii[0, k] / lengths[0, k] * both.T @ across @ both
        else:
            rows.append(both)
    _, s, v = np.linalg.svd(np.concatenate(rows))
    free = v[np.sum(s > 1e-9 * s[0]) :]
    return free.T @ np.linalg.solve(free @ quadratic @ free.T, free @ source.ravel())


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.3, 0.7)])
def test_the_linear_problem_is_solved_as_by_dense_algebra(spacing):
    shape = (1, 9, 8)
    stencil = Stencil((0, 1, 2), isotropic=True, periodic=False)
    source, levels = RNG.standard_normal(shape), np.round(RNG.standard_normal(shape), 0)
    lams = tuple(jnp.full((1, 1, 1), w) for w in spacing)
    slopes = stencil.radii(lams, source)[1]
    steps = stencil.steps(slopes, jnp.asarray(levels))
    lengths = stencil.lengths(steps)
    q = [np.where(n > 0, h / np.where(n > 0, n, 1), 0) for h, n in zip(steps, lengths, strict=True)]
    m = jnp.asarray(RNG.uniform(0.5, 1, shape))
    numbers = (jnp.full((1, 1, 1), 1e-9), jnp.full((1, 1, 1), 400, jnp.int32))
    operands = (source, m, *numbers, *lams, *lengths, *q)
    z, residual, sweeps = primitive.bind(operators._linear_p, *operands, **stencil._asdict())
    assert sweeps.item() < 40
    assert residual.item() <= 1e-9 * np.linalg.norm(source)
    expected = dense(stencil, m, lams, lengths, q, source)
    np.testing.assert_allclose(np.ravel(z), expected, atol=1e-7)

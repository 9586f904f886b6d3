# SPDX-License-Identifier: MIT
"""Images and volumes to solve, a weight of each form for them, and the regions of a solution."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import jaxtv

# Two images, two volumes, and a weight for each form that `lam` can take.
SHAPES = {2: (2, 7, 6), 3: (2, 4, 5, 3)}
FORMS = ("scalar", "image", "pair", "line", "edge", "zeros", "infinite")


def weight(form, dims, seed=0):
    rng, shape = np.random.default_rng(seed), SHAPES[dims]
    axes = range(1, dims + 1)

    def per_edge(axis):
        return rng.uniform(0.1, 1, [n - (d == axis) for d, n in enumerate(shape)])

    if form == "scalar":
        return 0.3
    if form == "image":
        return rng.uniform(0.1, 1, (2,) + (1,) * dims)
    if form == "pair":
        return tuple(0.1 + 0.2 * a for a in axes)
    if form == "line":
        return tuple(per_edge(a).max(axis=a, keepdims=True) for a in axes)
    edges = tuple(per_edge(a) for a in axes)
    for w in edges:
        if form == "zeros":
            w[rng.random(w.shape) < 0.3] = 0
        if form == "infinite":
            w[rng.random(w.shape) < 0.2] = np.inf
    return edges


def weights_of(lam, dims):
    return lam if isinstance(lam, tuple) else (lam,) * dims


def solve(x, lam, dims, **options):
    lam = jax.tree.map(lambda w: jnp.asarray(w, x.dtype), lam)
    return jaxtv.prox_tv(x, lam, axes=range(1, dims + 1), max_sweeps=20_000, **options)


def distance(y, want):
    return np.sqrt(np.sum((np.float64(y) - want) ** 2, tuple(range(1, y.ndim))))


def components(y, lams):
    """Labels of the connected components of equal neighbours with a positive weight."""
    nodes, pairs = np.arange(y.size).reshape(y.shape), []
    for axis, w in enumerate(lams):
        ahead = np.diff(y, axis=axis) == 0
        joined = ahead & (np.broadcast_to(w, ahead.shape) > 0)
        first = np.delete(nodes, -1, axis)[joined]
        pairs.append(np.stack([first, np.delete(nodes, 0, axis)[joined]]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(y.size, y.size))
    return connected_components(graph, directed=False)[1]

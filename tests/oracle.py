# SPDX-License-Identifier: MIT
"""An independent answer: slow float64 numpy solvers of TV prox operators, and certificates.

    prox(x, w) = argmin_y  1/2 ||y - x||^2 + sum_e w_e |(D y)_e|

Nothing here is shared with the library, neither code nor algorithm:

* one line: dynamic programming over piecewise linear derivative messages (Johnson, "A dynamic
  programming algorithm for the fused lasso and L0-segmentation", 2013), then the value of each run
  from exact sums;
* several axes: projected FISTA on all edge duals at once, then component means, with a proof of the
  error;
* K sweeps: the proximal Dykstra iteration written down literally, on top of the first.
"""

import itertools
import math
from collections import deque

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def prox_1d(x, lam, axis=-1):
    """TV prox of every line of `x`; `lam` broadcasts, with size 1 or n - 1 along `axis`."""
    x, w = _lines(x, lam, axis)
    y = np.empty_like(x)
    for index in np.ndindex(x.shape[:-1]):
        y[index] = prox_line(x[index], w[index])
    return np.moveaxis(y, -1, axis)


def prox_line(x, w):
    """TV prox of one line `x` of n values with n - 1 edge weights `w` in [0, inf]."""
    if len(x) == 0:
        return x.copy()
    cuts = np.flatnonzero(w == 0) + 1  # an edge of weight zero separates the line into two problems
    pieces = zip(np.split(x, cuts), np.split(w, cuts), strict=True)
    y = [_message_passing(piece, weights[: len(piece) - 1]) for piece, weights in pieces]
    return _run_values(x, w, np.concatenate(y))


def kkt_violation(x, y, lam, axis=-1):
    """How far `y` is from the optimality conditions, per line, relative to the line's max |x|.

    With `u_k = sum_{i <= k} (y - x)_i` they are: `u_n = 0`, `|u_k| <= w_k`, and
    `u_k = w_k sign(y_{k+1} - y_k)` where `y` jumps. They are necessary and sufficient, so zero
    means that `y` is the prox.
    """
    x, w = _lines(x, lam, axis)
    y = np.moveaxis(np.asarray(y, np.float64), axis, -1)
    u = np.cumsum(y - x, axis=-1)
    s = np.sign(np.diff(y))
    jump = np.abs(u[..., :-1] - np.where(s == 0, 0.0, w) * s)
    outside = np.maximum(np.abs(u[..., :-1]) - w, 0.0)
    violation = np.concatenate([np.where(s == 0, outside, jump), np.abs(u[..., -1:])], axis=-1)
    scale = np.abs(x).max(axis=-1)
    return violation.max(axis=-1) / np.where(scale == 0, 1.0, scale)


def run_mean(y, g, axis=-1):
    """Mean of `g` over each maximal run of equal `y`: the derivative of the prox at `y`."""
    y, g = (np.moveaxis(np.asarray(a, np.float64), axis, -1) for a in (y, g))
    out = np.empty_like(g)
    for index in np.ndindex(y.shape[:-1]):
        for start, stop in _runs(y[index]):
            out[index][start:stop] = math.fsum(g[index][start:stop]) / (stop - start)
    return np.moveaxis(out, -1, axis)


def pull_back(y, lam, g):
    """Cotangents of lines along the last axis: of the signal, and of each line's or edge's weight.

    Literally: the mean over each run, which an edge of weight 0 of its own ends, and -sign(y' - y)
    times the difference of means. A line whose only weight is 0 moves freely, but not its weight.
    """
    lam = np.broadcast_to(lam, (*y.shape[:-1], lam.shape[-1]))
    x_bar, lam_bar = np.empty(y.shape), np.empty((*y.shape[:-1], y.shape[-1] - 1))
    per_edge = lam.shape[-1] != 1
    for index in np.ndindex(y.shape[:-1]):
        level, w = y[index], lam[index]
        cut = (np.diff(level) != 0) | (per_edge & (w == 0))
        ends = [0, *(np.flatnonzero(cut) + 1), level.size]
        mean = np.concatenate(
            [
                np.full(b - a, math.fsum(g[index][a:b]) / (b - a))
                for a, b in itertools.pairwise(ends)
            ]
        )
        lam_bar[index] = -np.sign(np.diff(level)) * np.diff(mean)
        x_bar[index] = g[index] if not per_edge and w[0] == 0 else mean
    return x_bar, lam_bar if per_edge else lam_bar.sum(-1, keepdims=True)


def dykstra(x, lams, axes, sweeps):
    """Alg. 1 of the paper on axes `(first, last)`: a sweep solves along `last`, then `first`."""
    first, last = axes
    y = np.asarray(x, np.float64)
    p = q = np.zeros_like(y)
    for _ in range(sweeps):
        z = prox_1d(y + p, lams[1], last)
        p = p + y - z
        y_next = prox_1d(z + q, lams[0], first)
        q = q + z - y_next
        y = y_next
    return y


def prox_nd(x, lams, axes, iterations=40_000):
    """TV prox over several axes, one weight array per axis; proven error below 1e-12 of the scale.

    Every array over the other axes (an image of a batch) is one problem.
    """
    x = np.asarray(x, np.float64)
    front = [a for a in range(x.ndim) if a not in {b % x.ndim for b in axes}]
    order = front + [a % x.ndim for a in axes]
    sizes = [x.shape[a] for a in order]
    images = np.transpose(x, order).reshape(-1, *sizes[len(front) :])
    weights = []
    for w, a in zip(lams, axes, strict=True):
        each = np.transpose(_edge_weights(x, w, a), order)
        weights.append(each.reshape(len(images), *each.shape[len(front) :]))
    y = _projected_fista(images, weights, iterations).reshape(sizes)
    return np.transpose(y, np.argsort(order))


def total_variation(x, axes, lams):
    """sum_a sum_e w_e |(D_a x)_e| over the TV axes; the other axes stay."""
    x = np.asarray(x, np.float64)
    axes = [a % x.ndim for a in axes]
    terms = [
        np.sum(np.abs(np.diff(x, axis=a)) * _edge_weights(x, w, a), axis=tuple(axes))
        for a, w in zip(axes, lams, strict=True)
    ]
    return sum(terms)


def _edge_weights(x, lam, axis):
    shape = list(x.shape)
    shape[axis] = max(shape[axis] - 1, 0)
    lam = np.asarray(lam, np.float64)
    return np.broadcast_to(lam, shape)


def _lines(x, lam, axis):
    x = np.asarray(x, np.float64)
    w = _edge_weights(x, lam, axis)
    return np.moveaxis(x, axis, -1), np.moveaxis(w, axis, -1)


def _message_passing(x, w):
    """Johnson's forward and backward pass; all weights positive, infinite ones allowed.

    The forward message of sample k is the derivative, in the value b of sample k, of the best cost
    of samples 0..k. It is increasing and piecewise linear: `slope * b + intercept` at either end,
    and knots (position, slope jump, intercept jump) between. An edge clips it to [-w, w]; `low` and
    `high` are where that happens, and the best sample k, given sample k + 1, is the latter clipped
    to [low, high].
    """
    n, shift = len(x), np.mean(x)
    z = (x - shift).tolist()
    low, high = [-math.inf] * (n - 1), [math.inf] * (n - 1)
    knots = deque()
    left, right = [1, -z[0]], [1, -z[0]]
    for k in range(n - 1):
        if w[k] < math.inf:
            low[k] = _advance(knots, left, -w[k])
            high[k] = _retreat(knots, right, w[k])
            knots.appendleft((low[k], left[0], left[1] + w[k]))
            knots.append((high[k], -right[0], w[k] - right[1]))
            left, right = [0, -w[k]], [0, w[k]]
        left, right = [[a + 1, c - z[k + 1]] for a, c in (left, right)]
    y = [_advance(knots, left, 0.0)] * n
    for k in reversed(range(n - 1)):
        y[k] = min(max(y[k + 1], low[k]), high[k])
    return np.array(y) + shift


def _advance(knots, end, target):
    """Drop the knots where the message is below `target`; return where it equals `target`."""
    while knots and end[0] * knots[0][0] + end[1] < target:
        _, slope, intercept = knots.popleft()
        end[0], end[1] = end[0] + slope, end[1] + intercept
    return (target - end[1]) / end[0]


def _retreat(knots, end, target):
    """The mirror image of `_advance`, from the right."""
    while knots and end[0] * knots[-1][0] + end[1] > target:
        _, slope, intercept = knots.pop()
        end[0], end[1] = end[0] - slope, end[1] - intercept
    return (target - end[1]) / end[0]


def _runs(y):
    edges = np.flatnonzero(y[1:] != y[:-1]) + 1
    bounds = [0, *edges.tolist(), len(y)]
    return [(a, b) for a, b in itertools.pairwise(bounds) if a < b]


def _run_values(x, w, y):
    """Values of the runs of `y` from the optimality conditions summed over each run, exactly."""
    out = y.copy()
    for start, stop in _runs(y):
        terms = x[start:stop].tolist()
        if start > 0:
            terms.append(w[start - 1] * np.sign(y[start - 1] - y[start]))
        if stop < len(y):
            terms.append(w[stop - 1] * np.sign(y[stop] - y[stop - 1]))
        out[start:stop] = math.fsum(terms) / (stop - start)
    return out


def _divergence(duals, shape):
    """D^T p for one array of edge duals for each of the last axes."""
    out = np.zeros(shape)
    for axis, p in zip(range(-len(duals), 0), duals, strict=True):
        before, after = _but(out, -1, axis), _but(out, 0, axis)
        before -= p
        after += p
    return out


def _projected_fista(x, weights, iterations):
    """Minimise 1/2 ||x - D^T p||^2 over |p_e| <= w_e; momentum restarts when it points uphill.

    Of every image x[i] on its own, but in step: an iteration on a small array is mostly overhead.
    """
    axes, inner = range(1, x.ndim), tuple(range(1, x.ndim))
    y, left = np.empty_like(x), np.arange(len(x))
    p = [np.zeros(w.shape) for w in weights]
    q, t = p, np.ones((len(x), *[1] * len(axes)))
    target = 1e-12 * np.maximum(np.abs(x).max(inner), np.finfo(float).tiny)
    for k in range(1, iterations + 1):
        residual = x - _divergence(q, x.shape)
        step = [
            v + np.diff(residual, axis=a) / (4 * len(axes)) for a, v in zip(axes, q, strict=True)
        ]
        p_next = [np.clip(v, -w, w) for v, w in zip(step, weights, strict=True)]
        triples = list(zip(q, p_next, p, strict=True))
        uphill = sum(
            np.sum((v - new) * (new - old), inner, keepdims=True) for v, new, old in triples
        )
        t_next = np.where(uphill > 0, 1.0, (1 + np.sqrt(1 + 4 * t * t)) / 2)
        beta = np.where(uphill > 0, 0.0, (t - 1) / t_next)
        q = [new + beta * (new - old) for _, new, old in triples]
        p, t = p_next, t_next
        if k % 50 == 0:
            found = [
                _certified(image, [v[i] for v in p], [w[i] for w in weights])
                for i, image in enumerate(x)
            ]
            bound = np.array([b for _, b in found])
            y[left] = [z for z, _ in found]
            more = bound > target
            if not more.any():
                return y
            left, x, t, target = left[more], x[more], t[more], target[more]
            p, q, weights = ([a[more] for a in arrays] for arrays in (p, q, weights))
    raise RuntimeError(
        f"the oracle stopped with error bounds {bound[more]} after {iterations} iterations"
    )


def _certified(x, p, weights):
    """Component means of the dual residual, and a bound on their distance to the prox of `x`.

    `y` is constant on the components joined by the edges that are strictly inside their bounds (or
    where the residual is flat). If every other edge e has `p_e = w_e sign((D y)_e)`, then `y` is
    exactly the prox of `y + D^T p`; the prox does not expand distances, so
    `||y - prox(x)|| <= ||y + D^T p - x||`.
    """
    residual = x - _divergence(p, x.shape)
    nodes = np.arange(x.size).reshape(x.shape)
    flat = 1e-8 * np.abs(x).max()
    pairs = []
    for axis, (v, w) in enumerate(zip(p, weights, strict=True)):
        free = (np.abs(v) < w) | ((np.abs(np.diff(residual, axis=axis)) <= flat) & (w > 0))
        pairs.append(np.stack([_but(nodes, -1, axis)[free], _but(nodes, 0, axis)[free]]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(x.size, x.size))
    count, label = connected_components(graph, directed=False)
    mean = np.bincount(label, residual.ravel(), count) / np.bincount(label, minlength=count)
    y = mean[label].reshape(x.shape)
    for axis, (v, w) in enumerate(zip(p, weights, strict=True)):
        s = np.sign(np.diff(y, axis=axis))
        if np.any((s != 0) & (v * s != w)):
            return y, math.inf
    return y, np.linalg.norm(y + _divergence(p, x.shape) - x)


def _but(a, position, axis):
    """`a` without its first (0) or last (-1) slice along `axis`."""
    index = [slice(None)] * a.ndim
    index[axis] = slice(1, None) if position == 0 else slice(None, -1)
    return a[tuple(index)]

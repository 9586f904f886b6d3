# SPDX-License-Identifier: MIT
"""An independent answer for lines with a mass on each sample, and rings: a dense dual in float64.

    y = argmin 1/2 sum_k m_k (y_k - x_k)^2 + sum_k w_k |y_{k+1} - y_k|

One weight for each sample, that of the edge to the next one; for a line the last is 0. The dual is
least squares in bounds, solved by SciPy's active set method (Stark and Parker, "Bounded-variable
least squares", 1995).
"""

import numpy as np
from scipy.optimize import lsq_linear
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def prox(x, w, m):
    """The values of the samples with mass; NaN at the others."""
    known = np.flatnonzero(m > 0)
    y = np.full(x.shape, np.nan)
    n = len(known)
    if n == 0:
        return y
    # A stretch of samples without mass is one edge: its dual is the same all along.
    ends = [*known[1:], known[0] + len(x)]
    stretches = [range(*pair) for pair in zip(known, ends, strict=True)]
    bound = np.array([np.take(w, stretch, mode="wrap").min() for stretch in stretches])
    edges = np.flatnonzero(bound > 0)
    x, m = x[known], m[known]
    gradient = (np.roll(np.eye(n), 1, 1) - np.eye(n))[edges]  # of a ring of one, and of two, too
    limit = np.minimum(bound[edges], 1 + 2 * np.abs(m * x).sum())  # of any dual
    side = np.zeros(len(edges))  # of the bound at which each dual is
    if len(edges):
        root = np.sqrt(m)
        box = -limit, limit
        side = lsq_linear(gradient.T / root[:, None], root * x, box, "bvls", tol=1e-15).active_mask
    # Samples move together across duals that are at no bound; their level is that of their sums.
    tied = gradient[side == 0]
    count, run = connected_components(coo_array(tied.T @ tied), directed=False)
    force = m * x - gradient.T @ (side * limit)
    y[known] = (np.bincount(run, force, count) / np.bincount(run, m, count))[run]
    return y


def violation(x, y, w, m, ring):
    """How far `y` is from the optimality conditions, which are sufficient too.

    For some dual u with u_k - u_{k-1} = m_k (y_k - x_k): |u_k| <= w_k, and u_k = w_k sign(y_{k+1} -
    y_k) at a jump. It begins with 0 on a line, with any number on a ring.
    """
    u = np.cumsum(np.where(m > 0, m * (y - np.where(m > 0, x, 0)), 0))
    s = np.sign(np.roll(y, -1) - y)
    if not ring:
        s[-1] = 0
    at_jump = np.where(s == 0, 0, w) * s
    low, high = np.where(s == 0, -w, at_jump) - u, np.where(s == 0, w, at_jump) - u
    if ring:
        return max(low.max() - high.min(), abs(u[-1]), 0)
    return max(low.max(), -high.min(), 0)

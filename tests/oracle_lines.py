# SPDX-License-Identifier: MIT
"""An independent answer for lines with a mass on each sample and for rings: a dense dual in float64.

    y = argmin 1/2 sum_k m_k (y_k - x_k)^2 + sum_k w_k |y_{k+1} - y_k|

One weight for each sample, that of the edge to the next one; for a line the last is 0. The dual is
least squares in bounds, solved by SciPy's active set method (Stark and Parker, "Bounded-variable
least squares", 1995).
"""

import numpy as np
from scipy.optimize import lsq_linear


def prox(x, w, m):
    """The values of the samples with mass; NaN at the others."""
    known = np.flatnonzero(m > 0)
    y = np.full(x.shape, np.nan)
    n = len(known)
    if n == 0:
        return y
    # A stretch of samples without mass is one edge: its dual is the same all along.
    stretches = [np.arange(k, stop) for k, stop in zip(known, [*known[1:], known[0] + len(x)])]
    bound = np.array([w[s % len(x)].min() for s in stretches])
    free = np.flatnonzero(bound > 0)
    root = np.sqrt(m[known])
    gradient = (np.roll(np.eye(n), 1, 1) - np.eye(n))[free]  # of a ring of one, and of two, too
    limit = np.minimum(bound[free], 1 + 2 * np.abs(m[known] * x[known]).sum())  # of any dual
    dual = np.zeros(0)
    if len(free):
        found = lsq_linear(
            gradient.T / root[:, None], root * x[known], (-limit, limit), "bvls", tol=1e-15
        )
        dual = found.x
    y[known] = x[known] - gradient.T @ dual / m[known]
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
    low, high = np.where(s == 0, -w, s * w) - u, np.where(s == 0, w, s * w) - u
    if ring:
        return max(low.max() - high.min(), abs(u[-1]), 0)
    return max(low.max(), -high.min(), 0)

# SPDX-License-Identifier: MIT
"""Lines with a weight on each sample, of every kind, for the tests."""

import jax
import numpy as np

import jaxtv

LINES, N = 8, 13
RNG = np.random.default_rng(0)
NOTHING = np.zeros((LINES, N))
SOME = RNG.random((LINES, N)) < 0.6
MASSES = {
    "ones": NOTHING + 1,
    "any": RNG.exponential(size=(LINES, N)),
    "missing": RNG.exponential(size=(LINES, N)) * SOME,
    "mask": 1.0 * SOME,
    "few": 1.0 * (RNG.random((LINES, N)) < 0.2),
    "wide": 10.0 ** RNG.uniform(-3, 3, (LINES, N)),
    "of a line": RNG.exponential(size=(LINES, 1)),
    "of a column": RNG.exponential(size=(1, N)) * SOME[:1],
    "one": np.full((1, 1), 2.5),
}
LAMS = {
    "one": np.full((1, 1), 0.3),
    "line": RNG.exponential(size=(LINES, 1)),
    "edge": RNG.exponential(size=(LINES, N - 1)),
    "equal edges": np.round(2 * RNG.random((LINES, N - 1))),  # zeros, ones and twos
    "infinite": np.full((1, 1), np.inf),
}
prox = jax.jit(lambda x, lam, m: jaxtv.prox_tv_1d(x, lam, data_weight=m))

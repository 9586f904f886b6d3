# SPDX-License-Identifier: MIT
"""Is a line ever much slower to solve than noise?"""

import numpy as np
import pytest
from fuzz import slow_inputs

MOST = 8.0  # times the work of noise

pytestmark = pytest.mark.skipif(slow_inputs.COMPILER is None, reason="needs g++ or clang++")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return slow_inputs.build(tmp_path_factory.mktemp("work"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [100, 5000])
def test_the_slowest_line_of_a_search(n, dtype, work):
    ratio, line = slow_inputs.search(work, n, dtype, 300)
    assert ratio <= MOST, line.name


HALF = np.linspace(0, 1, 2500)
KNOWN = {
    "ramp": np.arange(5000.0),
    "exponential, then a ramp": np.concatenate([np.exp(43 * HALF), 2500 * HALF]),
    "ramps beside each other": np.arange(5000.0) % 400,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lam", [1.0, 1e4, 1e9])
@pytest.mark.parametrize("name", KNOWN)
def test_lines_that_are_slow_for_one_method(name, lam, dtype, work):
    """Walks are quadratic on ramps; divide and conquer takes a round for each power of ten."""
    line = slow_inputs.Line(name, KNOWN[name], np.array([lam]))
    assert work(line, dtype) <= MOST * work(slow_inputs.noise(5000), dtype)

# SPDX-License-Identifier: MIT
"""Do CUDA's iterations on coupled images, on an emulator, equal plain JAX, and without races?"""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bits

from jaxtv._plain import isotropic_steps as plain

if os.environ.get("JAXTV_TEST_BACKEND"):
    pytest.skip("the kernel alone is called here", allow_module_level=True)


class Case(NamedTuple):
    """A shape, and what has a weight of its own: nothing, an image or a pixel."""

    batch: tuple[int, ...]
    channels: int
    lengths: tuple[int, ...]
    dtype: str = "float64"
    isotropic: bool = True
    periodic: bool = False
    lam: str = "one"
    data_weight: str = "one"
    linear: bool = False


CASES = {
    "on chip": Case((2,), 1, (7, 9)),
    "rings": Case((2, 3), 2, (7, 9), periodic=True, lam="image", data_weight="pixel"),
    "float32": Case((3,), 2, (9, 8), "float32", lam="pixel"),
    "volume": Case((), 3, (5, 4, 6), isotropic=False, lam="pixel", data_weight="image"),
    "line": Case((3,), 2, (40,), isotropic=False, lam="shared", linear=True),
    "long line": Case((), 3, (3500,), periodic=True),
    "regions": Case((2,), 1, (100, 75)),
    "regions of rings": Case((), 1, (120, 90), periodic=True, lam="pixel"),
    "regions of a volume": Case((), 1, (12, 40, 20), "float32", data_weight="pixel"),
    "regions, linear": Case((), 2, (48, 60), lam="pixel", linear=True),
    "many channels": Case((), 40, (20, 25), "float32", isotropic=False),
}


def operands(case):
    """In the order of the call; images end 0 to 40 iterations from here, some with one relaxed."""
    rng = np.random.default_rng(4)
    dims, one = (*case.batch, case.channels, *case.lengths), (1,) * len(case.batch)
    axes = range(len(case.batch) + 1, len(dims))
    numbers = (*case.batch, *(1 for _ in range(len(axes) + 1)))

    def normal(shape):
        return jnp.asarray(rng.normal(size=shape), case.dtype)

    def weights(form, channels):
        return jnp.abs(
            normal(
                {
                    "one": (1,) * len(dims),
                    "image": numbers,
                    "shared": (*one, channels, *case.lengths),
                    "pixel": (*case.batch, channels, *case.lengths),
                }[form]
            )
        )

    def ends(p, axis):
        last = jax.lax.broadcasted_iota(int, p.shape, axis) == p.shape[axis] - 1
        return p if case.periodic else jnp.where(last, 0, p)

    done = jnp.asarray(rng.integers(0, 5, numbers), "int32")
    due = done + jnp.asarray(rng.integers(0, 41, numbers), "int32")
    varied = jnp.asarray(rng.random(numbers) < 0.5)
    duals = [ends(0.1 * normal(dims), axis) for axis in axes]
    lams = [weights(case.lam, 1) for _ in axes]
    found = [normal(dims), normal(dims), done, due, varied]
    found += [weights(case.data_weight, case.channels), *lams, *duals]
    if case.linear:
        directions = [normal(dims) for _ in axes]
        size = jnp.sqrt(sum((q * q).sum(axes[0] - 1, keepdims=True) for q in directions))
        found += [weights("pixel", 1) for _ in axes] + [q / size for q in directions]
    return found


def attributes(case):
    first = len(case.batch)
    axes = tuple(range(first, first + 1 + len(case.lengths)))
    return {"axes": axes, "isotropic": case.isotropic, "periodic": case.periodic}


def run(emulated, case, given, count=32):
    return emulated.isotropic_steps(given, **attributes(case), count=count)


@pytest.mark.parametrize("name", CASES)
def test_iterations_are_those_of_plain_jax(fast, name):
    case = CASES[name]
    given = operands(case)
    got, want = run(fast, case, given), plain.advance(*given, **attributes(case), count=32)
    for a, b in zip(got, want, strict=True):
        size = 1 + jnp.abs(b).max()
        assert jnp.abs(a - b).max() <= 40 * jnp.finfo(case.dtype).eps * size


@pytest.mark.parametrize("name", ["on chip", "regions", "line", "many channels"])
def test_parts_of_a_run_are_the_run(fast, name):
    """No bit depends on how many iterations a call makes, thus on regions and buffers."""
    case = CASES[name]
    whole, parts = operands(case), operands(case)
    end = jnp.minimum(whole[3], whole[2] + 20)
    duals = slice(6 + len(case.lengths), 6 + 2 * len(case.lengths))
    whole[3] = parts[3] = end
    want = run(fast, case, whole)
    for count in (5, 1, 14):
        parts[0], *parts[duals] = run(fast, case, parts, count)
        parts[2] = jnp.minimum(parts[2] + count, end)
    for got, expected in zip((parts[0], *parts[duals]), want, strict=True):
        assert bits(got) == bits(expected)


@pytest.mark.parametrize("name", ["rings", "volume", "line", "regions of a volume"])
def test_kernels_have_no_race_and_read_what_was_written(check, name):
    case = CASES[name]
    given = operands(case)
    given[3] = jnp.minimum(given[3], given[2] + 5)
    jax.block_until_ready(run(check, case, given))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({2: jnp.zeros((2, 1, 1, 1))}, "iterations done has a wrong dtype"),
        ({3: jnp.zeros((2, 1, 7, 1), "int32")}, "iteration due"),
        ({5: jnp.ones((1, 1, 1, 1), "float32")}, "data_weight must have the dtype of x"),
        ({6: jnp.ones((1, 1, 2, 1))}, "lam"),
        ({9: jnp.ones((1, 1, 7, 9))}, "a dual"),
    ],
)
def test_wrong_operands_are_refused(fast, change, says):
    case = CASES["on chip"]
    given = operands(case)
    for k, array in change.items():
        given[k] = array
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT: jaxtv: .*{says}"):
        run(fast, case, given)


@pytest.mark.parametrize("count", [0, 33])
def test_a_wrong_count_is_refused(fast, count):
    case = CASES["on chip"]
    with pytest.raises(jax.errors.JaxRuntimeError, match="must be 1 to 32"):
        run(fast, case, operands(case), count)

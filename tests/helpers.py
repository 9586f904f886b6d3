# SPDX-License-Identifier: MIT
"""Test signals, and the accuracy that the library owes on them."""

import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from jaxtv._plumbing import ffi

large = pytest.mark.large

KINDS = ("noise", "walk", "steps", "ramp", "alternating", "integers", "constant")


def signal(kind, shape, seed=0):
    """Lines along the last axis, float64 but exact in float32, of size one up to sqrt(n)."""
    rng = np.random.default_rng(seed)
    noise, k = rng.normal(size=shape), np.arange(shape[-1])
    x = {
        "noise": lambda: noise,
        "walk": lambda: noise.cumsum(axis=-1),
        "steps": lambda: np.repeat(noise, 7, axis=-1)[..., : shape[-1]],
        "ramp": lambda: 0.01 * k * (1 + np.abs(noise[..., :1])),
        "alternating": lambda: (1 - 2 * (k % 2)) * np.ones(shape),
        "integers": lambda: rng.integers(-3, 4, shape),
        "constant": lambda: np.full(shape, 0.7),
    }[kind]()
    return np.asarray(x, np.float32).astype(np.float64)


def allowed_error(x, lam, dtype, axis=-1):
    """Largest error allowed per line.

    An exact answer is a mean of inputs plus (+-lam +-lam) / length on each run. A method that keeps
    running means rounds a few times at the size of those terms, so a few units in the last place of
    max|x| + lam are conceded, whatever the length. A weight above the line's lambda_max acts like
    lambda_max, so no more than that is conceded. float64 gets 1e-12, which leaves room for the
    oracle. Below the smallest normal number nothing is owed: it counts as zero.
    """
    finfo = jnp.finfo(dtype)
    relative = (
        1e-12 if finfo.bits == 64 else 8 * max(float(finfo.eps), float(jnp.finfo("float32").eps))
    )
    x, lam = np.asarray(x, np.float64), np.asarray(lam, np.float64)
    lam = lam.reshape((1,) * (x.ndim - lam.ndim) + lam.shape).max(axis, keepdims=True, initial=0)
    bounded = np.minimum(lam, lambda_max(x, axis))
    return relative * (np.abs(x).max(axis, keepdims=True, initial=0) + bounded) + float(finfo.tiny)


def kkt_slack(n, dtype):
    """Optimality residuals are cumulative sums over a line, so n allowed errors may add up."""
    return n * (1e-12 if jnp.finfo(dtype).bits == 64 else 8 * float(jnp.finfo("float32").eps))


def lambda_max(x, axis):
    """Largest |cumulative sum of the deviations from the mean|."""
    x = np.asarray(x, np.float64)
    mean = x.sum(axis, keepdims=True) / max(x.shape[axis], 1)
    return np.abs(np.cumsum(x - mean, axis)).max(axis, keepdims=True, initial=0)


def assert_prox(y, x, lam, axis=-1, dtype=None):
    """`y` is the prox of `x` to the accuracy owed to `dtype` (by default that of `y`)."""
    dtype = dtype or y.dtype
    want = oracle.prox_1d(x, lam, axis)
    assert y.shape == x.shape
    excess = np.abs(np.asarray(y, np.float64) - want) / allowed_error(x, lam, dtype, axis)
    assert excess.max(initial=0) <= 1, f"{excess.max():.3g} times the allowed error"


def bits(a):
    """The bytes of an array: equal only if every bit is, signs of zero too.

    All NaN count as one: which of them a conversion of half types makes differs between devices.
    """
    a = np.array(a)
    if (nan := a != a).any():
        a[nan] = np.nan
    return a.tobytes()


def cpu_mesh(shape, names, axis_types):
    """A mesh of devices of the CPU platform, which the tests have also where a GPU is."""
    devices = jax.devices("cpu")[: math.prod(shape)]
    return jax.make_mesh(shape, names, axis_types=axis_types, devices=devices)


def default_platform():
    """That of JAX's default device, as lowering names it."""
    return {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())


def rounding_in_step(dtype):
    """By how much, in units of the largest number, short lines may round other than core/ does.

    CUDA walks float32 lines with one weight in step, with sums in float32, and leaves lines that
    are not fit for that, such as those of extreme scale, to core/.
    """
    cuda = default_platform() == "cuda" or os.environ.get("JAXTV_TEST_BACKEND") == "cuda_emulator"
    return 4 * float(jnp.finfo(dtype).eps) if cuda and dtype == "float32" else 0.0


def compiled_here(target):
    """Whether JAX's default device has a compiled kernel of this name."""
    return default_platform() in ffi.platforms_of(target)

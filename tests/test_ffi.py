# SPDX-License-Identifier: MIT
"""Do wrong calls of the compiled handlers, and wrong installations, end in an error that helps?"""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxtv
from jaxtv._plumbing import ffi

X = np.ones((2, 5, 3), np.float32)


def call(target, *operands, shape=X.shape, dtype=np.float32, axis=1):
    result = jax.ShapeDtypeStruct(shape, dtype)
    value = jax.ffi.ffi_call(target, result)(*operands, axis=np.int64(axis))
    return jax.block_until_ready(value)


WRONG_CALLS = {
    "axis too large": ("axis 3", dict(axis=3), (X, np.ones((1, 1, 1), np.float32))),
    "axis negative": ("axis -1", dict(axis=-1), (X, np.ones((1, 1, 1), np.float32))),
    "rank": ("ranks differ", {}, (X, np.ones((1, 1), np.float32))),
    "length": ("length - 1", {}, (X, np.ones((1, 5, 1), np.float32))),
    "batch": ("size 1 or that of x", {}, (X, np.ones((3, 1, 1), np.float32))),
    "dtype of lam": ("dtype of x", {}, (X, np.ones((1, 1, 1)))),
    "result shape": ("the result", dict(shape=(2, 5, 2)), (X, np.ones((1, 1, 1), np.float32))),
    "result dtype": ("the result", dict(dtype=np.float64), (X, np.ones((1, 1, 1), np.float32))),
    "integers": ("float32", dict(dtype=np.int32), (np.int32(X), np.ones((1, 1, 1), np.int32))),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_the_prox_handler_refuses(case):
    says, options, operands = WRONG_CALLS[case]
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT: jaxtv: .*{says}"):
        call("jaxtv_prox_tv1d", *operands, **options)


@pytest.mark.parametrize("v", [np.ones((2, 5, 4), np.float32), np.ones((2, 5, 3))])
def test_the_pull_back_handler_refuses(v):
    lam = np.ones((1, 1, 1), np.float32)
    like = [jax.ShapeDtypeStruct(shape, np.float32) for shape in (X.shape, (2, 1, 3))]
    with pytest.raises(jax.errors.JaxRuntimeError, match="v of shape"):
        jax.ffi.ffi_call("jaxtv_pull_back", like)(X, lam, v, axis=np.int64(1))


@pytest.mark.parametrize("num_sweeps", [0, -1, 2**31, 2**62])
def test_the_sweeps_handler_refuses(num_sweeps):
    """Also a number of sweeps of which the number of codes overflows."""
    results = [
        jax.ShapeDtypeStruct(s, t) for s, t in ((X.shape, X.dtype), ((1, *X.shape), "uint8"))
    ]
    sweeps = jax.ffi.ffi_call("jaxtv_sweeps", results)
    lam, axes = np.ones((1, 1, 1), np.float32), np.array([0, 1])
    with pytest.raises(jax.errors.JaxRuntimeError, match="num_sweeps must be at least 1 and at"):
        sweeps(X, lam, lam, axes=axes, num_sweeps=np.int64(num_sweeps), keep_bits=True)


def test_weights_that_alternate_too_often_are_refused_not_overrun():
    x = np.ones((2,) * 26 + (1,), np.float32)
    lam = np.ones([1 + d % 2 for d in range(26)] + [1], np.float32)
    with pytest.raises(jax.errors.JaxRuntimeError, match="too many separate dimensions"):
        call("jaxtv_prox_tv1d", x, lam, shape=x.shape, axis=26)


@pytest.mark.parametrize("built", [(0, 9), (1, 0)])
def test_a_build_for_another_jaxlib_is_refused_with_the_remedy(built):
    with pytest.raises(ImportError, match=r"Upgrade jaxlib, or rebuild .*pip install"):
        ffi.check_api_version("jaxtv._cpu", built, (0, 3))


def test_an_older_build_is_accepted():
    ffi.check_api_version("jaxtv._cpu", (0, 3), (0, 5))
    assert ffi.running_api_version() >= (0, 3)


BUILT_FOR_ANOTHER_JAXLIB = """
import sys, types
module = types.ModuleType("jaxtv._cpu")
module.ffi_api_version, module.targets = (0, 99), {}
sys.modules["jaxtv._cpu"] = module
try:
    import jaxtv
except ImportError as error:
    print(error)
import jax
print(jax.numpy.ones(3).sum())
"""


def test_importing_a_build_for_another_jaxlib_leaves_jax_usable():
    """A refused registration would break the backend for everything else in the process."""
    said, value = run(BUILT_FOR_ANOTHER_JAXLIB).stdout.strip().split("\n")
    assert "jaxtv._cpu was built for version 0.99 of XLA's FFI" in said
    assert "pip install" in said
    assert value == "3.0"


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
    )


WITHOUT_KERNELS = """
import sys
sys.modules["jaxtv._cpu"] = None
import jax, jax.numpy as jnp, jaxtv
print(jaxtv.prox_tv_1d(jnp.array([0.0, 0.0, 4.0]), 1.0), jax.grad(
    lambda lam: jaxtv.prox_tv_1d(jnp.array([0.0, 0.0, 4.0]), lam)[2])(1.0))
"""


def test_without_kernels_one_warning_and_right_answers():
    done = run(WITHOUT_KERNELS)
    assert done.stdout.split("\n")[0] == "[0.5 0.5 3. ] -1.0", done.stderr
    assert done.stderr.count("jaxtv computes on cpu in plain JAX") == 1
    assert "pip install" in done.stderr


WITHOUT_CUDA = """
import sys
sys.modules["jaxtv._cuda"] = None
import jax, jax.numpy as jnp, jaxtv
for f in (jaxtv.prox_tv_1d, jaxtv.prox_tv_2d):
    f(jnp.ones((3, 3)), 1.0)
print("so far", file=sys.stderr)
for f in (jaxtv.prox_tv_1d, jaxtv.prox_tv_2d):
    jax.export.export(jax.jit(f), platforms=["cuda"])(jnp.ones((3, 3)), 1.0)
"""


def test_cuda_without_kernels_is_slow_but_never_silently():
    """A process that lowers for CUDA warns once, with the remedy; another one does not."""
    before, said = run(WITHOUT_CUDA).stderr.split("so far")
    assert "plain JAX" not in before
    assert said.count("jaxtv computes on cuda in plain JAX") == 1
    assert "nvcc" in said and "pip install" in said


def test_a_source_checkout_that_hides_the_installed_package_says_so():
    """As `python -m jaxtv` in the checkout does, where the current directory comes first."""
    code = """
import sys
sys.modules |= {"jaxtv._cpu": None, "jaxtv._cuda": None}
import jaxtv.__main__
jaxtv.__main__.main()
"""
    done = run(code)
    checkout = pathlib.Path(jaxtv.__file__).parents[1]
    if not (checkout / "CMakeLists.txt").exists():
        pytest.skip("jaxtv is not imported from a source checkout here")
    for text in (done.stdout, done.stderr):
        assert f"source checkout {checkout}" in text and "PYTHONSAFEPATH=1" in text
    assert "plain JAX (slow), self-check: value and gradient right" in done.stdout


BITS = """
import hashlib, jax, jax.numpy as jnp, jaxtv, numpy as np
x = jnp.asarray(np.random.default_rng(0).normal(size=(300, 200)), jnp.float32)
y, pull = jax.vjp(lambda x: jaxtv.prox_tv_2d(jnp.sin(x), 0.3, num_sweeps=2), x)
print(hashlib.sha256(np.asarray(y).tobytes() + np.asarray(pull(y)[0]).tobytes()).hexdigest())
"""


def test_answers_do_not_depend_on_the_number_of_threads():
    """And a pool of one thread, on which the handler itself may run, does not hang."""
    digests = [run(BITS, NPROC=threads) for threads in "125"]
    assert all(d.returncode == 0 for d in digests), digests[0].stderr
    assert len({d.stdout for d in digests}) == 1


def test_importing_needs_only_jax_and_numpy():
    code = "import sys, jaxtv; print('flax' in sys.modules)"
    assert run(code).stdout.strip() == "False"

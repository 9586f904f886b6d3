# SPDX-License-Identifier: MIT
"""Is the operator of K sweeps Alg. 1, with the exact derivative from two bits per half sweep?

The scan below is the algorithm as it is usually written down, differentiated by JAX through every
line solve. The oracle's own version is in test_tvnd.py, its finite differences in
test_gradients.py.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import bits, compiled_here, large, rounding_in_step, signal
from jax import lax

import jaxtv
from jaxtv._operators import sweeps
from jaxtv._plain import sweeps as plain_sweeps


def scan(x, lams, axes, num_sweeps):
    """Proximal Dykstra over `axes`, the last one first."""
    lams = lams if isinstance(lams, tuple) else (lams,) * len(axes)

    def sweep(state, _):
        y, duals = state
        updated = []
        for lam, axis, dual in zip(lams[::-1], axes[::-1], duals, strict=True):
            z = y + dual
            y = jaxtv.prox_tv_1d(z, lam, axis=axis)
            updated.append(z - y)
        return (y, tuple(updated)), None

    start = (x, tuple(jnp.zeros_like(x) for _ in axes))
    return lax.scan(sweep, start, length=num_sweeps)[0][0]


# shape, axes, and how large: rows and columns that fill vectors and blocks or do not, channels
# first and last, a batch axis between, an axis without edges, with one edge, three and four axes.
CASES = {
    "image": ((11, 14), (0, 1)),
    "channels first": ((2, 3, 33, 20), (2, 3)),
    "channels last": ((3, 9, 8, 5), (1, 2)),
    "many channels": ((1, 6, 7, 70), (-3, -2)),
    "turned": ((7, 2, 5, 2), (2, 0)),
    "one row": ((2, 1, 6), (1, 2)),
    "one edge": ((3, 2, 7), (1, 2)),
    "volume": ((2, 5, 6, 4), (1, 2, 3)),
    "four": ((4, 3, 2, 5), (3, 0, 2, 1)),
}


def weights(kind, shape, axes, rng):
    """A tuple of weights, one for each axis."""
    axes = [axis % len(shape) for axis in axes]
    sizes = {
        "scalar": lambda axis: [1] * len(shape),
        "per image": lambda axis: [1 if d in axes else n for d, n in enumerate(shape)],
        "per line": lambda axis: [1 if d == axis else n for d, n in enumerate(shape)],
        "per edge": lambda axis: [max(n - (d == axis), 0) for d, n in enumerate(shape)],
        "edges that lines share": lambda axis: [
            max(n - 1, 0) if d == axis else 1 for d, n in enumerate(shape)
        ],
    }[kind]
    return tuple(jnp.array(rng.exponential(0.4, sizes(axis))) for axis in axes)


KINDS = ("scalar", "per image", "per line", "per edge", "edges that lines share")


@pytest.mark.parametrize(
    ("case", "kind"),
    [(case, kind) for case in CASES for kind in KINDS if kind in KINDS[2:4] or case == "turned"],
)
def test_values_and_gradients_are_those_of_the_scan(case, kind):
    shape, axes = CASES[case]
    rng = np.random.default_rng(3)
    x, y_bar = (jnp.array(rng.normal(size=shape)) for _ in range(2))
    lam = weights(kind, shape, axes, rng)
    y, pull = jax.vjp(lambda x, lam: jaxtv.prox_tv(x, lam, axes=axes, num_sweeps=3), x, lam)
    want, pull_scan = jax.vjp(lambda x, lam: scan(x, lam, axes, 3), x, lam)
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-13)
    for got, by_scan in zip(*map(jax.tree.leaves, (pull(y_bar), pull_scan(y_bar))), strict=True):
        np.testing.assert_allclose(got, by_scan, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["scalar", "per line", "per edge"])
def test_weights_that_are_zero(kind):
    """The derivative in x is then the identity, and in lam that of a weight that grows."""
    shape, axes = (3, 8, 7), (1, 2)
    rng = np.random.default_rng(0)
    x = jnp.array(rng.integers(0, 3, shape), float)  # with equal neighbours
    lam = tuple(
        w * (rng.random(w.shape) < 0.5).astype(float) for w in weights(kind, shape, axes, rng)
    )
    lam = (lam[0], lam[1] * 0) if kind == "scalar" else lam
    y_bar = jnp.array(rng.normal(size=shape))
    _, pull = jax.vjp(lambda x, lam: jaxtv.prox_tv(x, lam, axes=axes, num_sweeps=2), x, lam)
    _, pull_scan = jax.vjp(lambda x, lam: scan(x, lam, axes, 2), x, lam)
    for got, want in zip(*map(jax.tree.leaves, (pull(y_bar), pull_scan(y_bar))), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("lam", [0.0, np.inf])
def test_weights_at_the_ends(lam):
    x = jnp.array(signal("noise", (2, 6, 9))).at[0, 0, 0].set(-0.0)
    y, pull = jax.vjp(lambda x: jaxtv.prox_tv_2d(x, lam, num_sweeps=2), x)
    (x_bar,) = pull(x)
    if lam == 0:
        assert bits(y) == bits(x)
        np.testing.assert_array_equal(x_bar, x)
    else:
        mean = jnp.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
        np.testing.assert_allclose(y, mean, rtol=0, atol=1e-14)
        np.testing.assert_allclose(x_bar, mean, rtol=0, atol=1e-14)


@pytest.mark.parametrize("spoil", ["x nan", "x inf", "lam negative", "lam nan"])
def test_a_bad_image_is_nan_and_no_other_changes(spoil):
    """Channels last: the images of a group alternate in memory. A line of the last axis solved."""
    x, lam = jnp.array(signal("noise", (2, 6, 7, 3))), jnp.full((2, 1, 7, 3), 0.3)
    fine = jax.vjp(lambda x: jaxtv.prox_tv(x, (lam, 0.3), axes=(1, 2), num_sweeps=1), x)
    bad_x, bad_lam = {
        "x nan": lambda: (x.at[1, 2, 3, 1].set(jnp.nan), lam),
        "x inf": lambda: (x.at[1, 2, 3, 1].set(-jnp.inf), lam),
        "lam negative": lambda: (x, lam.at[1, 0, 3, 1].set(-1e-30)),
        "lam nan": lambda: (x, lam.at[1, 0, 3, 1].set(jnp.nan)),
    }[spoil]()
    y, pull = jax.vjp(lambda x: jaxtv.prox_tv(x, (bad_lam, 0.3), axes=(1, 2), num_sweeps=1), bad_x)
    for got, want in [(y, fine[0]), (pull(jnp.ones_like(x))[0], fine[1](jnp.ones_like(x))[0])]:
        assert jnp.isnan(got[1, :, :, 1]).all()
        assert jnp.isnan(got).sum() == 42
        got, want = (a.at[1, :, :, 1].set(0) for a in (got, want))
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("case", ["channels first", "channels last", "volume"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_jax_gives_the_same_bits(case, dtype):
    """What platforms without a kernel compute, and the codes that the derivative reads."""
    shape, axes = CASES[case]
    rng = np.random.default_rng(1)
    x, y_bar = (jnp.array(rng.normal(size=shape), dtype) for _ in range(2))
    lams = [w.astype(dtype) for w in weights("per line", shape, axes, rng)]
    params = {"axes": axes, "num_sweeps": 3}
    got = jax.jit(functools.partial(sweeps.prox, axes=axes, num_sweeps=3))(x, lams)
    want = jax.jit(functools.partial(plain_sweeps.forward, **params, keep_bits=True))(x, *lams)
    assert [bits(a) for a in got] == [bits(a) for a in want]
    params["edges"] = (0,) * len(axes)
    backward = functools.partial(sweeps._reverse_p.bind, **params)
    got = jax.jit(backward)(y_bar, got[1])
    want = jax.jit(functools.partial(plain_sweeps.reverse, **params))(y_bar, want[1])
    off = np.abs(got[0] - want[0]).max()
    assert off <= rounding_in_step(dtype) * np.abs(y_bar).max()
    atol = 1e-12 if dtype == "float64" else 1e-5
    for a, b in zip(got[1:], want[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize(("case", "half"), [("channels last", "bfloat16"), ("one row", "float16")])
def test_half_types_are_computed_in_float32(case, half):
    """Bit for bit what conversions around the call give, in every derivative."""
    shape, axes = CASES[case]
    rng = np.random.default_rng(2)
    x, dx, y_bar = (jnp.array(rng.normal(size=shape), half) for _ in range(3))
    lam, dlam = jnp.float32(0.3), jnp.float32(0.1)
    solve = functools.partial(jaxtv.forward.prox_tv, axes=axes, num_sweeps=3)

    def around(x, lam):
        return solve(x.astype("float32"), lam).astype(half)

    def derivatives(f):
        def pull(x, lam, y_bar):
            return jax.vjp(f, x, lam)[1](y_bar)

        moved, tangents = (x, lam, y_bar), (dx, dlam, y_bar)
        second = jax.vjp(pull, *moved)[1]((dx, dlam)), jax.vjp(pull, *moved)[1]((0 * dx, dlam))
        forward = jax.jvp(f, (x, lam), (dx, dlam)), jax.jvp(pull, moved, tangents)
        return (
            f(x, lam),
            pull(x, lam, y_bar),
            forward,
            second,
            jax.vmap(f, (1, None))(jnp.stack([x, y_bar], 1), lam),
        )

    got, want = (jax.tree.leaves(derivatives(f)) for f in (solve, around))
    assert [a.dtype for a in got] == [a.dtype for a in want]
    assert [*map(bits, got)] == [*map(bits, want)]


def test_half_types_reach_the_kernels_as_they_are():
    """There and back, without an array of float32."""
    x = jnp.zeros((4, 6), "bfloat16")

    def run(x, y_bar):
        y, pull = jax.vjp(functools.partial(jaxtv.prox_tv_2d, num_sweeps=2), x, 0.1)
        return y, pull(y_bar)

    program = str(jax.make_jaxpr(run)(x, x))
    assert "jaxtv_sweeps_reverse" in program and "f32[4,6]" not in program


def test_images_that_fill_no_chip():
    """On CUDA, half sweep by half sweep; where edges have their own weights, in plain JAX."""
    x, y_bar = (jnp.array(signal("walk", (65, 460), seed), "float32") for seed in (0, 1))

    def run(f, *lam):
        y, pull = jax.vjp(lambda x, *lam: f(x, lam, (0, 1), 2), x, *lam)
        return y, pull(y_bar)

    def solve(x, lams, axes, num_sweeps):
        return jaxtv.prox_tv(x, lams, axes=axes, num_sweeps=num_sweeps)

    for lam in (jnp.float32(0.4), jnp.full((64, 460), 0.4, "float32")):
        text = jax.jit(lambda lam=lam: run(solve, lam, jnp.float32(0.3))).lower().as_text()
        by_lines = lam.size == 1 and compiled_here("jaxtv_sweeps_by_lines")
        assert ("jaxtv_sweeps_by_lines_reverse" in text) == by_lines
    lams = jnp.float32(0.4), jnp.float32(0.3)
    got, want = (jax.tree.leaves(run(f, *lams)) for f in (solve, scan))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * float(jnp.abs(b).max()))


def test_the_only_residual_is_two_bits_per_pixel_and_half_sweep():
    x, lam = jnp.zeros((4, 32, 32), "float32"), jnp.ones((), "float32")
    _, pull = jax.eval_shape(
        lambda x, lam: jax.vjp(lambda *a: jaxtv.prox_tv_2d(*a, num_sweeps=4), x, lam), x, lam
    )
    sizes = [(a.dtype.name, a.size) for a in jax.tree.leaves(pull) if a.size > 1]
    assert sizes == [("uint8", 2 * x.size)]


def test_memory_of_forward_and_backward():
    """In bytes per pixel of float32: x, y_bar, x_bar and y, and 2 of codes for K = 4."""
    x = jax.ShapeDtypeStruct((64, 32, 32), "float32")

    def value_and_pull(x, y_bar):
        y, pull = jax.vjp(lambda x: jaxtv.prox_tv_2d(x, jnp.float32(0.3), num_sweeps=4), x)
        return y, pull(y_bar)[0]

    memory = jax.jit(value_and_pull).lower(x, x).compile().memory_analysis()
    assert memory is not None
    arrays = memory.argument_size_in_bytes + memory.output_size_in_bytes
    assert arrays // x.size == 16
    assert memory.temp_size_in_bytes / x.size < 2.5


@pytest.mark.parametrize("num_sweeps", [1, 3])
def test_second_derivatives(num_sweeps):
    """Reverse over reverse, of a loss that is not linear in the result."""
    x, lam = jnp.array(signal("noise", (5, 6))), jnp.full((4, 6), 0.2)

    def curvature(prox):
        loss = lambda x, lam: jnp.sum(jnp.sin(prox(x, (lam, 0.3), (0, 1), num_sweeps)))  # noqa: E731
        slope = lambda *a: sum(jnp.sum(g**3) for g in jax.grad(loss, (0, 1))(*a))  # noqa: E731
        return jax.grad(slope, (0, 1))(x, lam)

    got = curvature(lambda x, lam, axes, k: jaxtv.prox_tv(x, lam, axes=axes, num_sweeps=k))
    for a, b in zip(got, curvature(scan), strict=True):
        assert jnp.abs(a).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_mapped_over_images_and_over_weights():
    x, lam = jnp.array(signal("noise", (3, 6, 5, 4))), jnp.array([0.1, 0.4, 2.0])

    def value_and_gradient(x, lam):
        loss = lambda x, lam: jnp.sum(jaxtv.prox_tv_2d(x, lam, axes=(0, 1), num_sweeps=3) ** 3)  # noqa: E731
        return jax.value_and_grad(loss, (0, 1))(x, lam)

    for in_axes in [(0, 0), (0, None), (None, 0), (3, None)]:
        mapped = jax.vmap(value_and_gradient, in_axes)(
            jnp.moveaxis(x, 0, 3) if in_axes[0] == 3 else x if in_axes[0] == 0 else x[0],
            lam if in_axes[1] == 0 else lam[0],
        )
        for i in range(3):
            alone = value_and_gradient(
                x[0 if in_axes[0] is None else i], lam[0 if in_axes[1] is None else i]
            )
            for a, b in zip(jax.tree.leaves(mapped), jax.tree.leaves(alone), strict=True):
                np.testing.assert_allclose(a[i], b, rtol=1e-13, atol=1e-13)


def test_codes_are_written_only_where_they_are_needed():
    x = jnp.zeros((4, 6, 5))
    text = jax.jit(lambda x: jaxtv.prox_tv_2d(x, 0.1, num_sweeps=4)).lower(x).as_text()
    assert "ui8" not in text
    text = jax.jit(jax.grad(lambda x: jaxtv.prox_tv_2d(x, 0.1, num_sweeps=4).sum())).lower(x)
    assert "4x2x6x5xui8" in text.as_text()


def test_info_of_sweeps_is_true():
    x = signal("walk", (2, 12, 14))
    y, info = jaxtv.prox_tv_2d(jnp.array(x), 0.7, num_sweeps=3, return_info=True)
    assert bits(y) == bits(jaxtv.prox_tv_2d(jnp.array(x), 0.7, num_sweeps=3))
    exact = oracle.prox_nd(x, (0.7, 0.7), (1, 2))
    error = np.sqrt(np.sum((y - exact) ** 2, (1, 2)))
    assert (error > 1e-6).all() and (error <= info.error_bound).all()
    np.testing.assert_array_equal(info.sweeps, 3)
    # The gap is that of the primal and the dual: 1/2 |y - x|^2 + TV(y) + 1/2 |y|^2 - 1/2 |x|^2.
    tv = oracle.total_variation(y, (1, 2), (0.7, 0.7))
    squares = np.sum((y - x) ** 2 + y**2 - x**2, (1, 2)) / 2
    np.testing.assert_allclose(info.gap, squares + tv, rtol=1e-10)


@large
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((300, 700), (0, 1)),
        ((70, 32, 32), (1, 2)),
        ((2, 64, 64, 40), (1, 2)),
        ((9, 9, 900), (0, 1)),
    ],
)
def test_many_blocks(shape, axes):
    """Blocks and groups that cut arrays: lines of images, strips of columns, several samples."""
    x, y_bar = (jnp.array(signal("noise", shape, seed), "float32") for seed in (0, 1))
    lam = tuple(
        w.astype("float32") for w in weights("per line", shape, axes, np.random.default_rng(2))
    )
    y, pull = jax.vjp(lambda x, lam: jaxtv.prox_tv(x, lam, axes=axes, num_sweeps=2), x, lam)
    want, pull_scan = jax.vjp(lambda x, lam: scan(x, lam, axes, 2), x, lam)
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-5)
    for got, by_scan in zip(*map(jax.tree.leaves, (pull(y_bar), pull_scan(y_bar))), strict=True):
        off = np.abs(got - by_scan) > 1e-3  # a run that rounding splits otherwise
        assert off.mean() < 1e-3

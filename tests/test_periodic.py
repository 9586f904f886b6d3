# SPDX-License-Identifier: MIT
"""Is `prox_tv_1d(periodic=True)` the exact prox of a ring, in values and derivatives?"""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import oracle_lines
import pytest
from helpers import KINDS, bits, cpu_mesh, signal
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxtv


@pytest.fixture(autouse=True, scope="module")
def _quick_compilation():
    """Around the kernels these programs compile for longer than they run."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


LINES, N = 6, 11
RNG = np.random.default_rng(1)
LAMS = {
    "one": np.full((1, 1), 0.3),
    "line": RNG.exponential(2, (LINES, 1)),
    "edge": RNG.exponential(size=(LINES, N)),
    "equal edges": np.round(2 * RNG.random((1, N))),  # zeros, ones and twos
    "zero": np.zeros((1, 1)),
    "infinite": np.full((1, 1), np.inf),
}
MASSES = {
    "none": None,
    "any": RNG.exponential(size=(LINES, N)),
    "missing": RNG.exponential(size=(LINES, N)) * (RNG.random((LINES, N)) < 0.5),
    "of a column": 1.0 * (RNG.random((1, N)) < 0.6),
}
prox = jax.jit(lambda x, lam, m=None: jaxtv.prox_tv_1d(x, lam, data_weight=m, periodic=True))


def check(y, x, lam, m=None, tolerance=1e-10):
    """By the optimality conditions and by the oracle."""
    m = np.broadcast_to(1.0 if m is None else m, x.shape)
    for row, line, w, mass in zip(np.float64(y), x, np.broadcast_to(lam, x.shape), m, strict=True):
        if not mass.any():
            assert (row == 0).all()
            continue
        known = mass > 0
        scale = np.abs(line[known]).max()
        want = oracle_lines.prox(line, w, mass)[known]
        np.testing.assert_allclose(row[known], want, rtol=0, atol=tolerance * scale)
        sums = tolerance * scale * (1 + mass.sum())
        if w.all() or known.all():  # else some may be 0 because nothing determines them
            assert oracle_lines.violation(line, row, w, mass, True) <= sums


@pytest.mark.parametrize("mass", MASSES)
@pytest.mark.parametrize("lam", LAMS)
def test_values(lam, mass):
    shape = LINES, N
    w = np.broadcast_to(LAMS[lam], shape)
    m = None if mass == "none" else np.broadcast_to(MASSES[mass], shape)
    for kind in KINDS:
        x = signal(kind, shape)
        given = x if m is None else np.where(m > 0, x, np.nan)
        check(prox(given, w, m), x, w, m)


def test_another_axis_and_broadcast():
    x, axis = signal("noise", (3, 4, 5)), 1
    lam, m = RNG.exponential(size=(3, 1, 1)), RNG.exponential(size=(4, 1))
    y = jaxtv.prox_tv_1d(
        jnp.array(x), jnp.array(lam), axis=axis, data_weight=jnp.array(m), periodic=True
    )
    arrays = [np.moveaxis(np.broadcast_to(a, x.shape), axis, -1) for a in (y, x, lam, m)]
    check(*(a.reshape(-1, x.shape[axis]) for a in arrays))


def test_values_in_float32():
    x, lam = np.float32(signal("walk", (LINES, N))), np.float32(LAMS["edge"])
    y = prox(x, lam)
    assert y.dtype == np.float32
    check(y, np.float64(x), np.float64(lam), tolerance=2e-6)


def test_half_types_are_computed_in_float32():
    x, lam = (jnp.array(a, "bfloat16") for a in (signal("walk", (LINES, N)), LAMS["edge"]))
    y = prox(x, lam)
    assert y.dtype == "bfloat16"
    assert bits(y) == bits(prox(x.astype("float32"), lam.astype("float32")).astype("bfloat16"))


@pytest.mark.parametrize("turn", [1, 4, -3])
def test_a_ring_has_no_first_sample(turn):
    for kind in KINDS:
        x, lam = signal(kind, (LINES, N)), LAMS["edge"]
        turned = prox(np.roll(x, turn, -1), np.roll(lam, turn, -1))
        np.testing.assert_allclose(turned, np.roll(prox(x, lam), turn, -1), rtol=0, atol=1e-13)


def test_without_the_last_weight_it_is_a_line():
    x, lam = signal("noise", (LINES, N)), LAMS["edge"].copy()
    lam[:, -1] = 0
    want = jaxtv.prox_tv_1d(jnp.array(x), jnp.array(lam[:, :-1]))
    np.testing.assert_allclose(prox(x, lam), want, rtol=0, atol=1e-14)


def test_very_long_rings():
    """A saw of many teeth, of which any jump may be the cut, and rings that are nearly constant."""
    n = 50_000
    x = np.stack([np.arange(n) % 100 / 10.0, 1e-3 * np.cumsum(RNG.choice([-1.0, 1.0], n))])
    for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-4)):
        given = x.astype(dtype)
        y = np.float64(prox(given, np.array(2.0, dtype)))
        for line, row in zip(np.float64(given), y, strict=True):
            found = oracle_lines.violation(line, row, np.full(n, 2.0), np.ones(n), True)
            assert found <= tolerance * 50  # sums over a line


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_rings(n):
    """The edge of one sample is to itself; both edges of two samples join the same pair."""
    x = jnp.array(signal("noise", (LINES, n)))
    lam = jnp.array([0.1, 0.2][:n])
    y = prox(x, lam)
    if n == 2:
        want = jaxtv.prox_tv_1d(x, 0.1 + 0.2)
        np.testing.assert_allclose(y, want, rtol=0, atol=1e-15)
    else:
        assert bits(y) == bits(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by", [-0.9, -0.5, 0.5, 0.97])
def test_numbers_of_any_size(by, dtype):
    a = jnp.array(2.0 ** int(by * int(jnp.finfo(dtype).maxexp)), dtype)
    x, lam = jnp.array(signal("walk", (LINES, N)), dtype), jnp.array(LAMS["edge"], dtype)
    got = prox(a * x, a * lam) / a
    np.testing.assert_allclose(got, prox(x, lam), rtol=0, atol=8 * jnp.finfo(dtype).eps)


def loss(x, lam, m=None, good=True, function=jaxtv.prox_tv_1d):
    y = jnp.where(good, function(x, lam, data_weight=m, periodic=True), 0)
    return jnp.vdot(np.random.default_rng(4).normal(size=x.shape), jnp.sin(y))


value = jax.jit(loss)
gradient = jax.jit(jax.grad(loss, (0, 1)))
gradient_of_all = jax.jit(jax.grad(loss, (0, 1, 2)))
SIGNAL, EDGES = (jnp.array(a) for a in (signal("noise", (LINES, N)), LAMS["edge"]))


@pytest.mark.parametrize("lam", [EDGES, EDGES + 10], ids=["jumps", "constant"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_bad_ring_is_nan_and_alone(bad, lam):
    """In values and in gradients behind a mask, also of a ring that would be constant."""
    good = np.arange(LINES)[:, None] != 1
    want = gradient(SIGNAL, lam, good=good)
    spoilt = []
    if bad != -1:
        spoilt.append((SIGNAL.at[1, 3].set(bad), lam))
    if bad != np.inf:
        spoilt += [(SIGNAL, lam.at[1, k].set(bad)) for k in (0, 3, N - 1)]
    for operands in spoilt:
        y = prox(*operands)
        assert np.isnan(y[1]).all()
        assert bits(y[good[:, 0]]) == bits(prox(SIGNAL, lam)[good[:, 0]])
        got = gradient(*operands, good=good)
        jax.tree.map(np.testing.assert_array_equal, got, want)


def difference(f, operands, direction, step=1e-6):
    high = f(*(a + step * d for a, d in zip(operands, direction, strict=True)))
    low = f(*(a - step * d for a, d in zip(operands, direction, strict=True)))
    return (high - low) / (2 * step)


@pytest.mark.parametrize(("lam", "mass"), [("line", "none"), ("edge", "none"), ("edge", "missing")])
def test_gradients_are_slopes(lam, mass):
    """Of each of the weights, that across which a ring is cut among them."""
    operands = [SIGNAL, jnp.array(LAMS[lam])]
    operands += [] if MASSES[mass] is None else [jnp.array(MASSES[mass])]
    found = (gradient if mass == "none" else gradient_of_all)(*operands)
    rng = np.random.default_rng(3)
    for k in range(len(operands)):
        along = [jnp.zeros_like(a) for a in operands]
        along[k] = jnp.array(rng.normal(size=operands[k].shape))
        if k == 2:  # a missing sample that gets a mass leaps where it is at a jump
            along[k] = jnp.where(operands[k] > 0, along[k], 0)
        want = difference(value, operands, along)
        np.testing.assert_allclose(jnp.vdot(found[k], along[k]), want, rtol=1e-6, atol=1e-7)
    assert (np.abs(found[1]) > 1e-3).sum() >= 3


def test_forward_mode():
    both = functools.partial(loss, function=jaxtv.forward.prox_tv_1d)
    along = jnp.cos(7 * SIGNAL), jnp.sin(7 * EDGES)
    tangent = jax.jit(lambda *a: jax.jvp(both, a, along)[1])(SIGNAL, EDGES)
    want = sum(jnp.vdot(g, d) for g, d in zip(gradient(SIGNAL, EDGES), along, strict=True))
    np.testing.assert_allclose(tangent, want, rtol=1e-11)


def test_a_constant_ring():
    """Its derivative is the mean in x, and 0 in every weight."""
    y = prox(SIGNAL, EDGES + 10)
    mean = np.broadcast_to(SIGNAL.mean(-1, keepdims=True), y.shape)
    np.testing.assert_allclose(y, mean, rtol=0, atol=1e-15)
    by_x, by_lam = gradient(SIGNAL, EDGES + 10)
    y_bar = np.random.default_rng(4).normal(size=y.shape) * np.cos(mean)
    want = np.broadcast_to(y_bar.mean(-1, keepdims=True), y.shape)
    np.testing.assert_allclose(by_x, want, rtol=0, atol=1e-15)
    assert not by_lam.any()


def test_vmap():
    """Over both arguments, in gradients."""
    mapped = 2, 1
    shapes = [np.insert((LINES, N), d, 3) for d in mapped]
    operands = [jnp.array(RNG.uniform(0.1, 1, shape)) for shape in shapes]
    pairs = list(zip(operands, mapped, strict=True))
    each = [gradient(*(jnp.take(a, k, d) for a, d in pairs)) for k in range(3)]
    got = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), mapped))(*operands)
    want = jax.tree.map(lambda *g: jnp.stack(g), *each)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13), got, want)


@pytest.mark.parametrize(
    ("spec", "kind", "with_mass"),
    [
        (P("d", None), AxisType.Auto, False),
        (P("d", None), AxisType.Explicit, True),
        (P(None, "d"), AxisType.Explicit, False),
    ],
    ids=["auto", "explicit", "samples"],
)
def test_cut_over_devices(spec, kind, with_mass):
    """Rings stay where they are, with weights that they share; their samples are gathered."""
    x, lam, m = SIGNAL[:2, :8], jnp.full((1, 1), 0.3), jnp.linspace(0.5, 2, 8)[None]

    def program(x, lam, m):
        options = {"periodic": True, "data_weight": m if with_mass else None}
        y, pull = jax.vjp(functools.partial(jaxtv.prox_tv_1d, **options), x, lam)
        return y, *pull(jnp.cos(y))

    mesh = cpu_mesh((2,), ("d",), (kind,))
    specs = spec, P(), P()
    operands = [
        jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip((x, lam, m), specs, strict=True)
    ]
    compiled = jax.jit(program).lower(*operands).compile()
    if spec[0] is not None:
        assert "all-gather" not in compiled.as_text()
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-13)
    jax.tree.map(close, compiled(*operands), program(x, lam, m))


@hypothesis.given(st.data())
def test_optimality(data):
    """Of rings of small integers, on which ties and zeros are everywhere."""
    small = lambda low, high: np.float64(  # noqa: E731
        data.draw(st.lists(st.integers(low, high), min_size=6, max_size=6))
    )
    x, w = small(-2, 2), small(0, 3)
    check(prox(x, w)[None], x[None], w[None], tolerance=1e-12)


@pytest.mark.parametrize("shape", [(LINES, N - 1), (N - 1,), (LINES + 1, 1), (1, 1, 1)])
def test_a_weight_that_does_not_broadcast(shape):
    with pytest.raises(ValueError, match="lam must broadcast") as error:
        jaxtv.prox_tv_1d(jnp.zeros((LINES, N)), jnp.ones(shape), periodic=True)
    assert str(shape) in str(error.value) and str(N) in str(error.value)


def test_newton_solves_no_ring():
    with pytest.raises(ValueError, match=r"method must be 'direct' with .*periodic=True"):
        jaxtv.prox_tv_1d(jnp.zeros(3), 1.0, method="newton", periodic=True)

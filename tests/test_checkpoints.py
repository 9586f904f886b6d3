# SPDX-License-Identifier: MIT
"""Do layers filled from a checkpoint of the paper's code compute what its layers did?"""

import base64
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import signal

from examples.wsol import pickles
from jaxtv.checkpoints import from_tv_layers

pytest.importorskip("flax")
import jaxtv.linen
import jaxtv.nnx

# A state saved by PyTorch 2.13, with the names and shapes that the paper's layers give.
FILE = (
    r"c-nQ7%Wl&^6o$u_w%}d}<=S#-xTjo9oTN^=p{-PPV{tPZZ;<6WquOZd$+0J?ic~493U~$<EP0FOQP}bbNGv$cgpf#P<T"
    r"K+L&-~v%Gsk`Pi@|<>-TPJk@cqq-*;ilw)UZAQQt?WJkWR`44>|LDG|gh3fPxdeMf}2IAsF>((vE`!)K8v)gW|YD{Ve`"
    r"SGtf>zuXr;!m_<AlFypA6hP^luFze`^o@?;r0OlOM+eK!G7)C>Zl+1XYwrNV+yKyKCAnPtD6>lC_ggoh)M>IZ&1gN3lX"
    r"&9M)SHvtc{FLr@W7hTsO){SPy_x}9rQ*%y7I0>8KtY#Fj6KE!@lFmJFyk%ZoXtk7)v~K~t7ThO4Q7XK!%i0sF1!+O?yW"
    r"-{&CyTcyrVnHDHxxl+}ON;1s4{*)f{ukxrj{B^I33AQ#0eNM@@FP--e|Ky+nF6&8lHjufc_A&e4!j${C8Iox(*#A!AuG"
    r"E(y5o!WD02c$z`lDMVZ?L|FCBjk*oj5TPLAx<sJ%ifmRT;)Z~mF5L2#acRnrvVVl3_U->^+pQ|BjqI1l_U}mhccu0{0r"
    r"y>aAQOrOaWd)pp;R7S%r5WlGdjMRN7JX(+-No$P#JAyeY};&vUwtLPX#=4!5k(eixZkj(DULOXxa_ShU!Su8f(^MQ<s_"
    r"z0UIvZd7i${|BZqZR*H^BElMq|XjgiXt-@@XrKUpumcf}eekW&y^j{FNJy;-<rN4#MHa-}AjBgkNj2{?ehmaCR8Kb(RO"
    r"s&%g%7n%QXMlZVk*z;uJ_#B"
)
X = signal("noise", (2, 6, 7, 3))  # [N, H, W, C]
SMOOTH, SHARP, ROWS = (
    "smooth.tv_layer.solve.lmbd",
    "sharp.tv_layer.solve.lmbd",
    "rows.tv_layer.lmbd",
)


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "tv_layers.pth"
    path.write_bytes(zlib.decompress(base64.b85decode(FILE)))
    return pickles.read(path)


def softplus(raw):
    return np.log1p(np.exp(np.float64(raw)))


def filled(layer, raw):
    params = layer.init(jax.random.key(0), jnp.array(X))
    assert params["params"]["lam_raw"].shape == raw.shape
    return layer.apply({"params": {"lam_raw": jnp.array(raw)}}, jnp.array(X))


def test_a_file(state):
    raw = from_tv_layers(state)
    assert {name: value.shape for name, value in raw.items()} == {
        SMOOTH: (3,),
        SHARP: (),
        ROWS: (3,),
        "plain.solve.lmbd": (),
        "lines.lmbd": (),
    }
    np.testing.assert_array_equal(raw[ROWS], np.float32([-0.5, 0.25, -3.0]))
    assert raw["plain.solve.lmbd"].dtype == "float64" and raw["plain.solve.lmbd"] == -2.5


@pytest.mark.parametrize("num_iter", [1, 4])
def test_images_smoothed(state, num_iter):
    """filt_mode="smooth": proximal Dykstra, rows first, a weight for each channel."""
    layer = jaxtv.linen.TV2D(num_channels=3, num_sweeps=num_iter)
    lam = softplus(state[SMOOTH][0])
    want = oracle.dykstra(X, (lam, lam), (1, 2), num_iter)
    got = filled(layer, from_tv_layers(state)[SMOOTH])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_images_sharpened(state):
    """filt_mode="sharp", one weight for all channels."""
    lam = softplus(state[SHARP][0, 0])
    want = 2 * X - oracle.dykstra(X, (lam, lam), (1, 2), 4)
    got = filled(jaxtv.linen.TV2D(mode="sharp"), from_tv_layers(state)[SHARP])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("direction", "axis"), [("row", -2), ("col", -3)])
def test_lines(state, direction, axis):
    lam = softplus(state[ROWS][0])
    want = oracle.prox_1d(X, lam, axis)
    got = filled(jaxtv.linen.TV1D(axis=axis, num_channels=3), from_tv_layers(state)[ROWS])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    layer = jaxtv.nnx.TV1D(axis=axis, num_channels=3)
    layer.lam_raw[...] = jnp.array(from_tv_layers(state)[ROWS])
    np.testing.assert_allclose(layer(jnp.array(X)), want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("zero", [0.0, 0.05, 1.0, 30.0])
def test_an_offset(zero):
    """lmbd_zero: with l = 0 the weight is z, up to the 1e-8 in their formula."""
    raw = from_tv_layers({"lmbd": np.zeros((1, 2))}, lmbd_zero=zero)["lmbd"]
    np.testing.assert_allclose(softplus(raw), zero, rtol=1e-6, atol=1.1e-8)
    shifted = from_tv_layers({"lmbd": np.full((1, 2), 0.7)}, lmbd_zero=zero)["lmbd"]
    np.testing.assert_allclose(shifted - raw, 0.7)


@pytest.mark.parametrize(
    ("state", "options", "error", "named"),
    [
        ({"conv.weight": np.ones((1, 2))}, {}, ValueError, "state"),
        ({"tv.lmbd": np.ones(2)}, {}, ValueError, r"tv\.lmbd"),
        ({"tv.lmbd": np.ones((2, 2))}, {}, ValueError, r"tv\.lmbd"),
        ([("lmbd", np.ones((1, 2)))], {}, TypeError, "state"),
        ({"lmbd": np.ones((1, 2))}, {"lmbd_zero": "0"}, TypeError, "lmbd_zero"),
    ],
)
def test_mistakes_are_named(state, options, error, named):
    with pytest.raises(error, match=f"^{named} must"):
        from_tv_layers(state, **options)

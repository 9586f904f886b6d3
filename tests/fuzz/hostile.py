# SPDX-License-Identifier: MIT
"""Does every public function refuse hostile arguments by a TypeError or ValueError that names them?

One case is a call of a public function or layer with one or two arguments of a wrong type, rank or
range. It may succeed; it may not end in another error, in one that names none of them, in a crash
or in a hang.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import sparse

import jaxtv
import jaxtv.forward
import jaxtv.linen
import jaxtv.nnx
from fuzz import worker
from fuzz.tally import Finding, Tally

X = np.linspace(-1, 1, 60, dtype=np.float32).reshape(2, 5, 6)


def run(seed: int, first: int, count: int) -> Tally:
    return worker.run("hostile", seed, first, count)


def _linen(kind):
    def call(x, lam=None, **options):
        layer = kind(**options)
        return layer.apply(layer.init(jax.random.key(0), X), x, lam)

    return call


def _nnx(kind):
    return lambda x, lam=None, **options: kind(**options)(x, lam)


_LINE = {"lam": 0.5, "axis": 1, "method": "direct", "return_info": True}
_IMAGE = {
    "lam": 0.5, "axes": (1, 2), "num_sweeps": None, "tol": 1e-2, "max_sweeps": 20, "init": None,
    "return_info": True,
}  # fmt: skip
_LAYER = {
    "mode": "smooth",
    "lam_init": 0.1,
    "learned": True,
    "num_channels": None,
    "param_dtype": jnp.float32,
    "lam": None,
}
_LAYER_2D = _LAYER | {"axes": (0, 1), "num_sweeps": 2}

# Each function with right arguments, but for x, which comes first.
FUNCTIONS = {
    "prox_tv_1d": (jaxtv.prox_tv_1d, _LINE),
    "prox_tv_2d": (jaxtv.prox_tv_2d, _IMAGE),
    "prox_tv": (jaxtv.prox_tv, _IMAGE),
    "forward.prox_tv_1d": (jaxtv.forward.prox_tv_1d, _LINE),
    "forward.prox_tv_2d": (jaxtv.forward.prox_tv_2d, _IMAGE),
    "forward.prox_tv": (jaxtv.forward.prox_tv, _IMAGE),
    "total_variation": (jaxtv.total_variation, {"axes": (1, 2), "lam": 0.5}),
    "lambda_max": (jaxtv.lambda_max, {"axis": 1, "keepdims": False}),
    "linen.TV1D": (_linen(jaxtv.linen.TV1D), _LAYER | {"axis": 1}),
    "linen.TV2D": (_linen(jaxtv.linen.TV2D), _LAYER_2D),
    "nnx.TV1D": (_nnx(jaxtv.nnx.TV1D), _LAYER | {"axis": 1}),
    "nnx.TV2D": (_nnx(jaxtv.nnx.TV2D), _LAYER_2D),
}


def _deleted():
    array = jnp.ones((2, 5, 6))
    array.delete()
    return array


def _sparse():
    return sparse.BCOO.fromdense(jnp.eye(3))


# By name, as they are to be printed; made anew for each call.
HOSTILE = {
    "None": lambda: None,
    "True": lambda: True,
    "'text'": lambda: "text",
    "b'bytes'": lambda: b"bytes",
    "object()": object,
    "a function": lambda: len,
    "a type": lambda: float,
    "a module": lambda: np,
    "...": lambda: ...,
    "a slice": lambda: slice(3),
    "a dict": lambda: {"a": 1},
    "a set": lambda: {1, 2},
    "a generator": lambda: (i for i in range(2)),
    "()": tuple,
    "[]": list,
    "(0,)": lambda: (0,),
    "(0, 1)": lambda: (0, 1),
    "(0, 0)": lambda: (0, 0),
    "(0.0, 1.0)": lambda: (0.0, 1.0),
    "(0, 1, 2)": lambda: (0, 1, 2),
    "(None, None)": lambda: (None, None),
    "([0], [1, 2])": lambda: ([0], [1, 2]),
    "[[1.0], [1.0, 2.0]]": lambda: [[1.0], [1.0, 2.0]],
    "['a', 'b']": lambda: ["a", "b"],
    "0": lambda: 0,
    "-1": lambda: -1,
    "3": lambda: 3,
    "1.5": lambda: 1.5,
    "-0.5": lambda: -0.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "1j": lambda: 1j,
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "10**400": lambda: 10**400,
    "np.float16(1)": lambda: np.float16(1),
    "np.int8(2)": lambda: np.int8(2),
    "np.array('text')": lambda: np.array("text"),
    "an array of objects": lambda: np.array([None, 1], object),
    "an array of dates": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "a record": lambda: np.zeros(3, [("a", float)]),
    "a masked array": lambda: np.ma.masked_array(X, X > 0),
    "an empty array": lambda: np.zeros((2, 0, 6), np.float32),
    "a scalar array": lambda: np.array(0.5, np.float32),
    "an array of 40 axes": lambda: np.zeros((1,) * 40, np.float32),
    "an array that does not fit": lambda: np.ones((7, 3), np.float32),
    "an array of integers": lambda: np.ones((2, 5, 6), int),
    "an array of bools": lambda: np.ones((2, 5, 6), bool),
    "a complex array": lambda: np.ones((2, 5, 6), np.complex64),
    "an array of float8": lambda: jnp.ones((2, 5, 6), jnp.float8_e4m3fn),
    "a key": lambda: jax.random.key(0),
    "keys": lambda: jax.random.split(jax.random.key(0), 2),
    "a deleted array": _deleted,
    "a shape": lambda: jax.ShapeDtypeStruct((2, 5, 6), jnp.float32),
    "a sparse array": _sparse,
    "a memoryview": lambda: memoryview(b"abc"),
}


def check(seed: int, number: int) -> Finding | None:
    rng = np.random.default_rng((seed, number))
    names = sorted(FUNCTIONS)
    name = names[number % len(names)]
    function, right = FUNCTIONS[name]
    arguments = {"x": jnp.array(X)} | right
    chosen = rng.choice(
        sorted(arguments), size=min(int(rng.choice((1, 1, 1, 2))), len(arguments)), replace=False
    )
    given = {str(a): str(rng.choice(sorted(HOSTILE))) for a in chosen}
    arguments |= {argument: HOSTILE[value]() for argument, value in given.items()}
    x = arguments.pop("x")
    try:
        jax.block_until_ready(function(x, **arguments))
    except (TypeError, ValueError) as error:
        if any(re.search(rf"\b{argument}\b", str(error)) for argument in given):
            return None
        fault = "an error that does not name the argument"
        said = error
    except Exception as error:
        if "deleted" in str(error) and "a deleted array" in given.values():
            return None  # JAX's own words
        fault, said = "another error than TypeError or ValueError", error
    else:
        return None
    text = ", ".join(f"{argument}={value}" for argument, value in given.items())
    message = " ".join(f"{type(said).__name__}: {said}".split())[:200]
    return Finding(f"hostile: {fault}", f"{name}({text}): {message}", f"seed {seed}, case {number}")

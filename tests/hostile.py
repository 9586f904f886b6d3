# SPDX-License-Identifier: MIT
"""What each public function and layer must refuse: argument by argument, a table of wrong values.

A `Case` is one call. The error must be a TypeError or a ValueError, as stated, that names the
argument and shows what was given.
"""

import fractions
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.experimental import sparse

import jaxtv

X = jnp.zeros((2, 5, 6), "float32")


class Case(NamedTuple):
    function: str
    argument: str
    what: str  # what is wrong
    call: Callable[[], Any]
    error: type[Exception]
    given: str  # what the message shows

    @property
    def name(self) -> str:
        return f"{self.function}-{self.argument}-{self.what}"


class Unlike:
    """No number and no array."""

    def __repr__(self):
        return "Unlike()"


T, V = TypeError, ValueError

# By what is wrong: the value, the error and what its message shows.
NOT_NUMBERS = {
    "None": (None, T, "None"),
    "string": ("0.1", T, "'0.1'"),
    "bytes": (b"0.1", T, "b'0.1'"),
    "list": ([0.1, 0.2], T, "0.1, 0.2"),
    "long list": ([0.0] * 5000, T, "0.0, 0.0, ..."),
    "ragged list": ([0.1, [0.2]], T, "0.2"),
    "set": ({0.1}, T, "{0.1}"),
    "dict": ({"lam": 0.1}, T, "0.1"),
    "function": (len, T, "len"),
    "class": (float, T, "float"),
    "object": (Unlike(), T, "Unlike()"),
    "fraction": (fractions.Fraction(1, 3), T, "Fraction(1, 3)"),
    "complex number": (1j, T, "1j"),
    "complex array": (np.ones((), "complex64"), T, "complex64"),
    "complex JAX array": (jnp.ones((), "complex64"), T, "complex64"),
    "bool": (True, T, "True"),
    "NumPy bool": (np.True_, T, "bool"),
    "bool array": (jnp.ones((), bool), T, "bool"),
    "objects": (np.array([None, 1.0]), T, "object"),
    "strings": (np.array(["a"]), T, "<U1"),
    "dates": (np.array("2020-01-01", "datetime64[D]"), T, "datetime64"),
    "durations": (np.array(3, "timedelta64[s]"), T, "timedelta64"),
    "records": (np.zeros(3, [("a", "f4")]), T, "'a'"),
    "long double": (np.longdouble(1), T, "longdouble"),
    "swapped bytes": (np.ones((), ">f4"), T, ">f4"),
    "float8": (jnp.ones((), "float8_e4m3fn"), T, "float8_e4m3fn"),
    "float4": (np.ones((), ml_dtypes.float4_e2m1fn), T, "float4_e2m1fn"),
    "masked": (np.ma.masked_array([1.0], [True]), T, "masked"),
    "key": (jax.random.key(0), T, "key<fry>"),
    "sparse": (sparse.BCOO.fromdense(X[0]), T, "BCOO"),
    "shape": (jax.ShapeDtypeStruct((2, 5, 6), "float32"), T, "ShapeDtypeStruct"),
}
SIGNALS = {
    **NOT_NUMBERS,
    "tuple": ((X, X), T, "tuple"),
    "number": (1.0, T, "1.0"),
    "scalar": (jnp.ones(()), V, "scalar"),
    "NumPy scalar": (np.float32(1), V, "scalar"),
    "integers": (X.astype("int32"), T, "int32"),
    "bytes of an image": (np.zeros((4, 4, 3), "uint8"), T, "uint8"),
    "bools": (X > 0, T, "bool"),
    "complex signal": (X.astype("complex64"), T, "complex64"),
    "keys": (jax.random.split(jax.random.key(0), 4), T, "key<fry>"),
}
HUGE = {"huge": (10**400, V, "1000000"), "gigantic": (10**5000, V, "")}
WEIGHTS = {
    **NOT_NUMBERS,
    **HUGE,
    "rank": (jnp.ones((1, 1, 1, 1)), V, "(1, 1, 1, 1)"),
    "size": (jnp.ones((4, 1, 1)), V, "(4, 1, 1)"),
    "one for each pixel": (jnp.ones((2, 5, 6)), V, "(2, 5, 6)"),
    "empty": (jnp.ones((2, 5, 0)), V, "(2, 5, 0)"),
}
WEIGHTS_OF_LINES = {
    **WEIGHTS,
    "tuple": ((0.1, 0.2), T, "(0.1, 0.2)"),
    "channels of another axis": (jnp.ones((2,)), V, "(2,)"),
}
WEIGHTS_OF_IMAGES = {
    **WEIGHTS,
    "too few": ((0.1,), V, "tuple of 1"),
    "too many": ((0.1, 0.2, 0.3), V, "tuple of 3"),
    "list in a tuple": (([0.1], 0.2), T, "[0.1]"),
    "None in a tuple": ((0.1, None), T, "None"),
    "tuple in a tuple": (((0.1, 0.2), 0.3), T, "(0.1, 0.2)"),
    "shape in a tuple": ((0.1, jnp.ones((9, 9))), V, "(9, 9)"),
}
NEGATIVE = {
    "negative": (-41, V, "-41"),
    "NaN": (float("nan"), V, "nan"),
    "negative array": (np.array([[-1.0]]), V, "(1, 1)"),
    "negative in a tuple": ((0.1, np.float32(-2)), V, "-2.0"),
}
NOT_INTEGERS = {
    "None": (None, T, "None"),
    "string": ("1", T, "'1'"),
    "list": ([1], T, "1"),
    "tuple": ((1,), T, "(1,)"),
    "fraction": (2.7, T, "2.7"),
    "whole float": (1.0, T, "1.0"),
    "NumPy float": (np.float64(1), T, "1.0"),
    "complex number": (1j, T, "1j"),
    "bool": (True, T, "True"),
    "float array": (jnp.ones((), "float32"), T, "float32"),
    "array": (jnp.ones((2,), "int32"), (T, V), "(2,)"),
    "key": (jax.random.key(0), T, "key<fry>"),
    "object": (Unlike(), T, "Unlike()"),
}
AXIS = {
    **NOT_INTEGERS,
    "behind": (3, V, "3"),
    "before": (-4, V, "-4"),
    "far": (2**63, V, "9223372036854775808"),
}
AXES = {
    "None": (None, T, "None"),
    "integer": (0, T, "0"),
    "array of no rank": (np.array(1), T, "()"),
    "matrix": (np.array([[0, 1]]), T, "(1, 2)"),
    "string": ("01", T, "0"),
    "set": ({0, 1}, T, "{0, 1}"),
    "generator": ((a for a in (0, 1)), T, "generator"),
    "floats": ((0.0, 1.0), T, "0.0"),
    "float array": (np.array([0.0, 1.0]), T, "0.0"),
    "bools": ((False, True), T, "False"),
    "nested": (((0, 1), 0), T, "(0, 1)"),
    "none": ((), V, "()"),
    "behind": ((0, 3), V, "3"),
    "before": ((-4, 1), V, "-4"),
    "repeated": ((1, -2), V, "(1, -2)"),
}
TWO_AXES = {**AXES, "one": ((1,), V, "(1,)"), "three": ((0, 1, 2), V, "(0, 1, 2)")}
SWEEPS = {
    **{what: case for what, case in NOT_INTEGERS.items() if what != "None"},
    "negative": (-1, V, "-1"),
    "endless": (10**9, V, "1000000000"),
    "past the limit": (10_001, V, "10001"),
}
LIMIT = {
    **NOT_INTEGERS,
    "negative": (-2, V, "-2"),
    "past int32": (2**31, V, "2147483648"),
    "past int64": (np.uint64(2**63), V, "9223372036854775808"),
    "complex JAX array": (jnp.ones((), "complex64"), T, "complex64"),
}
TOLERANCE = {
    **NOT_NUMBERS,
    **HUGE,
    "tuple": ((1e-3, 1e-3), T, "(0.001, 0.001)"),
    "negative": (-1e-3, V, "-0.001"),
    "NaN": (float("nan"), V, "nan"),
    "one for each image": (jnp.ones((2,)), V, "(2,)"),
    "rank": (np.ones((1,)), V, "(1,)"),
}
START = {
    **{what: case for what, case in WEIGHTS_OF_IMAGES.items() if what != "None"},
    "dual as a list": ([jnp.zeros((2, 4, 6)), jnp.zeros((2, 5, 5))], T, "list"),
    "one for each pixel": (jnp.ones((2, 5, 6)), V, "(2, 5, 6)"),
}
FLAG = {
    "None": (None, T, "None"),
    "integer": (1, T, "1"),
    "float": (0.0, T, "0.0"),
    "string": ("no", T, "'no'"),
    "list": ([True], T, "True"),
    "array": (jnp.ones((), bool), T, "bool"),
    "object": (Unlike(), T, "Unlike()"),
}
CHOICE = {
    "None": (None, V, "None"),
    "other": ("condat", V, "'condat'"),
    "integer": (0, V, "0"),
    "list": (["direct"], V, "'direct'"),
    "array": (np.array(["direct", "smooth"]), V, "(2,)"),
    "class": (str, V, "str"),
}
LEARNED_WEIGHT = {
    **NOT_NUMBERS,
    **HUGE,
    "zero": (0.0, V, "0.0"),
    "negative": (-0.1, V, "-0.1"),
    "NaN": (float("nan"), V, "nan"),
    "infinite": (float("inf"), V, "inf"),
    "array": (jnp.ones((3,)), V, "(3,)"),
    "tuple": ((0.1, 0.2), T, "(0.1, 0.2)"),
}
PARAM_DTYPE = {
    "None": (None, T, "None"),
    "int": (int, T, "int"),
    "integers": (jnp.int32, T, "int32"),
    "complex": ("complex64", T, "complex64"),
    "float8": (jnp.float8_e4m3fn, T, "float8_e4m3fn"),
    "unknown": ("float33", T, "float33"),
    "array": (np.ones(3, "float32"), T, "(3,)"),
    "key": (jax.random.key(0), T, "key<fry>"),
    "module": (np, T, "module"),
    "object": (Unlike(), T, "Unlike()"),
}
CHANNELS = {
    **{what: case for what, case in NOT_INTEGERS.items() if what != "None"},
    "none": (0, V, "0"),
    "huge": (10**400, V, "1000000"),
    "those of another input": (4, V, "4"),
}

WEIGHTS_OF_SAMPLES = {
    what: case
    for what, case in WEIGHTS_OF_LINES.items()
    if what not in ("None", "one for each pixel")
} | {"one for each edge": (jnp.ones((2, 5, 5)), V, "(2, 5, 5)")}
LINES = {
    "x": SIGNALS,
    "lam": WEIGHTS_OF_LINES,
    "axis": AXIS,
    "method": CHOICE,
    "data_weight": WEIGHTS_OF_SAMPLES,
    "periodic": FLAG,
    "return_info": FLAG,
}
IMAGES = {
    "x": {what: case for what, case in SIGNALS.items() if "complex" not in what},
    "lam": WEIGHTS_OF_IMAGES,
    "axes": AXES,
    "kind": CHOICE,
    "periodic": FLAG,
    "num_sweeps": SWEEPS,
    "tol": TOLERANCE,
    "deriv_tol": {what: case for what, case in TOLERANCE.items() if what != "None"},
    "max_sweeps": {what: case for what, case in LIMIT.items() if what != "None"},
    "init": START,
    "return_info": FLAG,
}
TWO_D = IMAGES | {"axes": {what: case for what, case in TWO_AXES.items() if what != "None"}}
OPTIONAL = {what: case for what, case in WEIGHTS_OF_IMAGES.items() if what != "None"}
LAYER = {
    "x": SIGNALS,
    "lam": {what: case for what, case in WEIGHTS_OF_LINES.items() if what != "None"},
    "mode": CHOICE,
    "lam_init": LEARNED_WEIGHT,
    "learned": FLAG,
    "param_dtype": PARAM_DTYPE,
    "axis": AXIS,
}
LAYER_2D = {k: v for k, v in LAYER.items() if k != "axis"} | {
    "lam": OPTIONAL,
    "axes": TWO_AXES,
    "num_sweeps": SWEEPS,
}


def linen_layer(layer: type, x: Any = X, lam: Any = None, **options: Any) -> Any:
    return layer(**options).init_with_output(jax.random.key(0), x, lam)


def nnx_layer(layer: type, x: Any = X, lam: Any = None, **options: Any) -> Any:
    return layer(**options)(x, lam)


def targets() -> dict[str, tuple[Callable, dict[str, Any], dict[str, dict]]]:
    """By name: the function, further arguments that it needs, and the table of each argument."""
    found = {
        "lambda_max": (
            jaxtv.lambda_max,
            {},
            {
                "x": SIGNALS,
                "axis": AXIS,
                "axes": {what: case for what, case in AXES.items() if what != "None"},
                "keepdims": FLAG,
            },
        ),
        "total_variation": (
            jaxtv.total_variation,
            {"axes": (0, 1)},
            {"x": SIGNALS, "axes": AXES, "lam": WEIGHTS_OF_IMAGES | NEGATIVE},
        ),
    }
    for prefix, module in (("", jaxtv), ("forward.", jaxtv.forward)):
        found[f"{prefix}prox_tv_1d"] = (module.prox_tv_1d, {"lam": 0.1}, LINES)
        found[f"{prefix}prox_tv_2d"] = (module.prox_tv_2d, {"lam": 0.1}, TWO_D)
        found[f"{prefix}prox_tv"] = (module.prox_tv, {"lam": 0.1, "axes": (0, 1)}, IMAGES)
    return found


def layers() -> dict[str, tuple[Callable, dict[str, Any], dict[str, dict]]]:
    """The same for the layers, which need Flax."""
    import jaxtv.linen
    import jaxtv.nnx

    found = {}
    for name, table in (("TV1D", LAYER), ("TV2D", LAYER_2D)):
        shape = {} if name == "TV1D" else {"channels": (jnp.ones((5, 1)), V, "(5, 1)")}
        fixed = {"lam_init": WEIGHTS_OF_LINES | shape}
        for prefix, make in (("linen.", linen_layer), ("nnx.", nnx_layer)):
            layer = functools.partial(make, getattr(getattr(jaxtv, prefix[:-1]), name))
            found[prefix + name] = (layer, {}, table | {"num_channels": CHANNELS})
            found[prefix + name + " fixed"] = (layer, {"learned": False}, fixed)
    return found


def cases(functions: dict[str, tuple[Callable, dict[str, Any], dict[str, dict]]]) -> Iterator[Case]:
    """All wrong calls of some functions."""
    for name, (function, defaults, tables) in functions.items():
        for argument, table in tables.items():
            for what, (value, error, given) in table.items():
                arguments = {"x": X, **defaults, argument: value}
                wrong = functools.partial(function, **arguments)
                yield Case(name, argument, what, wrong, error, given)

# SPDX-License-Identifier: MIT
"""JAX primitives that run compiled kernels.

All of JAX's machinery that the operators need is here and in `sharding.py`: a kernel per platform,
batching, sharding, differentiation of the linear ones. An operand is never transposed or reshaped:
the kernels read which axes are meant from the parameter `axis` or `axes`, counted from the front.
All other dimensions are batch dimensions, and those before the first of the axes are where arrays
may be cut over devices.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import PartitionSpec

from jaxtv._plumbing import ffi, sharding


def make(
    name: str,
    reference: Callable,
    *,
    results: Callable,
    full_operands: Sequence[int] | None,
    stored: int = 0,
) -> Primitive:
    """A primitive with several results, the first of the shape and dtype of one operand.

    Both may be of a half type. It is computed in float32, which all other floats then are.

    Args:
      name: of the primitive and of its FFI target.
      reference: the same in plain JAX, for platforms without a compiled kernel.
      results: the abstract results, from the abstract operands and the parameters.
      full_operands: the operands that have the shape of the first result, others may broadcast;
        None for all.
      stored: the operand that the first result is like.
    """
    primitive = Primitive(name)
    primitive.multiple_results = True

    @functools.cache
    def compiled(**params):
        return jax.jit(functools.partial(primitive.bind, **params))

    def batch(args: Sequence[Array], dims: Sequence[int | None], **params):
        outputs = primitive.bind(*_batch_first(args, dims, full_operands), **_shifted(params))
        return outputs, [0] * len(outputs)

    def run(*args: Array, **params) -> list[Array]:
        # There is nothing but the compiled kernel to run, and nothing in it to look for a NaN.
        with jax.disable_jit(False), jax.debug_nans(False), jax.debug_infs(False):
            return compiled(**params)(*args)

    primitive.def_impl(run)
    primitive.def_abstract_eval(results)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, _lower_to_plain(_in_computed_type(reference, stored)))
    for platform in ffi.platforms_of(name):
        rule = _lower_to(name, primitive, platform, reference, stored)
        mlir.register_lowering(primitive, rule, platform=platform)
    return primitive


def bind(primitive: Primitive, *operands: Array, **params: Any) -> list[Array]:
    """The results of a primitive that `make` made."""
    alike = sharding.match_manual_axes(*operands)
    x = jax.typeof(alike[0])
    if not any(x.sharding.spec[_first_axis(params) :]):
        return primitive.bind(*alike, **params)
    # On a mesh with explicit axes, batch dimensions behind the first axis are cut. The compiled
    # call can only be partitioned along those before it; but here each device can call its own.
    return _bind_per_device(primitive, alike, params)


def _bind_per_device(
    primitive: Primitive, operands: Sequence[Array], params: dict[str, Any]
) -> list[Array]:
    x, first = jax.typeof(operands[0]), _first_axis(params)

    def spec(a: Array | ShapedArray) -> PartitionSpec:
        """As `x` is cut, but for what broadcasts and for planes before the first axis."""
        planes = (None,) * (a.ndim - x.ndim)
        cuts = (*x.sharding.spec[:first], *planes, *x.sharding.spec[first:])
        sizes = zip(cuts, a.shape, strict=True)
        return PartitionSpec(*(names if size > 1 else None for names, size in sizes))

    results, _ = primitive.abstract_eval(*map(jax.typeof, operands), **params)
    mapped = jax.shard_map(
        functools.partial(bind, primitive, **params),
        mesh=x.sharding.mesh,
        axis_names={name for names in x.sharding.spec for name in _names(names)},
        in_specs=tuple(map(spec, operands)),
        out_specs=[spec(r) for r in results],
    )
    return mapped(*(sharding.resharded(a, spec(a)) for a in operands))


def _names(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The mesh axes in an entry of a PartitionSpec."""
    return names if isinstance(names, tuple) else () if names is None else (names,)


def differentiable(primitive: Primitive, rule: Callable) -> None:
    """Defines the forward derivative of an operator whose first result alone has one.

    Args:
      primitive: the operator.
      rule: the results and the tangent of the first, from the operands, their tangents (None for 0)
        and the parameters.
    """

    def jvp(primals, tangents, **params):
        results, tangent = rule(primals, _none_for_zero(tangents), **params)
        others = [ad.Zero(jax.typeof(r).to_tangent_aval()) for r in results[1:]]
        return results, [tangent, *others]

    ad.primitive_jvps[primitive] = jvp


def linear(primitive: Primitive, transpose: Callable, *, operands: Callable) -> None:
    """Defines the derivatives of an operator that is linear in some operands taken together.

    In the others it is locally constant.

    Args:
      primitive: the operator.
      transpose: the cotangents of those operands, from the cotangents of the results (None for 0),
        the other operands and the parameters. Where an operand broadcasts, the cotangent may be
        that of one that does not: it is summed.
      operands: the positions of those operands, from the parameters.
    """

    def jvp(primals, tangents, **params):
        results = primitive.bind(*primals, **params)
        moved = list(primals)
        where = operands(**params)
        if all(isinstance(tangents[k], ad.Zero) for k in where):
            return results, [ad.Zero(jax.typeof(r).to_tangent_aval()) for r in results]
        for k in where:
            moved[k] = ad.instantiate_zeros(tangents[k])
        return results, bind(primitive, *moved, **params)

    def transpose_rule(cotangents, *given, **params):
        where = operands(**params)
        if all(isinstance(c, ad.Zero) for c in cotangents):
            return [ad.Zero(given[k].aval) if k in where else None for k in range(len(given))]
        others = [operand for k, operand in enumerate(given) if k not in where]
        found = transpose(_none_for_zero(cotangents), *others, **params)
        pulled = dict(zip(where, found, strict=True))
        return [
            _summed_to(operand.aval, pulled[k]) if ad.is_undefined_primal(operand) else None
            for k, operand in enumerate(given)
        ]

    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = transpose_rule


def reverse_only(function: Callable) -> Callable:
    """`function` as a `jax.custom_vjp`: its backward is the transpose of its tangent map.

    Args:
      function: takes arrays, which may have derivatives, by position and all else by name.
    """

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def primal(options, *operands):
        return function(*operands, **dict(options))

    def forward(options, *operands):
        return jax.vjp(functools.partial(function, **dict(options)), *operands)

    def backward(_, pull_back, cotangent):
        return pull_back(cotangent)

    primal.defvjp(forward, backward)

    @functools.wraps(function)
    def wrapped(*operands, **options):
        return primal(tuple(options.items()), *operands)

    return wrapped


def computed_type(dtype: jnp.dtype) -> jnp.dtype:
    """The type that the kernels compute in: float64 for float64, else float32."""
    return jnp.dtype(jnp.float64 if dtype in (jnp.float64, jnp.complex128) else jnp.float32)


def _in_computed_type(function: Callable, stored: int) -> Callable:
    """`function`, of which one operand and the first result may then be of a half type."""

    def widened(*operands: Array, **params) -> list[Array]:
        dtype, moved = operands[stored].dtype, list(operands)
        moved[stored] = moved[stored].astype(computed_type(dtype))
        first, *rest = function(*moved, **params)
        return [first.astype(dtype), *rest]

    return widened


def no_tangent(value: Array) -> Array:
    """The tangent or cotangent 0 of a value that has no derivative."""
    return jnp.zeros_like(value, jax.typeof(value).to_tangent_aval().dtype)


def _none_for_zero(tangents: Sequence) -> list[Array | None]:
    return [None if isinstance(t, ad.Zero) else t for t in tangents]


def _summed_to(operand: ShapedArray, cotangent: Array) -> Array:
    """The cotangent of an operand that may broadcast, from that of one that does not."""
    if 0 in operand.shape:  # the edges of a line of one sample
        return jnp.zeros_like(cotangent, shape=operand.shape)
    pairs = zip(operand.shape, cotangent.shape, strict=True)
    shared = tuple(d for d, (own, full) in enumerate(pairs) if own != full)
    if shared:
        cotangent = cotangent.sum(shared, keepdims=True)
    return sharding.resharded(cotangent.astype(operand.dtype), operand.sharding.spec)


def _first_axis(params: dict[str, Any]) -> int:
    return params["axis"] if "axis" in params else min(params["axes"])


def _shifted(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters for operands with one more dimension in front."""
    if "axis" in params:
        return params | {"axis": params["axis"] + 1}
    return params | {"axes": tuple(axis + 1 for axis in params["axes"])}


def _batch_first(
    args: Sequence[Array], dims: Sequence[int | None], full_operands: Sequence[int] | None
) -> list[Array]:
    """The mapped dimension in front; size 1 for an operand that is not mapped and may broadcast."""
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    moved = []
    for k, (x, d) in enumerate(zip(args, dims, strict=True)):
        if d is not None:
            moved.append(jnp.moveaxis(x, d, 0))
        else:
            full = full_operands is None or k in full_operands
            moved.append(jnp.broadcast_to(x, (size if full else 1, *x.shape)))
    return moved


def _lower_to_plain(reference: Callable) -> Callable:
    """A lowering rule for platforms without compiled kernels."""
    lower = mlir.lower_fun(reference, multiple_results=True)

    def rule(ctx, *operands, **params):
        if "cuda" in ctx.module_context.platforms and "cuda" not in ffi.compiled_platforms:
            ffi.warn_of_plain_jax("cuda")
        return lower(ctx, *operands, **params)

    return rule


def _lower_to(
    target: str, primitive: Primitive, platform: str, reference: Callable, stored: int
) -> Callable:
    """A lowering rule: the FFI target, partitioned along the dimensions before its first axis.

    Images that the kernel does not take are left to the reference.
    """

    def rule(ctx, *operands, **params):
        first = _first_axis(params)
        x = ctx.avals_in[stored]
        sizes = tuple(x.shape[axis] for axis in sorted(params.get("axes", (first,))))
        other = None
        computed = computed_type(x.dtype)
        if not ffi.takes(target, platform, sizes, computed.itemsize):
            other = _in_computed_type(reference, stored)
        elif computed != x.dtype and not ffi.takes_half_types(target, platform, sizes):
            other = _in_computed_type(primitive.bind, stored)
        if other is not None:
            whole = mlir.lower_fun(functools.partial(other, **params), multiple_results=True)
            return whole(ctx, *operands)
        batch = ctx.avals_out[0].shape[:first]
        sharded = getattr(ctx.module_context.axis_context, "num_devices", None) != 1
        if sharded and any(aval.shape[:first] != batch for aval in ctx.avals_in):
            # Partitioning would cut these dimensions also in an operand that broadcasts.
            def spread(*args: Array) -> list[Array]:
                full = [jnp.broadcast_to(x, (*batch, *x.shape[first:])) for x in args]
                return primitive.bind(*full, **params)

            return mlir.lower_fun(spread, multiple_results=True)(ctx, *operands)
        num_results = len(ctx.avals_out)
        if (scratch := ffi.scratch_of(target, platform)) is not None:
            lines, axes = ctx.avals_out[0].shape[first:], params.get("axes", [first])
            images = math.prod(n for d, n in enumerate(lines, first) if d not in axes)
            size = scratch.bytes_for(lines, len(axes), images)
            work_space = ShapedArray((*batch, size), jnp.uint8)
            ctx = ctx.replace(avals_out=[*ctx.avals_out, work_space])
        extra = sharding.partitioning(ctx.avals_in, ctx.avals_out, first) if sharded else None
        attributes = {k: np.array(v) if isinstance(v, tuple) else v for k, v in params.items()}
        lowering = jax.ffi.ffi_lowering(target, extra_attributes=extra)
        values = lowering(ctx, *operands, **attributes)[:num_results]
        return _pinned(ctx, values) if sharded else values

    return rule


def _pinned(ctx, values: Sequence) -> Sequence:
    """The results of a call, with the shardings that their types have on a mesh of explicit axes.

    As jnp functions do; else XLA may choose to cut a line where it is made, for a later use.
    """
    avals = ctx.avals_out[: len(values)]
    if not avals[0].sharding.mesh.explicit_axes:
        return values

    def pin(*results: Array) -> list[Array]:
        return [jax.sharding.reshard(r, a.sharding) for r, a in zip(results, avals, strict=True)]

    return mlir.lower_fun(pin, multiple_results=True)(
        ctx.replace(avals_in=avals, avals_out=avals), *values
    )

# SPDX-License-Identifier: MIT
"""Operators on every line of an array along one axis, as JAX primitives.

All of JAX's machinery that they need is in this file: the choice of a kernel per platform,
batching, sharding. What they compute is in `core/` (compiled) and `_reference.py` (plain JAX). An
operand is never transposed or reshaped: the axis is an attribute that the kernel reads.
"""

import functools
import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.extend.mlir import ir
from jax.interpreters import ad, batching, mlir

from jaxtv import _ffi, _reference


def prox(x: Array, lam: Array, *, axis: int) -> Array:
    """The TV prox of each line of `x` along `axis`.

    Args:
      x: float32 or float64, any shape.
      lam: weights, same dtype and rank; each dimension is that of `x` or 1; along `axis` 1 or one
        less than that of `x`.
      axis: not negative.
    """
    return _prox_p.bind(*match_manual_axes(x, lam), axis=axis)


def run_mean(y: Array, v: Array, *, axis: int) -> Array:
    """The mean of `v` over each maximal run of equal `y` along `axis`; self-adjoint in `v`."""
    return _run_mean_p.bind(*match_manual_axes(y, v), axis=axis)


def match_manual_axes(*operands: Array) -> list[Array]:
    """Inside `shard_map`, lets all operands vary over the mesh axes over which any of them does.

    jnp functions do this by themselves; binding a primitive does not.
    """

    def varying(x: Array) -> frozenset[str]:
        aval = jax.typeof(x)
        aval = getattr(aval, "manual_axis_type", aval)
        return frozenset(getattr(aval, "varying", None) or getattr(aval, "vma", None) or ())

    axes = [varying(x) for x in operands]
    union = frozenset().union(*axes)
    return [
        x if a == union else lax.pcast(x, tuple(sorted(union - a)), to="varying")
        for x, a in zip(operands, axes, strict=True)
    ]


def _sharding_rule(axis: int, shapes: Sequence[Sequence[int]]) -> ir.Attribute | None:
    """Shardy's rule for operands and one result that share the dimensions before `axis`.

    Each of those is a factor that may be sharded; every other dimension is a factor of its own that
    must be whole on each device.
    """
    if axis == 0 or not all(isinstance(size, int) for shape in shapes for size in shape):
        return None  # nothing to shard, or symbolic sizes (export)
    names = itertools.chain("ijklmnopqrstuvwxyz", (f"z_{k}" for k in itertools.count(1)))
    batch = [next(names) for _ in range(axis)]
    sizes = dict(zip(batch, shapes[0], strict=False))
    rows, whole = [], []
    for shape in shapes:
        own = [next(names) for _ in shape[axis:]]
        sizes |= zip(own, shape[axis:], strict=True)
        whole += own
        rows.append("[" + ", ".join(batch + own) + "]")
    factors = ", ".join(f"{name}={size}" for name, size in sizes.items())
    return ir.Attribute.parse(
        f"#sdy.op_sharding_rule<({', '.join(rows[:-1])})->({rows[-1]}) "
        f"{{{factors}}} need_replication={{{', '.join(whole)}}}>"
    )


def _lower_to(target: str, primitive: Primitive) -> Callable:
    """A lowering rule: the FFI target, partitioned along the dimensions before the axis."""

    def rule(ctx, *operands, axis: int):
        if getattr(ctx.module_context.axis_context, "num_devices", None) == 1:
            return jax.ffi.ffi_lowering(target)(ctx, *operands, axis=axis)
        shapes = [aval.shape for aval in (*ctx.avals_in, *ctx.avals_out)]
        batch = shapes[-1][:axis]
        if any(shape[:axis] != batch for shape in shapes):
            # Partitioning would cut these dimensions also in an operand that broadcasts.
            def spread(*args: Array) -> Array:
                full = [jnp.broadcast_to(x, (*batch, *x.shape[axis:])) for x in args]
                return primitive.bind(*full, axis=axis)

            return mlir.lower_fun(spread, multiple_results=False)(ctx, *operands)
        batch_dims = ir.DictAttr.get({"num_batch_dims": ir.StringAttr.get(str(axis))})
        attributes: dict[str, ir.Attribute] = {"mhlo.frontend_attributes": batch_dims}
        if (sharding := _sharding_rule(axis, shapes)) is not None:
            attributes["sdy.sharding_rule"] = sharding
        return jax.ffi.ffi_lowering(target, extra_attributes=attributes)(ctx, *operands, axis=axis)

    return rule


def _line_primitive(name: str, reference: Callable, full_operands: Sequence[int]) -> Primitive:
    """A primitive with one result, of the shape and dtype of its first operand.

    Args:
      name: of the primitive and of its FFI target.
      reference: the same in plain JAX, for platforms without a compiled kernel.
      full_operands: the operands that have the shape of the result; others may broadcast.
    """
    primitive = Primitive(name)

    @functools.cache
    def compiled(axis: int):
        return jax.jit(functools.partial(primitive.bind, axis=axis))

    def batch(args: Sequence[Array], dims: Sequence[int | None], *, axis: int):
        size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
        moved = []
        for k, (x, d) in enumerate(zip(args, dims, strict=True)):
            if d is not None:
                moved.append(jnp.moveaxis(x, d, 0))
            else:
                moved.append(jnp.broadcast_to(x, (size if k in full_operands else 1, *x.shape)))
        return primitive.bind(*moved, axis=axis + 1), 0

    primitive.def_impl(lambda *args, axis: compiled(axis)(*args))
    primitive.def_abstract_eval(lambda x, *_, axis: x)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(reference, multiple_results=False))
    for platform in _ffi.compiled_platforms:
        mlir.register_lowering(primitive, _lower_to(name, primitive), platform=platform)
    return primitive


_prox_p = _line_primitive("jaxtv_prox_tv1d", _reference.prox, full_operands=(0,))
_run_mean_p = _line_primitive("jaxtv_run_mean", _reference.run_mean, full_operands=(0, 1))


# The run mean is linear and self-adjoint in v; in y it is locally constant.
def _run_mean_transpose(cotangent, y, v, *, axis: int):
    if isinstance(cotangent, ad.Zero):
        return None, ad.Zero(v.aval)
    return None, run_mean(y, cotangent, axis=axis)


ad.defjvp(_run_mean_p, None, lambda dv, y, v, *, axis: run_mean(y, dv, axis=axis))
ad.primitive_transposes[_run_mean_p] = _run_mean_transpose

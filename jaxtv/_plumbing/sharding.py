# SPDX-License-Identifier: MIT
"""How arrays lie over devices: abstract results, operands placed for a kernel, its partitioning."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray
from jax.extend.mlir import ir
from jax.sharding import PartitionSpec


def reduced(x: ShapedArray, axes: tuple[int, ...], dtype: Any, size: int = 1) -> ShapedArray:
    """The abstract value of numbers for each line or image of `x`: `size` of them along `axes`."""
    shape = tuple(size if d in axes else own for d, own in enumerate(x.shape))
    sharding = x.sharding.update(spec=_whole_along(x, axes))
    return x.update(shape=shape, dtype=jnp.dtype(dtype), sharding=sharding)


def edges(x: Any, axis: int) -> ShapedArray:
    """The abstract value of numbers for each pair of neighbours of `x` along `axis`."""
    aval = jax.typeof(x) if isinstance(x, Array) else x
    shape = tuple(max(n - 1, 0) if d == axis else n for d, n in enumerate(aval.shape))
    spec = (None if d == axis else names for d, names in enumerate(aval.sharding.spec))
    sharding = aval.sharding.update(spec=PartitionSpec(*spec))
    return aval.update(shape=shape, sharding=sharding)


def placed(axes: tuple[int, ...], x: Array, *others: Array) -> list[Array]:
    """Operands such that each device can work on its lines or images along `axes` alone.

    Inside `shard_map` all vary over the same mesh axes. On a mesh with explicit axes, whose
    shardings are part of the type, they are gathered along `axes`: jnp functions refuse to cut what
    the differences between neighbours leave. With automatic axes XLA gathers.
    """
    return [resharded(a, _whole_along(jax.typeof(a), axes)) for a in match_manual_axes(x, *others)]


def sharded_as(y: Array, x: Array) -> Array:
    """`y`, over devices as `x` of the same shape is: undoes `placed`."""
    return resharded(y, jax.typeof(x).sharding.spec)


def resharded(x: Array, spec: PartitionSpec) -> Array:
    """`x`, cut over devices as `spec` says; not touched if it is so already."""
    sharding = jax.typeof(x).sharding
    return x if sharding.spec == spec else jax.sharding.reshard(x, sharding.update(spec=spec))


def _whole_along(x: ShapedArray, axes: tuple[int, ...]) -> PartitionSpec:
    return PartitionSpec(*(None if d in axes else names for d, names in enumerate(x.sharding.spec)))


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


def partitioning(avals_in: Sequence, avals_out: Sequence, first: int) -> dict[str, ir.Attribute]:
    """What tells XLA that a call may be partitioned along the dimensions before `first`."""
    batch_dims = ir.DictAttr.get({"num_batch_dims": ir.StringAttr.get(str(first))})
    attributes: dict[str, ir.Attribute] = {"mhlo.frontend_attributes": batch_dims}
    operands, results = ([aval.shape for aval in avals] for avals in (avals_in, avals_out))
    if (rule := _sharding_rule(operands, results, first)) is not None:
        attributes["sdy.sharding_rule"] = rule
    return attributes


def _sharding_rule(
    operands: Sequence[Sequence[int]], results: Sequence[Sequence[int]], first: int
) -> ir.Attribute | None:
    """Shardy's rule for operands and results that share the dimensions before `first`.

    Each of those is a factor that may be sharded; every other dimension is a factor of its own that
    must be whole on each device.
    """
    shapes = [*operands, *results]
    if first == 0 or not all(isinstance(size, int) for shape in shapes for size in shape):
        return None  # nothing to shard, or symbolic sizes (export)
    names = itertools.chain("ijklmnopqrstuvwxyz", (f"z_{k}" for k in itertools.count(1)))
    batch = [next(names) for _ in range(first)]
    sizes = dict(zip(batch, shapes[0], strict=False))
    rows, whole = [], []
    for shape in shapes:
        own = [next(names) for _ in shape[first:]]
        sizes |= zip(own, shape[first:], strict=True)
        whole += own
        rows.append("[" + ", ".join(batch + own) + "]")
    factors = ", ".join(f"{name}={size}" for name, size in sizes.items())
    taken, given = ", ".join(rows[: len(operands)]), ", ".join(rows[len(operands) :])
    return ir.Attribute.parse(
        f"#sdy.op_sharding_rule<({taken})->({given}) "
        f"{{{factors}}} need_replication={{{', '.join(whole)}}}>"
    )

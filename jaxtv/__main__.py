# SPDX-License-Identifier: MIT
"""``python -m jaxtv``: versions, devices, what serves each, and a self-check."""

import platform
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxtv
from jaxtv._plumbing import ffi

# Worked by hand: lam = 1 raises the left plateau by 1/2 and lowers the peak by 1.
_X, _Y = [0.0, 0.0, 4.0], [0.5, 0.5, 3.0]
# For the cotangent (1, 2, 5): means over the two runs, and -(5 - 1.5) for lam.
_COTANGENT, _X_BAR, _LAM_BAR = [1.0, 2.0, 5.0], [1.5, 1.5, 5.0], -3.5


def _platform(device: Any) -> str:
    return "cuda" if device.platform == "gpu" else device.platform


def _backend(platform: str) -> str:
    return "compiled kernels" if platform in ffi.compiled_platforms else "plain JAX (slow)"


def _self_check(device: Any) -> bool:
    x, cotangent = (jax.device_put(np.asarray(v, np.float32), device) for v in (_X, _COTANGENT))
    y, pullback = jax.vjp(jaxtv.prox_tv_1d, x, jnp.float32(1))
    x_bar, lam_bar = pullback(cotangent)
    pairs = ((y, _Y), (x_bar, _X_BAR), (lam_bar, _LAM_BAR))
    return all(np.allclose(got, expected, rtol=1e-6) for got, expected in pairs)


def main() -> int:
    """Prints the report; the exit status says whether every self-check passed."""
    built = ".".join(map(str, ffi.running_api_version()))
    print(f"jaxtv {jaxtv.__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"jax {jax.__version__}, numpy {np.__version__}, XLA FFI {built}")
    print(f"compiled for: {', '.join(sorted(ffi.compiled_platforms)) or 'no platform'}")
    passed = True
    for device in jax.local_devices():
        ok = _self_check(device)
        passed &= ok
        verdict = "value and gradient right" if ok else "WRONG value or gradient"
        print(f"{device}: {_backend(_platform(device))}, self-check: {verdict}")
    here = {_platform(device) for device in jax.local_devices()}
    for name in sorted((here & {"cpu", "cuda"}) - ffi.compiled_platforms):
        print(f"Why plain JAX on {name}: {ffi.why_plain(name)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""How far the gradients of the converged prox are from those of the solution, and at what cost.

    python benchmarks/gradients.py

The derivative depends on which pixels of the solution are equal, and a point within `tol` of the
solution has most, not all of these regions. For each image, weight and type the table has the
sweeps of the value alone at `tol=1e-3` and, for some values of `deriv_tol`, three numbers: the
relative errors of two gradients against those of the solution, which is solved in float64 down to
rounding,

    x      P v, the pull-back of a cotangent v of independent N(0, 1) pixels, in the l2 norm;
    lam    the slope of 1/2 ||prox(x, lam)||^2;

and the sweeps of the value with its gradients.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from skimage import data, filters, transform

import jaxtv

SIZE = 192
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)


def images():
    """Images with a standard deviation of about 1, but for photographs, in [0, 1]."""
    rng = np.random.default_rng(0)
    camera, face = (
        transform.resize(photo, (SIZE, SIZE), anti_aliasing=True)
        for photo in (data.camera() / 255, data.astronaut()[..., 0] / 255)
    )
    edges = np.maximum(filters.sobel_v(camera) + 0.5 * filters.laplace(camera), 0)
    row = np.linspace(0, 1, SIZE)
    return {
        "camera": (camera, (0.02, 0.1, 0.4)),
        "astronaut": (face, (0.02, 0.1, 0.4)),
        "camera and noise": (camera + 0.1 * rng.normal(size=camera.shape), (0.05, 0.1, 0.2)),
        "feature map": (edges / edges.std(), (0.05, 0.2, 1.0)),
        "smooth": (np.sin(3 * row[:, None] + 2 * row**2), (0.01, 0.05, 0.2)),
        "noise": (rng.normal(size=camera.shape), (0.1, 0.4, 1.0)),
    }


@functools.partial(jax.jit, static_argnames="max_sweeps")
def gradients(x, lam, cotangent, tol, deriv_tol, max_sweeps=1000):
    options = {"tol": tol, "deriv_tol": deriv_tol, "max_sweeps": max_sweeps, "return_info": True}
    prox = functools.partial(jaxtv.prox_tv_2d, **options)
    y, pull, info = jax.vjp(prox, x, lam, has_aux=True)
    return pull(cotangent)[0], pull(y)[1], info.sweeps


def off(got, exact):
    return float(np.linalg.norm(got - exact) / np.linalg.norm(exact))


def main():
    jax.config.update("jax_enable_x64", True)
    print("| image | lam | type | sweeps | " + " | ".join(f"{t:g}" for t in TOLERANCES) + " |")
    print("|---|---:|---|---:|" + "---:|" * len(TOLERANCES))
    errors = {t: [] for t in TOLERANCES}
    cotangent = np.random.default_rng(1).normal(size=(SIZE, SIZE))
    for name, (image, lams) in images().items():
        for lam in lams:
            exact = gradients(image, lam, cotangent, 0.0, 0.0, max_sweeps=20_000)
            for dtype in ("float32", "float64"):
                args = [jnp.asarray(a, dtype) for a in (image, lam, cotangent)]
                value = jaxtv.prox_tv_2d(*args[:2], return_info=True)[1].sweeps
                cells = [f"{value}"]
                for deriv_tol in TOLERANCES:
                    x_bar, lam_bar, sweeps = gradients(*args, 1e-3, deriv_tol)
                    errors[deriv_tol].append((off(x_bar, exact[0]), off(lam_bar, exact[1])))
                    cells.append("{:.2%}, {:.2%}, ".format(*errors[deriv_tol][-1]) + f"{sweeps}")
                print(f"| {name} | {lam} | {dtype} | " + " | ".join(cells) + " |", flush=True)
    for what, summary in (("median", np.median), ("worst", np.max)):
        cells = (", ".join(f"{e:.2%}" for e in summary(errors[t], axis=0)) for t in TOLERANCES)
        print(f"| {what} | | | | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

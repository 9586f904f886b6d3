# SPDX-License-Identifier: MIT
"""Denoise a photograph by total variation, next to a Gaussian filter, and learn the weight.

The weight and the width of the filter are those that are best on another photograph.

python examples/quickstart.py                  # scikit-image's astronaut
python examples/quickstart.py photo.jpg
python examples/quickstart.py --small          # a few seconds
"""

import argparse
import pathlib
import time

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from flax import linen as nn
from PIL import Image
from skimage import data
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio
from tqdm import tqdm

import jaxtv
import jaxtv.linen

matplotlib.use("Agg")
import matplotlib.pyplot as plt

AXES = (0, 1)  # images are [H, W, C]; each channel is denoised on its own


def main() -> None:
    args = parse_arguments()
    picture = Image.fromarray(data.astronaut()) if args.image is None else Image.open(args.image)
    longest = 128 if args.small else 1024
    clean, other = (pixels(p, longest) for p in (picture, Image.fromarray(data.coffee())))
    noisy, other_noisy = add_noise(clean, args.noise, 0), add_noise(other, args.noise, 1)
    print(f"image {clean.shape}, noise {args.noise}: PSNR {psnr(noisy, clean):.2f} dB")

    width = best_width(other_noisy, other)
    blurred = blur(noisy, width)
    print(f"Gaussian filter, tuned width {width:.2f} pixels: PSNR {psnr(blurred, clean):.2f} dB")

    denoise = jax.jit(lambda x, lam: jaxtv.prox_tv_2d(x, lam, axes=AXES))
    seconds, denoised = timed(denoise, noisy, args.lam)
    print(f"TV, lam {args.lam}: PSNR {psnr(denoised, clean):.2f} dB, {1e3 * seconds:.1f} ms")

    layer = jaxtv.linen.TV2D(lam_init=0.02, axes=AXES)
    params = learn(layer, other_noisy, other, steps=10 if args.small else 60)
    learned, lam = layer.apply(params, noisy), weight(params)
    print(f"TV layer, learned lam {lam:.4f}: PSNR {psnr(learned, clean):.2f} dB")

    panels = {
        "photograph": clean,
        "noisy": noisy,
        f"Gaussian, tuned width {width:.2f}": blurred,
        f"TV, lam {args.lam}": denoised,
        f"TV layer, learned lam {lam:.3f}": learned,
    }
    save_figure(panels, clean, args.out)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", type=pathlib.Path, help="picture; default: astronaut")
    parser.add_argument("--noise", type=float, default=0.1, help="standard deviation, white is 1")
    parser.add_argument("--lam", type=float, default=0.1, help="TV weight, in the same units")
    parser.add_argument("--small", action="store_true", help="small picture, few steps")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/quickstart.png"))
    return parser.parse_args()


def pixels(picture: Image.Image, longest: int) -> jax.Array:
    picture = picture.convert("RGB")
    picture.thumbnail((longest, longest))
    return jnp.asarray(picture, jnp.float32) / 255


def add_noise(clean: jax.Array, deviation: float, seed: int) -> jax.Array:
    return clean + deviation * jax.random.normal(jax.random.key(seed), clean.shape)


def psnr(image: jax.Array, clean: jax.Array) -> float:
    return peak_signal_noise_ratio(np.asarray(clean), np.clip(image, 0, 1), data_range=1.0)


def blur(noisy: jax.Array, width: float) -> np.ndarray:
    return gaussian(np.asarray(noisy), width, channel_axis=-1)


def best_width(noisy: jax.Array, clean: jax.Array) -> float:
    return max(np.arange(0.5, 2.5, 0.05), key=lambda width: psnr(blur(noisy, width), clean))


def timed(function, *args) -> tuple[float, jax.Array]:
    """Seconds of a call that has been compiled, and its result."""
    jax.block_until_ready(function(*args))
    start = time.perf_counter()
    result = jax.block_until_ready(function(*args))
    return time.perf_counter() - start, result


def learn(layer: nn.Module, noisy: jax.Array, clean: jax.Array, steps: int) -> dict:
    """Fits the weight of a TV layer by gradient descent on the PSNR."""
    params = layer.init(jax.random.key(0), noisy)
    optimizer = optax.adam(0.1)

    def loss(params, noisy, clean):
        error = jnp.mean((layer.apply(params, noisy) - clean) ** 2)
        return 10 * jnp.log10(error)  # minus the PSNR

    @jax.jit
    def step(params, state, noisy, clean):
        value, gradient = jax.value_and_grad(loss)(params, noisy, clean)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, -value

    state = optimizer.init(params)
    progress = tqdm(range(steps), desc="learning lam")
    for _ in progress:
        params, state, value = step(params, state, noisy, clean)
        progress.set_postfix(lam=f"{weight(params):.4f}", psnr=f"{value:.2f} dB")
    return params


def weight(params) -> float:
    return float(jax.nn.softplus(params["params"]["lam_raw"]))


def save_figure(panels: dict[str, jax.Array], clean: jax.Array, path: pathlib.Path) -> None:
    """Whole images above, a detail below."""
    height, width, _ = clean.shape
    detail = (
        slice(height // 16, height // 16 + height // 4),
        slice(width * 3 // 8, width * 5 // 8),
    )
    figure, axes = plt.subplots(2, len(panels), figsize=(3.2 * len(panels), 7), layout="tight")
    for (title, image), (whole, zoom) in zip(panels.items(), axes.T, strict=True):
        image = np.clip(np.asarray(image), 0, 1)
        quality = "" if title == "photograph" else f"\n{psnr(image, clean):.2f} dB"
        whole.imshow(image)
        whole.set_title(title + quality)
        zoom.imshow(image[detail], interpolation="nearest")
        for panel in (whole, zoom):
            panel.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"saved {path}")


if __name__ == "__main__":
    main()

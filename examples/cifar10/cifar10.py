# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Total variation layers on CIFAR-10
#
# A convolution can blur, but it cannot smooth an image and keep its edges. Total variation (TV)
# can. Its operator
#
# $$\operatorname{prox}(x, \lambda) = \operatorname{argmin}_y \tfrac12 \|y - x\|^2
#   + \lambda \sum_{i \sim j} |y_i - y_j|$$
#
# removes what is small and leaves what is large. Here it is a **layer**: it stands inside a
# network, exact gradients pass through it, and its weight $\lambda$ is learned with all the other
# parameters. We follow section 4.2 of
# [Total Variation Optimization Layers for Computer Vision](https://openaccess.thecvf.com/content/CVPR2022/html/Yeh_Total_Variation_Optimization_Layers_for_Computer_Vision_CVPR_2022_paper.html):
# three networks, trained on clean images and tested on corrupted ones.
#
# | network | layer before the batch normalisation of blocks 1 to 3 |
# | --- | --- |
# | AllConv | none |
# | TV-Smooth | $\operatorname{prox}(x, \lambda)$ |
# | TV-Sharp | $2 x - \operatorname{prox}(x, \lambda)$ |
#
# As it stands, the notebook takes about a minute on a laptop. **It then proves nothing**, it shows
# how things work: 640 synthetic pictures, networks of 4 channels, 3 epochs and one seed, tested on
# 20 pictures for each corruption and severity. An accuracy on these hundred has a standard error of
# five points, more than what the layers are worth. The same code runs the whole experiment, and
# [README.md](README.md) has the results of a larger run.

# %%
import os
import sys
from pathlib import Path

root = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "examples" / "cifar10").is_dir())
os.chdir(root)
sys.path.append(str(root))

# %%
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from IPython.display import Markdown

import jaxtv
from examples.cifar10 import data, evaluate, experiment, figures, models, models_nnx, train
from examples.cifar10.experiment import Plan
from examples.cifar10.train import Settings
from examples.common.figures import image_grid

print(f"JAX {jax.__version__} on {jax.devices()[0].device_kind}")

# %% [markdown]
# ## Settings
#
# For CIFAR-10 itself, set `DATA` to `"download"`, or to the path of `cifar-10-python.tar.gz`. A run
# that was stopped goes on from its last epoch when the cells are run again.

# %% tags=["parameters"]
DATA = "stand-in"
OUT = Path("out/cifar10-notebook")

# %%
if DATA == "stand-in":
    plan = experiment.SMALL
    settings = experiment.SMALL_SETTINGS
else:
    plan = Plan(DATA, seeds=3)
    settings = Settings()
dataset = experiment.prepare(plan, settings, OUT)
print(f"{len(dataset.train.labels)} images to train on, {len(dataset.test.labels)} to test on")
settings

# %% [markdown]
# ## The images

# %%
first = [np.flatnonzero(dataset.train.labels == label)[:2] for label in range(models.CLASSES)]
rows = [[dataset.train.images[pair[i]] for pair in first] for i in range(2)]
figure = image_grid(rows, ["", ""], data.CLASSES if DATA != "stand-in" else range(10))
# %% [markdown]
# ## What a TV layer does
#
# The prox flattens regions, and each edge loses some of its height but none of its sharpness. Twice
# the image minus the prox does the opposite: what the prox takes away is added. With
# $\lambda = 0$, both are the identity.

# %%
picture = dataset.test.images[0]
x = jnp.asarray(picture, jnp.float32) / 255
smooth = [jaxtv.prox_tv_2d(x, lam, axes=(0, 1)) for lam in (0.05, 0.15, 0.5)]
sharp = [2 * x - y for y in smooth]


def as_pixels(image):
    return np.asarray(255 * jnp.clip(image, 0, 1)).astype(np.uint8)


figure = image_grid(
    [[picture, *map(as_pixels, row)] for row in (smooth, sharp)],
    ["smooth", "sharp"],
    ["image", "λ = 0.05", "λ = 0.15", "λ = 0.5"],
)

# %% [markdown]
# ## The network
#
# AllConvNet has eight blocks of convolution, batch normalisation and ReLU, and an average over the
# image at the end. [`models.py`](models.py) is one page; with a TV layer, a block reads
#
# ```python
# x = nn.Conv(...)(x)
# x = jaxtv.linen.TV2D(mode=self.tv, lam_init=0.05)(x)
# x = nn.relu(nn.BatchNorm(...)(x))
# ```
#
# A TV layer adds one parameter, `lam_raw`, of which $\lambda$ is the softplus. Before any training,
# the loss already has a slope in it:

# %%
model = train.make_model("TV-Smooth", settings)
state = train.initial_state(model, train.make_optimizer(settings, steps=100), seed=0)
batch = jax.tree.map(lambda array: jnp.asarray(array[:64]), dataset.train)
slope, _ = jax.grad(train.loss, has_aux=True)(state.params, state, batch)
for block in ("block1", "block2", "block3"):
    lam = jax.nn.softplus(state.params[block]["tv"]["lam_raw"])
    print(f"{block}: λ = {lam:.3f}, slope in lam_raw {slope[block]['tv']['lam_raw']:+.5f}")

# %% [markdown]
# ## Training
#
# Stochastic gradient descent with momentum, on random crops and flips. All three networks start
# from the same kernels and see the same batches.

# %%
trained, history = experiment.train_all(dataset, plan, settings, OUT)

# %%
figure = figures.curves(history)
# %% [markdown]
# ## What λ learns
#
# The counterpart of Fig. 3 of the paper. Nothing holds λ where it starts: a network to which
# smoothing is of no use can bring it to 0 and switch the layer off.

# %%
figure = figures.learned_weights(history)
# %% [markdown]
# ## Corruptions
#
# The fifteen corruptions of CIFAR-10-C, at severities 1 and 5, with their published constants.
# No network has seen any of them in training.

# %%
figure = figures.gallery(
    dataset.test.images[:2], severities=(1, 5), frost_pictures=experiment.read_frost(plan)
)
# %% [markdown]
# ## Accuracy under corruption
#
# The counterpart of Table 2, averaged over the five severities. Does smoothing help against noise,
# sharpening against blur? With the small settings, the differences between the columns are chance.

# %%
accuracies = experiment.test_all(trained, dataset, plan, OUT)
Markdown(evaluate.table(accuracies))

# %%
figure = figures.accuracies(accuracies)
# %% [markdown]
# ## The same in NNX
#
# [`models_nnx.py`](models_nnx.py) is the same network in Flax NNX, with the same names: it takes
# the parameters that we have trained, and gives the same results.

# %%
state = trained["TV-Sharp", 0]
twin = models_nnx.AllConvNet("sharp", settings.width, rngs=nnx.Rngs(0))
models_nnx.load_linen(twin, state.variables)
twin.eval()

images = train.standardise(jnp.asarray(dataset.test.images[:8]))
difference = jnp.max(abs(twin(images) - state.apply_fn(state.variables, images)))
print(f"largest difference of a logit: {difference:.1e}")

# %% [markdown]
# ## Next
#
# - `python -m examples.cifar10 --source download` is the whole experiment, with three seeds; give
#   `--published` the folder of CIFAR-10-C's `.npy` files, or `download`, to test on these.
# - `python -m examples.cifar10.cost` measures what the TV layers cost.
# - [README.md](README.md) says what is as in the paper, and what is not.

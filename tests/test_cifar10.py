# SPDX-License-Identifier: MIT
"""Does the CIFAR-10 example run, resume after a kill, and train what it says it trains?"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import jupytext
import nbclient
import nbformat
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import jaxtv
from examples.cifar10 import cost, data, evaluate, experiment, models, models_nnx, train
from examples.cifar10.train import Settings
from examples.common import tables
from examples.common.training import fit

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "cifar10" / "cifar10.ipynb"
BLOCKS = ("block1", "block2", "block3")

# The notebook runs as it does for users; what comes after it compiles for longer than it runs.
pytestmark = pytest.mark.usefixtures("usual_jax", "quick_compilation")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """The notebook, executed as it stands but for the folder of its results."""
    out = tmp_path_factory.mktemp("cifar10")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    parameters.source, count = re.subn(r"Path\(.*\)", f"Path({str(out)!r})", parameters.source)
    assert count == 1
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_PLATFORMS", "cpu")
        patch.delenv("XLA_FLAGS", raising=False)
        client.execute()
    return notebook, out


def test_notebook_executes(small_run):
    notebook, out = small_run
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    (table,) = (o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {}))
    assert table == evaluate.table(tables.read_csv(out / "accuracy.csv"))
    printed = "".join(output.get("text", "") for output in outputs)
    assert float(re.search(r"difference of a logit: (\S+)", printed)[1]) < 1e-4


def test_loss_falls(small_run):
    _, out = small_run
    history = tables.read_csv(out / "history.csv")
    for name in models.MODELS:
        losses = [float(row["loss"]) for row in history if row["model"] == name]
        assert losses[-1] < losses[0] - 0.2
        last = float([row for row in history if row["model"] == name][-1]["test_accuracy"])
        assert last > 15  # of ten classes


def test_weights_are_learned(small_run):
    _, out = small_run
    last = {row["model"]: row for row in tables.read_csv(out / "history.csv")}
    for name in ("TV-Smooth", "TV-Sharp"):
        for block in (1, 2, 3):
            assert abs(float(last[name][f"lam{block}"]) - models.LAM_INIT) > 1e-5
    assert last["AllConv"]["lam1"] == ""


def test_command_resumes(small_run):
    """The command finds what the notebook has trained and evaluated, and adds files to it."""
    _, out = small_run
    before = (out / "accuracy.csv").read_text()
    command = ("-m", "examples.cifar10", "--small", "--out", str(out))
    result = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        check=True,
        text=True,
        capture_output=True,
    )
    assert "epoch 1 of" not in result.stderr  # nothing is trained again
    assert (out / "accuracy.csv").read_text() == before
    assert (out / "table.md").read_text() in result.stdout
    with Image.open(out / "corruptions.png") as figure:
        assert min(figure.size) > 300
    for name in ("accuracy", "curves", "lambda"):
        assert ElementTree.parse(out / f"{name}.svg").getroot().tag.endswith("svg")


def test_other_settings_are_refused(small_run):
    _, out = small_run
    with pytest.raises(ValueError, match="width 4, now 5"):
        experiment.prepare(
            experiment.SMALL, dataclasses.replace(experiment.SMALL_SETTINGS, width=5), out
        )


def test_notebook_and_text_agree():
    """`jupytext --to ipynb --update examples/cifar10/cifar10.py` brings them together again.

    Then, without a folder out, `TQDM_DISABLE=1 jupyter-execute --inplace cifar10.ipynb`.
    """
    text = jupytext.read(NOTEBOOK.with_suffix(".py"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    pairs = [[(cell.cell_type, cell.source) for cell in nb.cells] for nb in (text, notebook)]
    assert pairs[0] == pairs[1]


def test_notebook_shows_its_outputs():
    """Those of one run from the first cell to the last, without progress bars and warnings."""
    cells = [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert NOTEBOOK.stat().st_size < 1_000_000


@pytest.fixture(scope="module")
def dataset():
    return data.load("stand-in", 64, 32)


SETTINGS = Settings(width=4, epochs=3, batch_size=32)


def test_killed_run_resumes_to_the_same_numbers(dataset, tmp_path):
    model = train.make_model("TV-Smooth", SETTINGS)
    steps = 6

    def run(folder, killed_in=None):
        def kill(number, batch):
            if number == killed_in:
                raise KeyboardInterrupt
            return batch

        return fit(
            train.initial_state(model, train.make_optimizer(SETTINGS, steps), 7),
            train.train_step,
            data.batches(dataset.train, 32, 7, 3).map_with_index(kill),
            epochs=3,
            folder=folder,
            report=lambda state: models.weights(state.params),
        )

    whole, history = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", killed_in=3)
    resumed, resumed_history = run(tmp_path / "killed")
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert resumed_history == history
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


@pytest.mark.parametrize("mode", ["smooth", "sharp"])
def test_lambda_has_a_slope(dataset, mode):
    model = models.AllConvNet(mode, width=4)
    state = train.initial_state(model, train.make_optimizer(SETTINGS, 9), 0)
    batch = jax.tree.map(lambda array: array[:16], dataset.train)
    slope, _ = jax.jit(jax.grad(train.loss, has_aux=True))(state.params, state, batch)
    for block in BLOCKS:
        assert 1e-7 < abs(slope[block]["tv"]["lam_raw"]) < 10


@pytest.mark.parametrize("mode", ["smooth", "sharp"])
def test_layer_stands_before_the_normalisation(dataset, mode):
    """Conv, TV, batch norm, ReLU; in the first three blocks; lambda 0.05, one for all channels."""
    model = models.AllConvNet(mode, width=4)
    x = train.standardise(jnp.asarray(dataset.test.images[:2]))
    variables = model.init(jax.random.key(0), x)
    lams = models.weights(variables["params"])
    assert list(lams) == ["lam1", "lam2", "lam3"]
    np.testing.assert_allclose(list(lams.values()), 0.05, rtol=1e-5)

    _, seen = model.apply(variables, x, capture_intermediates=True)
    for block in BLOCKS:
        inside = {
            k: v["__call__"][0] for k, v in seen["intermediates"][block].items() if k[0] != "_"
        }
        prox = jaxtv.prox_tv_2d(inside["conv"], 0.05, axes=(1, 2), num_sweeps=4)
        layer = prox if mode == "smooth" else 2 * inside["conv"] - prox
        np.testing.assert_allclose(inside["tv"], layer, atol=1e-5)
        np.testing.assert_allclose(inside["norm"], layer / np.sqrt(1 + 1e-5), atol=1e-5)
        np.testing.assert_allclose(
            seen["intermediates"][block]["__call__"][0], np.maximum(inside["norm"], 0)
        )


@pytest.mark.parametrize("mode", [None, "smooth", "sharp"])
def test_nnx_equals_linen(dataset, mode):
    model = models.AllConvNet(mode, width=4)
    x = train.standardise(jnp.asarray(dataset.test.images[:8]))
    variables = model.init(jax.random.key(1), x)
    logits, updated = model.apply(variables, x, train=True, mutable=["batch_stats"])

    twin = models_nnx.AllConvNet(mode, 4, rngs=nnx.Rngs(0))
    models_nnx.load_linen(twin, variables)
    twin.train()
    np.testing.assert_allclose(twin(x), logits, atol=1e-5)
    twin.eval()  # with the statistics of one step
    after = model.apply({"params": variables["params"], **updated}, x)
    np.testing.assert_allclose(twin(x), after, atol=1e-5)


def test_bfloat16(dataset):
    exact = models.AllConvNet("sharp", width=4)
    rough = models.AllConvNet("sharp", width=4, dtype=jnp.bfloat16)
    x = train.standardise(jnp.asarray(dataset.test.images[:8]))
    variables = exact.init(jax.random.key(1), x)
    assert rough.apply(variables, x).dtype == jnp.float32
    error = np.abs(rough.apply(variables, x) - exact.apply(variables, x))
    scale = np.abs(exact.apply(variables, x)).max()
    assert 0 < error.max() < 0.05 * scale


def test_paper_size():
    """All-CNN-C has about 1.4 million parameters; a TV layer adds one."""
    x = jnp.zeros((1, 32, 32, 3))
    count = {}
    for name, mode in models.MODELS.items():
        params = jax.eval_shape(models.AllConvNet(mode).init, jax.random.key(0), x)["params"]
        count[name] = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert 1.3e6 < count["AllConv"] < 1.4e6
    assert count["TV-Smooth"] == count["TV-Sharp"] == count["AllConv"] + 3


def test_mean_and_spread():
    assert tables.mean_and_spread([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert tables.mean_and_spread([1.25], digits=2) == "1.25"


def test_accuracies_average_over_severities_within_a_seed():
    rows = [
        {"model": "A", "seed": seed, "corruption": "fog", "severity": s, "accuracy": value}
        for seed, s, value in (
            ("0", "1", "40"),
            ("0", "2", "60"),
            ("1", "1", "70"),
            ("1", "2", "90"),
        )
    ]
    rows.append(rows[0] | {"model": "B", "accuracy": "1"})
    assert evaluate.per_seed(rows, "A", ["fog", "snow"]) == [50, 80]


def test_conditions_share_out_the_test_images(tmp_path, monkeypatch):
    """Each condition has its own part, in turn; the published images have their own labels."""
    monkeypatch.setattr(evaluate.corruptions, "corrupt", lambda images, *_, **__: images)
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    test = data.Split(images, np.arange(7, dtype=np.int32))
    source = evaluate.Source(size=3)
    parts = [evaluate.corrupted(test, *c, source) for c in evaluate.conditions()[:3]]
    assert [part.labels.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]
    assert all(np.array_equal(part.images.ravel(), part.labels) for part in parts)

    np.save(tmp_path / "gaussian_noise.npy", np.arange(100, 110).reshape(10, 1, 1, 1))
    np.save(tmp_path / "labels.npy", np.arange(10))
    read = evaluate.corrupted(test, "gaussian_noise", 2, evaluate.Source(published=tmp_path))
    assert read.images.ravel().tolist() == [102, 103] and read.labels.tolist() == [2, 3]


def test_cost_of_layers(capsys, monkeypatch):
    """A step and an inference of each model, and ratios within rounds, of which the median."""
    cost.main(rounds=1, small=True)
    heading, _, rows = capsys.readouterr().out.strip().partition("\n\n")
    assert "width 2, batch 2, float32, medians of 1 rounds" in heading
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()[2:]]
    assert [row[0] for row in cells] == [*models.MODELS]
    assert all(float(time) > 0 for row in cells for time in row[1:])
    assert cells[0][2] == cells[0][4] == "1.00"

    seconds = {"AllConv": [1.0, 2.0, 4.0], "TV-Smooth": [2.0, 2.0, 6.0], "TV-Sharp": [3.0] * 3}
    monkeypatch.setattr(cost, "_tasks", lambda name, settings: (None, None))
    monkeypatch.setattr(cost, "_times", lambda tasks, rounds: seconds)
    assert "| TV-Smooth | 2000.0 | 1.50 | 2000.0 | 1.50 |" in cost.measure(cost.SMALL, 3)

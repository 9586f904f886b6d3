# SPDX-License-Identifier: MIT
"""Does a training step over two processes equal the step of one?"""

import os
import socket
import subprocess
import sys

STEP = """
import sys
process, processes, port = map(int, sys.argv[1:])
import jax
if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=processes, process_id=process)
import jax.numpy as jnp, numpy as np, optax
from flax import linen as nn
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import jaxtv.linen

class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3))(x)
        x = jaxtv.linen.TV2D(mode="sharp", num_channels=4)(x)
        return nn.Dense(1)(nn.relu(x)).mean((1, 2))

mesh = jax.make_mesh((len(jax.devices()),), ("data",), axis_types=(AxisType.Auto,))
rng = np.random.default_rng(0)
images, targets = np.float32(rng.normal(size=(8, 12, 10, 2))), np.float32(rng.normal(size=(8, 1)))
def shard(a):
    return jax.make_array_from_callback(a.shape, NamedSharding(mesh, P("data")), lambda i: a[i])
net = Net()
params = net.init(jax.random.key(0), images[:1])
optimizer = optax.sgd(0.1)

@jax.jit
def step(params, x, t):
    loss, gradient = jax.value_and_grad(lambda p: jnp.mean((net.apply(p, x) - t) ** 2))(params)
    updates, _ = optimizer.update(gradient, optimizer.init(params))
    return optax.apply_updates(params, updates), loss

for _ in range(3):
    params, loss = step(params, shard(images), shard(targets))
leaves = jax.tree.leaves(params) + [loss]
print(" ".join(f"{float(jnp.sum(leaf)):.5e}" for leaf in leaves))
"""


def start(process, processes, port):
    env = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={4 // processes}",
    }
    command = [sys.executable, "-c", STEP, str(process), str(processes), str(port)]
    return subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(running):
    try:
        out, error = running.communicate(timeout=180)
    finally:
        running.kill()  # a process whose peer died would wait for it
    assert running.returncode == 0, error
    return [float(value) for value in out.strip().split("\n")[-1].split()]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_two_processes_equal_one():
    port = free_port()
    pair = [start(process, 2, port) for process in range(2)]
    first, second = [finish(running) for running in pair]
    alone = finish(start(0, 1, port))
    assert first == second
    assert len(alone) == 6  # two layers of two, one weight, the loss
    assert all(abs(a - b) <= 1e-5 * max(1, abs(b)) for a, b in zip(first, alone, strict=True))

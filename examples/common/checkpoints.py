# SPDX-License-Identifier: MIT
"""Checkpoints of a training run: its state and its history, saved together or not at all."""

import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

History = list[dict[str, float]]


class Checkpoints:
    """One checkpoint for each epoch in a folder, of which the newest are kept.

    Orbax writes a checkpoint under another name and renames it when complete, so that a run that is
    killed at any time finds a whole one.
    """

    def __init__(self, folder: pathlib.Path, keep: int = 2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options)

    def save(self, state: Any, history: History) -> None:
        """Saves the state after `len(history)` epochs."""
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), history=ocp.args.JsonSave({"epochs": history})
        )
        self._manager.save(len(history), args=items)

    def restore(self, state: Any) -> tuple[Any, History]:
        """The newest state and history, or `state` and no history where nothing is saved.

        Args:
          state: a tree of the shapes, dtypes and shardings to restore to.
        """
        epoch = self._manager.latest_step()
        if epoch is None:
            return state, []
        abstract = jax.tree.map(ocp.tree.to_shape_dtype_struct, state)
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract), history=ocp.args.JsonRestore()
        )
        saved = self._manager.restore(epoch, args=items)
        return saved["state"], saved["history"]["epochs"]

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

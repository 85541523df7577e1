# Copyright (c) monai_lamps contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import Tensor

from monai_lamps.data.atomic import atomic_write

__all__ = ["EmbeddingWriter"]


class EmbeddingWriter:
    """Write the embeddings that an evaluator computes as array files, with an index that names every image.

    - ``embeddings.npy``: (images, D) float32, the mean over tokens; with ``dense`` also ``dense_embeddings.npy``:
      (images, N, D) float32, tokens row-major;
    - ``embeddings.csv``: columns row, image; row i of the arrays is row i here.

    Arrays are written batch by batch, memory-mapped, so that a folder of any size fits; their space on disk is reserved
    at the first batch, so that a full disk shows at once. A file appears under its name only when it is complete;
    after a failure none does, and those of an earlier run stay as they were.

    Args:
        output_dir: where the files are written.
        items: the datalist items in the order of the evaluator's data, each with ``image``.
        dense: also write every token.

    Raises:
        RuntimeError: at the end, when the evaluator saw another number of images than ``items`` lists.
        TypeError: at the first batch, when the evaluator decollates its output.
        OSError: at the first batch, when the arrays do not fit on the disk.
    """

    def __init__(self, output_dir: str | Path, items: Sequence[Mapping[str, Any]], dense: bool = False) -> None:
        self.output_dir, self.items, self.dense = Path(output_dir), items, dense
        self.rows = 0
        self._arrays: dict[str, np.memmap] = {}
        self.logger = logging.getLogger(type(self).__module__)

    def attach(self, engine: Engine) -> None:
        """Collect after every batch, finish when the evaluator is done.

        Args:
            engine: the evaluator, with ``decollate=False`` and :class:`~monai_lamps.engines.DenseInferer`.
        """
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _start(self, engine: Engine) -> None:
        self._discard()
        self.rows = 0

    def _collect(self, engine: Engine) -> None:
        output: Any = engine.state.output
        if not isinstance(output, Mapping):
            raise TypeError(
                f"expected one dictionary for a batch, got {type(output).__name__}: set decollate to false."
            )
        tokens: Tensor = output[CommonKeys.PRED].detach().float().cpu()
        rows = slice(self.rows, self.rows + len(tokens))
        values = {"embeddings": tokens.mean(1)}
        if self.dense:
            values["dense_embeddings"] = tokens
        if rows.stop <= len(self.items):
            for name, value in values.items():
                self._array(name, tuple(value.shape[1:]))[rows] = value.numpy()
        self.rows = rows.stop

    def _array(self, name: str, shape: tuple[int, ...]) -> np.memmap:
        if name not in self._arrays:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            path = self._temporary(name)
            self._arrays[name] = np.lib.format.open_memmap(path, "w+", np.float32, (len(self.items), *shape))
            if hasattr(os, "posix_fallocate"):  # writing to a memory map on a full disk would kill the process
                with open(path, "r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return self._arrays[name]

    def _temporary(self, name: str) -> Path:
        return self.output_dir / f".{name}.npy.tmp"

    def _finish(self, engine: Engine) -> None:
        if self.rows != len(self.items):
            raise RuntimeError(
                f"expected embeddings of {len(self.items)} images, got {self.rows}; nothing was written."
            )
        for name, array in self._arrays.items():
            array.flush()
            os.replace(self._temporary(name), self.output_dir / f"{name}.npy")
        self._arrays.clear()
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["row", "image"])
        writer.writerows([row, item[CommonKeys.IMAGE]] for row, item in enumerate(self.items))
        atomic_write(self.output_dir / "embeddings.csv", lambda file: file.write(text.getvalue().encode()))
        self.logger.info(f"embeddings of {self.rows} images written to '{self.output_dir / 'embeddings.npy'}'.")

    def _fail(self, engine: Engine, error: BaseException) -> None:
        """Leave nothing half done. Ignite leaves the error to the handlers of this event, so it is raised again."""
        self._discard()
        raise error

    def _discard(self) -> None:
        self._arrays.clear()
        for name in ("embeddings", "dense_embeddings"):
            self._temporary(name).unlink(missing_ok=True)

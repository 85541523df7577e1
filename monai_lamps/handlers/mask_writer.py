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

import colorsys
import csv
import io
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from PIL import Image
from torch import Tensor
from torch.nn import functional

from monai_lamps.data.atomic import atomic_write
from monai_lamps.data.mask_output import write_mask
from monai_lamps.tasks.overlay import outline

__all__ = ["MaskWriter"]

_LOGGER = logging.getLogger(__name__)
_LONG_SIDE = 512  # px of an overlay


class MaskWriter:
    """Writes the masks that an evaluator predicts, in the geometry of the input files, and overlays as pictures.

    - ``masks/<image>/<structure>.png`` or ``.nii.gz``: structures may overlap, so each has a file of its own. The
      probabilities are brought back to the size of the file by linear interpolation, then cut at the threshold.
    - ``overlays/<image>.png``: the outlines, a colour for each structure, at most 512 px.
    - ``masks.csv``: image, structure, mask and area (px of the file); written at the end.

    Args:
        output_dir: where the files go.
        items: the datalist items in the order of the evaluator's data, each with ``image``.
        structures: names in the order of the network's output.
        threshold: probability from which (inclusive) a pixel belongs to a structure.
        mask_format: "png", "nifti", or "auto" for that of each image.
        overlays: whether overlays are drawn.
        postprocessing: from the masks (K, H, W) of an image, bool, to those that are written, such as MONAI's
            ``KeepLargestConnectedComponent(is_onehot=True)``; by default they stay as they are.

    Raises:
        ValueError: when the threshold is not above 0 and at most 1.
    """

    def __init__(
        self,
        output_dir: str | Path,
        items: Sequence[Mapping[str, Any]],
        structures: Sequence[str],
        threshold: float = 0.5,
        mask_format: str = "auto",
        overlays: bool = True,
        postprocessing: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold got {threshold}, expected a probability above 0 and at most 1; 0.5 is usual.")
        self.output_dir, self.items, self.structures = Path(output_dir), items, list(structures)
        self.threshold, self.mask_format, self.overlays = threshold, mask_format, overlays
        self.postprocessing = postprocessing
        self._names = unique_names([item[CommonKeys.IMAGE] for item in items])
        self._files = [re.sub(r"[^\w.-]+", "_", name) for name in self.structures]
        self._rows: list[tuple[str, str, str, int]] = []
        self._done = 0

    def attach(self, engine: Engine) -> None:
        """Write after every batch, and the table when the evaluator is done.

        Args:
            engine: the evaluator, with ``decollate=False``; its output holds ``image`` (B, 1, h, w) and ``pred``
                (B, K, h, w), its batch ``size`` (B, 2), the height and width of each file.
        """
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, engine: Engine) -> None:
        self._rows, self._done = [], 0

    def _collect(self, engine: Any) -> None:
        output, sizes = engine.state.output, engine.state.batch["size"].tolist()
        for image, answer, size in zip(output[CommonKeys.IMAGE], output[CommonKeys.PRED], sizes):
            self._write(self._done, image.float().cpu(), answer.float().cpu(), size)
            self._done += 1

    def _write(self, number: int, image: Tensor, answer: Tensor, size: Sequence[int]) -> None:
        file, name = self.items[number][CommonKeys.IMAGE], self._names[number]
        masks = self._masks(answer, size)
        for mask, structure, stem in zip(masks.numpy(), self.structures, self._files):
            path = write_mask(self.output_dir / "masks" / name / stem, mask, file, self.mask_format)
            self._rows.append((file, structure, os.path.relpath(path, self.output_dir), int(mask.sum())))
        if self.overlays:
            scale = min(1.0, _LONG_SIDE / max(size))
            small = [max(1, round(side * scale)) for side in size]
            picture = _outlined(_resized(image, small)[0], self._masks(answer, small))
            path = self.output_dir / "overlays" / f"{name}.png"
            atomic_write(path, lambda file: picture.save(file, format="PNG"))

    def _masks(self, answer: Tensor, size: Sequence[int]) -> Tensor:
        """Masks (K, H, W) of probabilities (K, h, w) at a (height, width)."""
        masks = _resized(answer, size) >= self.threshold
        return masks if self.postprocessing is None else torch.as_tensor(self.postprocessing(masks)).bool()

    def _finish(self, engine: Engine) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["image", "structure", "mask", "area"])
        writer.writerows(self._rows)
        path = self.output_dir / "masks.csv"
        atomic_write(path, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))
        _LOGGER.info(f"masks of {self._done} images written to '{self.output_dir / 'masks'}', listed in '{path}'.")


def unique_names(files: Sequence[str]) -> list[str]:
    """Relative paths without suffix, as a folder of outputs names them; with it where two would be the same.

    Args:
        files: paths, all absolute or all relative.
    """
    base = os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""
    inside = [os.path.relpath(file, base or os.curdir) for file in files]
    bare = [re.sub(r"(\.nii)?(\.gz)?$", "", name) if ".nii" in name else os.path.splitext(name)[0] for name in inside]
    counts = Counter(bare)
    return [short if counts[short] == 1 else name.replace(".", "_") for short, name in zip(bare, inside)]


def _resized(values: Tensor, size: Sequence[int]) -> Tensor:
    """(K, h, w) at another (height, width), smoothed where it becomes smaller."""
    resized: Tensor = functional.interpolate(
        values[None], tuple(size), mode="bilinear", align_corners=False, antialias=True
    )[0]
    return resized


def _outlined(grey: Tensor, masks: Tensor) -> Image.Image:
    picture = grey.clamp(0, 1).expand(3, -1, -1).clone()
    width = max(1, round(max(grey.shape) / 256))
    for number, mask in enumerate(masks):
        colour = torch.tensor(colorsys.hsv_to_rgb(number / len(masks), 0.9, 1.0))
        picture = torch.where(outline(mask, width), colour[:, None, None], picture)
    return Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))

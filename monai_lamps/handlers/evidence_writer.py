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
"""Writer of the evidence that an evidence classifier decides from."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from monai_lamps.data.atomic import atomic_write
from monai_lamps.tasks import Classification, EvidenceClassifier
from monai_lamps.tasks.evidence_boxes import EvidenceBox, evidence_boxes
from monai_lamps.tasks.overlay import captioned, glowing, row_of

from .mask_writer import unique_names

__all__ = ["EvidenceWriter"]

_LOGGER = logging.getLogger(__name__)
_LONG_SIDE = 512  # px of an image in an overlay
_BOX = (64, 224, 255)


class EvidenceWriter:
    """Writes what an evidence classifier decides from, in the geometry of the input files.

    - ``evidence/<image>.png``: the evidence map, grey, 0 to 255 for 0 to 1, of the size of the file; above 127 the
      contrast with the restored image is larger than at 99.5 % of the pixels of normal images.
    - ``overlays/<image>.png``: two pictures side by side, of at most 512 px: the map with the boxes, and what the clue
      adds to the logit of the most probable class, scaled by its largest value in the image.
    - ``boxes.csv``: the strongest evidence: image; x, y, width and height (px of the file); score (mean of the map over
      the region, 0 to 1); then for each class ``logit/<class>``: what the cells in the region, counted by the share of
      them that it covers, add to the logit. An image without evidence has no row. Written at the end.

    Args:
        output_dir: where the files go.
        items: the datalist items in the order of the evaluator's data, each with ``image``.
        task: what predicts; its network is an :class:`~monai_lamps.tasks.EvidenceClassifier`.
        image_size: side in px that images are brought to if they have another (for crops they are larger).
        threshold: of the map, for boxes; above 0 and at most 1.
        boxes: how many boxes an image has at the most; 0 for none.

    Raises:
        TypeError: when the task's network is another.
        ValueError: when ``threshold`` or ``boxes`` is out of its range.
    """

    def __init__(
        self,
        output_dir: str | Path,
        items: Sequence[Mapping[str, Any]],
        task: Classification,
        image_size: int,
        threshold: float = 0.5,
        boxes: int = 5,
    ) -> None:
        if not isinstance(task.network, EvidenceClassifier):
            raise TypeError(
                f"evidence is written for an EvidenceClassifier, got {type(task.network).__name__}; train one with "
                "--head evidence."
            )
        if not 0 < threshold <= 1 or boxes < 0:
            raise ValueError(
                f"threshold got {threshold} and boxes {boxes}, expected a threshold above 0 and at most 1 (0.5 is "
                "usual) and at least 0 boxes."
            )
        self.output_dir, self.items, self.task, self.image_size = Path(output_dir), items, task, image_size
        self.threshold, self.boxes = threshold, boxes
        self._names = unique_names([item[CommonKeys.IMAGE] for item in items])
        self._rows: list[list[Any]] = []
        self._done = 0

    def attach(self, engine: Engine) -> None:
        """Write after every batch, and the table when the evaluator is done.

        Args:
            engine: the evaluator, with ``decollate=False``; its output holds ``image`` (B, 1, h, w) in [0, 1] and
                ``pred`` (B, K), its batch ``size`` (B, 2), the height and width of each file.
        """
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, engine: Engine) -> None:
        self._rows, self._done = [], 0

    @torch.no_grad()
    def _collect(self, engine: Any) -> None:
        network: Any = self.task.network
        images, predicted = engine.state.output[CommonKeys.IMAGE].float(), engine.state.output[CommonKeys.PRED]
        side = (self.image_size,) * 2
        images = images if images.shape[2:] == side else functional.interpolate(images, side, mode="area")
        evidence = network.evidence(self.task.normalize(images))
        added = torch.stack(list(network.contributions(evidence).values())).sum(dim=0)
        logits = added.unflatten(2, [each // network.encoder.cell for each in side])
        speaking = network.class_map(evidence, predicted.argmax(dim=1))
        sizes = engine.state.batch["size"].tolist()
        for of_one in zip(images.cpu(), evidence.pixel_map.cpu(), logits.cpu(), speaking.cpu(), predicted.cpu(), sizes):
            self._write(*of_one)
            self._done += 1

    def _write(
        self, image: Tensor, pixel_map: Tensor, logits: Tensor, speaking: Tensor, predicted: Tensor, size: Sequence[int]
    ) -> None:
        file, name = self.items[self._done][CommonKeys.IMAGE], self._names[self._done]
        boxes = evidence_boxes(pixel_map[0], self.threshold, self.boxes)
        for box in boxes:
            place = box.scaled((size[0], size[1]))
            self._rows.append([file, *place, f"{box.score:.4f}", *(f"{added:.4f}" for added in _added(logits, box))])
        _save(self.output_dir / "evidence" / f"{name}.png", Image.fromarray(_bytes(_resized(pixel_map, size)[0])))
        scale = min(1.0, _LONG_SIDE / max(size))
        small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        grey = _resized(image, small)
        marked = _framed(glowing(grey, _resized(pixel_map, small)), boxes)
        strongest = (speaking / speaking.max().clamp(min=1e-12)).clamp(0, 1)
        decided = glowing(grey, _resized(strongest, small))
        best = int(predicted.argmax())
        text = f"{self.task.classes[best]} {float(predicted[best]):.2f}"
        picture = row_of([captioned(marked, "evidence"), captioned(decided, text)])
        _save(self.output_dir / "overlays" / f"{name}.png", Image.fromarray(_bytes(picture.permute(1, 2, 0))))

    def _finish(self, engine: Engine) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["image", "x", "y", "width", "height", "score", *(f"logit/{k}" for k in self.task.classes)])
        writer.writerows(self._rows)
        path = self.output_dir / "boxes.csv"
        atomic_write(path, lambda file: file.write(text.getvalue().encode("utf-8", "surrogateescape")))
        _LOGGER.info(f"evidence in {self._done} images written to '{self.output_dir / 'evidence'}', boxes to '{path}'.")


def _added(logits: Tensor, box: EvidenceBox) -> list[float]:
    """What cells (K, h, w) add to each logit within a region, each by the share of it that the region covers."""
    covered = functional.adaptive_avg_pool2d(box.region[None].float(), (logits.shape[1], logits.shape[2]))
    added: list[float] = (logits * covered).sum(dim=(1, 2)).tolist()
    return added


def _resized(values: Tensor, size: Sequence[int]) -> Tensor:
    """(1, h, w) at another (height, width), smoothed where it becomes smaller."""
    resized: Tensor = functional.interpolate(
        values[None].float(), tuple(size), mode="bilinear", align_corners=False, antialias=True
    )[0]
    return resized


def _framed(picture: Tensor, boxes: Sequence[EvidenceBox]) -> Tensor:
    """Boxes drawn on a picture (3, H, W)."""
    drawn = Image.fromarray(_bytes(picture.permute(1, 2, 0)))
    draw = ImageDraw.Draw(drawn)
    for box in boxes:
        x, y, width, height = box.scaled((drawn.height, drawn.width))
        draw.rectangle((x, y, x + width - 1, y + height - 1), outline=_BOX, width=max(1, round(drawn.width / 256)))
    return torch.from_numpy(np.array(drawn)).permute(2, 0, 1).float() / 255


def _bytes(values: Tensor) -> npt.NDArray[np.uint8]:
    levels: npt.NDArray[np.uint8] = (values.clamp(0, 1).numpy() * 255).round().astype(np.uint8)
    return levels


def _save(path: Path, picture: Image.Image) -> None:
    atomic_write(path, lambda file: picture.save(file, format="PNG"))

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
"""Tasks and predictors from files of fine-tuned networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monai_lamps.bundle.switch import switch
from monai_lamps.checkpoints import load_network, read_network_card
from monai_lamps.engines import freeze_encoder
from monai_lamps.metrics import SegmentationFigures
from monai_lamps.tasks import Classification, LabelKind, MultiClass, MultiLabel, Segmentation, Task

__all__ = ["Predictor", "freeze", "label_kind", "load_task"]


class Predictor(nn.Module):
    """A task as a network from images (B, 1, H, W) in [0, 1] to probabilities, for MONAI's evaluators.

    Args:
        task: what predicts.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (B, K) or (B, K, H, W)."""
        return self.task.predict(images)


def label_kind(multi_class: bool | str) -> LabelKind:
    """What the labels of a classification are: each image has exactly one class, or any number of them."""
    return MultiClass() if switch(multi_class, "multi_class") else MultiLabel()


def load_task(
    path: str | Path,
    device: str | torch.device = "cpu",
    postprocessing: Callable[[Tensor], Tensor] | None = None,
) -> Task:
    """The task of a fine-tuned network with its weights, in eval mode.

    Args:
        path: ``best.pt`` or ``last.pt`` with ``network.json`` beside it.
        device: where it lies.
        postprocessing: of a segmentation's masks, see :class:`~monai_lamps.metrics.SegmentationFigures`.

    Raises:
        FileNotFoundError, ValueError: see :func:`~monai_lamps.checkpoints.load_network`; also for an unknown task.
    """
    network, card = load_network(path), read_network_card(path)
    return _task(network, card, postprocessing).to(device).eval()


def freeze(task: Task, frozen: bool | int | str = False) -> Task:
    """Stop training a task's encoder, or its finest levels. Call it before the optimizer is made.

    Args:
        task: what is fine-tuned.
        frozen: True for the whole encoder, False for nothing of it (also as text), a number for so many of its finest
            levels.

    Returns:
        the task.

    Raises:
        ValueError: when there are not that many levels, or it is something else.
    """
    if isinstance(frozen, int) and not isinstance(frozen, bool):
        freeze_encoder(task.encoder, frozen)
    elif switch(frozen, "frozen"):
        freeze_encoder(task.encoder)
    return task


def _task(network: nn.Module, card: Mapping[str, Any], postprocessing: Callable[[Tensor], Tensor] | None) -> Task:
    mean, std = card["normalization"]["mean"], card["normalization"]["std"]
    if card["task"] == Segmentation.name:
        figures = SegmentationFigures(card["names"], postprocessing=postprocessing)
        return Segmentation(network, card["names"], mean, std, figures=figures)
    if card["task"] == Classification.name:
        return Classification(network, card["names"], label_kind(card.get("multi_class", False)), mean, std)
    raise ValueError(
        f"the network card has the task '{card['task']}', expected {Segmentation.name} or {Classification.name}."
    )

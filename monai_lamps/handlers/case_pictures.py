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

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .evaluating import batch_to_device, evaluating
from .pictures import PictureHandler, picture_to_uint8
from .task_validator import TaskValidator
from .tensorboard import TensorBoardMetrics

__all__ = ["CasePictureHandler"]


class CasePictureHandler(PictureHandler):
    """Draws what the last validation pass shows: its best, median and worst cases, ROC and reliability curves.

    As :class:`PictureHandler`, but it asks ``task.case_pictures`` for all cases of the validator's last pass, from
    whose dataset it loads those that are drawn. Its place in the list of handlers is behind the validator.

    Args:
        directory: folder of the PNG files.
        validator: what judges, attached to the same trainer; its loader is a ``DataLoader`` of a dataset with indices.
        interval: draw at the end of each n-th epoch, and of the last one; a multiple of the validator's.
        keep: how many epochs' PNG files stay, the last ones; None for all.
        tensorboard: writes them there, too.

    Raises:
        ValueError: when ``interval`` or ``keep`` is below 1, or the validator does not judge each time.
    """

    def __init__(
        self,
        directory: str | Path,
        validator: TaskValidator,
        interval: int = 1,
        keep: int | None = 3,
        tensorboard: TensorBoardMetrics | None = None,
    ) -> None:
        super().__init__(directory, validator.data_loader, interval, keep, tensorboard)
        if interval % validator.interval:
            raise ValueError(
                f"interval must be a multiple of the validator's, {validator.interval} epochs, got {interval}: what is "
                "drawn are the cases that were judged."
            )
        self.validator = validator

    def draw(
        self,
        method: Any,
        device: torch.device | str | None = None,
        autocast: AbstractContextManager[Any] | None = None,
    ) -> dict[str, Tensor]:
        """The pictures by name, (1 or 3, H, W) uint8 on the CPU.

        Args:
            method: what is trained (a ``Task``, without wrappers).
            device: where its inputs must lie.
            autocast: precision to compute in; None for the weights' own.

        Raises:
            ValueError: when nothing has been judged yet, or a picture is not (1 or 3, H, W) in [0, 1].
        """
        rows = self.validator.cases
        if not rows:
            raise ValueError("no case has been judged yet; put the pictures behind the TaskValidator in the list.")

        def look(positions: Sequence[int]) -> Mapping[str, Any]:
            loader: Any = self.data_loader
            items = [loader.dataset[int(rows[position].get("index", position))] for position in positions]
            return batch_to_device(loader.collate_fn(items), device)

        with evaluating(method, autocast):
            pictures = method.case_pictures(rows, look)
            return {name: picture_to_uint8(picture, name) for name, picture in pictures.items()}

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

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from PIL import Image
from torch import Tensor

from monai_lamps.data.atomic import atomic_write

from .evaluating import batch_to_device, evaluating, trainer_autocast
from .tensorboard import TensorBoardMetrics

__all__ = ["PictureHandler", "picture_to_uint8"]

_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"epoch=(\d+)_.+\.png")


class PictureHandler:
    """Draws what the method sees and answers on the first validation batch, always the same one.

    At the end of epochs ``method.pictures(batch)`` is written as ``epoch=0003_<name>.png`` and, when a TensorBoard
    handler is given, there as ``pictures/<name>``. It computes in the trainer's precision and leaves no trace in the
    training (see :func:`evaluating`). Rank 0 draws. A disk error is logged and training goes on.

    Args:
        directory: folder of the PNG files, by custom ``OUT/pictures``.
        data_loader: its first batch is drawn, a dictionary of tensors; a list with one batch will do.
        interval: draw at the end of each n-th epoch, and of the last one.
        keep: how many epochs' PNG files stay, the last ones; None for all.
        tensorboard: writes them there, too.

    Raises:
        ValueError: when ``interval`` or ``keep`` is below 1.
    """

    def __init__(
        self,
        directory: str | Path,
        data_loader: Iterable[Mapping[str, Any]],
        interval: int = 1,
        keep: int | None = 3,
        tensorboard: TensorBoardMetrics | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 epoch, got {interval}.")
        if keep is not None and keep < 1:
            raise ValueError(f"keep must be at least 1 epoch, or None for all, got {keep}.")
        self.directory = Path(directory)
        self.data_loader = data_loader
        self.interval = interval
        self.keep = keep
        self.tensorboard = tensorboard
        self._batch: Mapping[str, Any] | None = None

    def attach(self, engine: Engine) -> None:
        """Draw at the end of epochs.

        Args:
            engine: the trainer; its ``method`` is drawn on ``engine.state.device``.
        """
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def draw(
        self,
        method: Any,
        device: torch.device | str | None = None,
        autocast: AbstractContextManager[Any] | None = None,
    ) -> dict[str, Tensor]:
        """The pictures by name, (1 or 3, H, W) uint8 on the CPU.

        Args:
            method: what is trained (a ``Method``, without wrappers).
            device: where its inputs must lie.
            autocast: precision to compute in, see :func:`trainer_autocast`; None for the weights' own.

        Raises:
            ValueError: when the loader gives no batch, or a picture is not (1 or 3, H, W) in [0, 1].
        """
        with evaluating(method, autocast):
            if self._batch is None:
                self._batch = next(iter(self.data_loader), None)
            if self._batch is None:
                raise ValueError("the loader of the pictures gave no batch; check the validation list.")
            pictures = method.pictures(batch_to_device(self._batch, device))
            return {name: picture_to_uint8(picture, name) for name, picture in pictures.items()}

    def _epoch_completed(self, engine: Any) -> None:
        epoch = engine.state.epoch
        if idist.get_rank() != 0 or (epoch % self.interval and epoch != engine.state.max_epochs):
            return
        pictures = self.draw(engine.method, getattr(engine.state, "device", None), trainer_autocast(engine))
        try:
            for name, picture in pictures.items():
                safe = re.sub(r"[^\w.-]+", "_", name)
                _write_png(self.directory / f"epoch={epoch:04d}_{safe}.png", picture)
            self._prune()
        except OSError as error:
            _LOGGER.error("could not write the pictures to %s: %s; training goes on", self.directory, error)
        if self.tensorboard is not None:
            for name, picture in pictures.items():
                self.tensorboard.add_image(f"pictures/{name}", picture, engine.state.iteration)

    def _prune(self) -> None:
        found = [(int(match[1]), path) for path in self.directory.iterdir() if (match := _NAME.fullmatch(path.name))]
        epochs = sorted({epoch for epoch, _ in found})
        stale = set(epochs[: -self.keep] if self.keep else ())
        for epoch, path in found:
            if epoch in stale:
                path.unlink(missing_ok=True)


def picture_to_uint8(picture: Tensor, name: str = "picture") -> Tensor:
    """A picture (1 or 3, H, W), float in [0, 1], as uint8 on the CPU, rounded.

    Args:
        picture: the picture.
        name: what an error calls it.

    Raises:
        ValueError: when the shape or the range is another (1e-4 beyond the ends is clipped).
    """
    if picture.ndim != 3 or picture.shape[0] not in (1, 3):
        raise ValueError(f"picture '{name}' must be (1 or 3, H, W), got shape {tuple(picture.shape)}.")
    values = picture.detach().float().cpu()
    low, high = float(values.min()), float(values.max())
    if not (low >= -1e-4 and high <= 1.0001):
        raise ValueError(f"picture '{name}' must lie in [0, 1], got [{low:.4g}, {high:.4g}]; scale it.")
    return (values.clamp(0.0, 1.0) * 255).round().to(torch.uint8)


def _write_png(path: Path, picture: Tensor) -> None:
    array = picture.permute(1, 2, 0).numpy()
    image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    atomic_write(path, lambda file: image.save(file, format="PNG"))

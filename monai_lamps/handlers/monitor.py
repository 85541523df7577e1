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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor

from .collapse import collapse_figures
from .epoch_figures import EpochFigures
from .evaluating import batch_to_device, evaluating, trainer_autocast
from .rank_gather import gather_in_turn
from .rank_share import rank_share

__all__ = ["RepresentationMonitor"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """One batch: its images, the means over them by name, and their embeddings (images, D), float32."""

    images: int
    readings: Mapping[str, float]
    embeddings: Tensor


class RepresentationMonitor(EpochFigures):
    """Looks at the validation images: the method's own figures and whether the representation collapses.

    One pass over the validation loader at the end of an epoch, in eval mode, without gradients, in the trainer's
    precision and without a trace in the training (see :func:`evaluating`). Into ``engine.state.metrics`` go
    ``validation/<name>``, the mean over samples of each of ``method.readings(batch)``, and ``collapse/effective_rank``,
    ``collapse/effective_rank_share`` and ``collapse/feature_std`` of the mean embeddings
    ``method.embed(batch[image_key])[1]`` (:func:`collapse_figures`, in float32).

    A warning is logged, once until it recovers, when the effective rank falls below ``collapse_threshold`` of the
    greatest possible, or below 1.5 dimensions where more would be possible: in self-distillation the loss looks fine
    while all images become one.

    Several processes share the batches out (:func:`rank_share`) and hand each other what they have seen, once a pass,
    so that every one has the figures that a single process would have. ``readings`` and ``embed`` must not communicate,
    for not every rank has as many batches. The torch generators are seeded with the position of the batch, so that
    what a method draws depends neither on the rank nor on the epoch.

    Args:
        data_loader: validation batches as in training: dictionaries of tensors, the batch first, not shuffled.
        interval: look at the end of each n-th epoch, and of the last one.
        image_key: entry of the batch with the images (B, C, ...) in [0, 1] that are embedded.
        collapse_threshold: share of the greatest possible effective rank, 0 to 1.
        max_batches: look at the first so many batches only, of all processes together; None for all.

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(
        self,
        data_loader: Iterable[Mapping[str, Any]],
        interval: int = 1,
        image_key: str = "image",
        collapse_threshold: float = 0.05,
        max_batches: int | None = None,
    ) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval must be at least 1 epoch, got {interval}.")
        if not 0.0 <= collapse_threshold <= 1.0:
            raise ValueError(f"collapse_threshold must be a share from 0 to 1, got {collapse_threshold}.")
        if max_batches is not None and max_batches < 1:
            raise ValueError(f"max_batches must be at least 1, or None for all, got {max_batches}.")
        self.data_loader = data_loader
        self.interval = interval
        self.image_key = image_key
        self.collapse_threshold = collapse_threshold
        self.max_batches = max_batches
        self._warned = False

    def attach(self, engine: Engine) -> None:
        """Look at the end of epochs.

        Args:
            engine: the trainer; its ``method`` is looked at on ``engine.state.device``.
        """
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def measure(
        self,
        method: Any,
        device: torch.device | str | None = None,
        autocast: AbstractContextManager[Any] | None = None,
    ) -> dict[str, float]:
        """Make one pass and return the figures; with several processes all must call.

        Args:
            method: what is trained (a ``Method``, without wrappers).
            device: where its inputs must lie.
            autocast: precision to compute in, see :func:`trainer_autocast`; None for the weights' own.

        Returns:
            the figures by name, as in the class, the same on every rank; without ``collapse/...`` for fewer than two
            images.

        Raises:
            ValueError: when the loader gives no batch, or shuffles among several processes, or an embedding is not
                finite.
            RuntimeError: when the pass failed on another rank.
        """
        seen = gather_in_turn(lambda rank, world: self._look(method, device, autocast, rank, world))
        return self._figures(seen, device)

    def _look(
        self,
        method: Any,
        device: torch.device | str | None,
        autocast: AbstractContextManager[Any] | None,
        rank: int,
        world: int,
    ) -> list[_Seen]:
        """What this rank's batches show; the device is waited for once, at the end."""
        names: list[tuple[str, ...]] = []
        values: list[Tensor] = []
        embeddings: list[Tensor] = []
        with evaluating(method, autocast):
            torch.manual_seed(0)  # workers of the loader are seeded from it
            for turn, item in enumerate(rank_share(self.data_loader, rank, world, self.max_batches)):
                torch.manual_seed(rank + turn * world)
                batch = batch_to_device(item, device)
                readings = method.readings(batch)
                names.append(tuple(readings))
                values += [value.detach().float() for value in readings.values()]
                embeddings.append(method.embed(batch[self.image_key])[1].detach().float())
        numbers = iter(torch.stack(values).tolist() if values else [])
        if world > 1:
            embeddings = [rows.cpu() for rows in embeddings]
        return [
            _Seen(len(rows), {name: next(numbers) for name in batch_names}, rows)
            for batch_names, rows in zip(names, embeddings, strict=True)
        ]

    @staticmethod
    def _figures(seen: Sequence[_Seen], device: torch.device | str | None) -> dict[str, float]:
        """The figures of all batches, in the order of the loader."""
        if not seen:
            raise ValueError("the validation loader gave no batch; check the validation list, or its drop_last.")
        figures = {}
        for name in dict.fromkeys(name for batch in seen for name in batch.readings):
            having = [batch for batch in seen if name in batch.readings]
            total = sum(batch.readings[name] * batch.images for batch in having)
            figures[f"validation/{name}"] = total / sum(batch.images for batch in having)
        rows = torch.cat([batch.embeddings for batch in seen])
        if len(rows) > 1:
            found = collapse_figures(rows if device is None else rows.to(device))
            figures.update({f"collapse/{name}": value for name, value in found.items()})
        return figures

    def _epoch_completed(self, engine: Any) -> None:
        epoch = engine.state.epoch
        if epoch % self.interval == 0 or epoch == engine.state.max_epochs:
            figures = self.measure(engine.method, getattr(engine.state, "device", None), trainer_autocast(engine))
            self.publish(engine, figures)
            self._judge(figures)

    def _judge(self, figures: Mapping[str, float]) -> None:
        if "collapse/effective_rank" not in figures:
            return
        rank, share = figures["collapse/effective_rank"], figures["collapse/effective_rank_share"]
        collapsed = share < self.collapse_threshold or (rank < 1.5 and share < 0.75)  # two images have a rank of 1
        if collapsed and not self._warned:
            _LOGGER.warning(
                "the representation collapses: effective rank %.2f, %.1f %% of the possible (threshold %.1f %%). Lower "
                "the learning rate, raise the teacher's momentum or the batch size, and check that the images differ.",
                rank,
                100 * share,
                100 * self.collapse_threshold,
            )
        self._warned = collapsed

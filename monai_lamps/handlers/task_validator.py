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
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.inferers import Inferer

from monai_lamps.metrics import Row

from .epoch_figures import EpochFigures
from .evaluating import batch_to_device, evaluating, trainer_autocast
from .rank_gather import gather_in_turn
from .rank_share import rank_share

__all__ = ["Best", "TaskValidator"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The best validation so far: the key figure, and after which epoch (1 for the first) and step it was reached."""

    value: float
    epoch: int
    step: int


class TaskValidator(EpochFigures):
    """Judges a task on the validation cases at the end of epochs, and remembers when its key figure was best.

    One pass over the loader in eval mode, without gradients, in the trainer's precision and without a trace in the
    training (see :func:`evaluating`), shared out over the processes as :class:`RepresentationMonitor` does it: every
    one has all cases and the figures that a single process would have. Into ``engine.state.metrics`` go
    ``validation/<figure>`` of ``task.figures`` and the mean loss terms as ``validation/loss/<term>`` (mean over the
    batches, weighted by their images).

    An image that could not be read is replaced by another one by
    :class:`~monai_lamps.data.RadiographDataset`; a case that has been seen in this pass is not counted again.

    The best epoch is part of the state, so that a resumed run goes on as if it had not been interrupted: give the
    handler to the :class:`CheckpointHandler`. A figure that is NaN is never the best.

    Args:
        data_loader: validation batches: dictionaries of tensors with ``image``, the batch first, not shuffled.
        key: figure that decides, without ``validation/``, e.g. "dice", "dice/heart", "auroc" or "loss/bce".
        greater: whether more is better; False for losses, distances and errors.
        min_delta: how much better than the best so far counts as better, >= 0.
        interval: judge at the end of each n-th epoch, and of the last one.
        image_key: entry of the batch with the images (B, C, ...) in [0, 1].
        inferer: how the images are shown to ``task.predict``, e.g. MONAI's ``SlidingWindowInferer`` or
            :class:`~monai_lamps.tasks.CropsInferer`; whole by default. With one there are no ``loss/...`` figures.

    Attributes:
        cases: a row for each case of the last pass, with the figures of ``task.figures.rows`` and, where the loader's
            dataset knows them, ``index``, ``image`` (its file) and ``patient``.
        best: the best validation so far, None before the first.
        improved: whether the last pass is the best.

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(
        self,
        data_loader: Iterable[Mapping[str, Any]],
        key: str,
        greater: bool = True,
        min_delta: float = 0.0,
        interval: int = 1,
        image_key: str = "image",
        inferer: Inferer | None = None,
    ) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval must be at least 1 epoch, got {interval}.")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must be >= 0, got {min_delta}; say with greater whether more is better.")
        self.data_loader, self.key, self.greater, self.min_delta = data_loader, key, greater, min_delta
        self.interval, self.image_key, self.inferer = interval, image_key, inferer
        self.cases: list[Row] = []
        self.best: Best | None = None
        self.improved = False

    def attach(self, engine: Engine) -> None:
        """Judge at the end of epochs.

        Args:
            engine: the trainer; its ``method`` is judged on ``engine.state.device``.
        """
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def measure(
        self,
        task: Any,
        device: torch.device | str | None = None,
        autocast: AbstractContextManager[Any] | None = None,
    ) -> dict[str, float]:
        """Make one pass, keep its cases in :attr:`cases` and return the figures; with several processes all must call.

        Args:
            task: what is judged (a ``Task``, without wrappers).
            device: where its inputs must lie.
            autocast: precision to compute in, see :func:`trainer_autocast`; None for the weights' own.

        Returns:
            the figures by name, without ``validation/``, the same on every rank.

        Raises:
            ValueError: when the loader gives no batch, or shuffles among several processes.
            RuntimeError: when the pass failed on another rank.
        """
        seen = gather_in_turn(lambda rank, world: self._look(task, device, autocast, rank, world))
        if not seen:
            raise ValueError("the validation loader gave no batch; check the validation list, or its drop_last.")
        self.cases = _once([row for rows, _ in seen for row in rows])
        losses = {}
        images = sum(len(rows) for rows, _ in seen)
        for name in seen[0][1]:
            losses[f"loss/{name}"] = sum(terms[name] * len(rows) for rows, terms in seen) / images
        return {**task.figures.summary(self.cases), **losses}

    def state_dict(self) -> dict[str, Any]:
        """The best validation so far as plain numbers."""
        best = self.best
        return {"best": None if best is None else [best.value, best.epoch, best.step]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the best validation of an earlier process.

        Args:
            state: from :meth:`state_dict`.
        """
        best = state["best"]
        self.best = None if best is None else Best(float(best[0]), int(best[1]), int(best[2]))
        self.improved = False

    def summary(self) -> dict[str, Any]:
        """For the report: the best key figure, and the epoch that reached it."""
        if self.best is None:
            return {}
        return {f"best validation/{self.key}": self.best.value, "best epoch": self.best.epoch}

    def _look(
        self,
        task: Any,
        device: torch.device | str | None,
        autocast: AbstractContextManager[Any] | None,
        rank: int,
        world: int,
    ) -> list[tuple[list[Row], dict[str, float]]]:
        """Rows and loss terms of each batch of this rank."""
        seen = []
        with evaluating(task, autocast):
            torch.manual_seed(0)  # workers of the loader are seeded from it
            for turn, item in enumerate(rank_share(self.data_loader, rank, world)):
                torch.manual_seed(rank + turn * world)
                batch = batch_to_device(item, device)
                if self.inferer is not None:
                    terms, answer = {}, self.inferer(batch[self.image_key], task.predict)
                else:
                    logits = task.logits(batch[self.image_key])
                    terms, answer = task.terms(logits, batch), task.probabilities(logits)
                rows = task.figures.rows(answer.float().cpu(), item)
                self._identify(rows, item.get("index"))
                seen.append((rows, {name: float(value) for name, value in terms.items()}))
        return seen

    def _identify(self, rows: Sequence[Row], index: Any) -> None:
        """Write into the rows which item each one is."""
        if index is None:
            return
        dataset: Any = getattr(self.data_loader, "dataset", None)
        for row, number in zip(rows, torch.as_tensor(index).tolist(), strict=True):
            row["index"] = int(number)
            if hasattr(dataset, "name") and hasattr(dataset, "data"):
                row["image"] = dataset.name(int(number))
                patient = dataset.data[int(number)].get("patient")
                row["patient"] = None if patient is None else str(patient)

    def _epoch_completed(self, engine: Any) -> None:
        epoch = engine.state.epoch
        self.improved = False
        if epoch % self.interval and epoch != engine.state.max_epochs:
            return
        figures = self.measure(engine.method, getattr(engine.state, "device", None), trainer_autocast(engine))
        if self.key not in figures:
            raise ValueError(f"there is no figure '{self.key}' that could decide; take one of {sorted(figures)}.")
        self.publish(engine, {f"validation/{name}": value for name, value in figures.items()})
        value = figures[self.key]
        self.improved = self._better(value)
        if self.improved:
            self.best = Best(value, int(epoch), int(engine.state.iteration))
        elif self.best is None:
            _LOGGER.warning("validation/%s is %s: it cannot tell which epoch is best yet", self.key, value)

    def _better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        gain = math.inf if self.best is None else value - self.best.value if self.greater else self.best.value - value
        return gain > self.min_delta


def _once(rows: Sequence[Row]) -> list[Row]:
    """The rows without those whose item was there before."""
    found: dict[Any, Row] = {}
    for number, row in enumerate(rows):
        found.setdefault(row.get("index", ("row", number)), row)
    return list(found.values())

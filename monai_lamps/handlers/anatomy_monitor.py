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
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from monai_lamps.data.rejects import RejectLog
from monai_lamps.engines.anatomy import Case, EncoderMaps, Examination, NotJudgedError, Probe, Subject, read_cases

from .epoch_figures import EpochFigures
from .evaluating import evaluating, trainer_autocast
from .rank_gather import gather_in_turn

__all__ = ["AnatomyMonitor"]

_LOGGER = logging.getLogger(__name__)


class AnatomyMonitor(EpochFigures):
    """Watches what the encoder comes to know of anatomy: some probes of the anatomy evaluation on a few images.

    At the end of epochs the encoder that the method exports is judged on the same images, patches and warps as ever,
    in eval mode, without gradients, in the trainer's precision and without a trace in the training (see
    :func:`evaluating`). Into ``engine.state.metrics`` go the figures ``anatomy/<probe>/<figure>``; one that is not
    finite is left out. The figures are for comparing the epochs of one run: images are few and there are no intervals.
    The bundle ``anatomy_evaluation`` gives those.

    The images are read once, when the run starts, so that what cannot be used is known before the first step. Several
    processes share the probes out and hand each other the figures, so that every one has those of a single process.
    A probe that the images do not allow (no landmarks, a single patient) is left out; the log says so once.

    Args:
        items: validation items of a datalist, with absolute paths; so many of them are taken as ``images`` says,
            spread evenly over the list.
        read: from an item to a radiograph in a square frame, usually a
            :class:`~monai_lamps.engines.anatomy.CaseReader`.
        probes: what is judged, usually :func:`~monai_lamps.engines.anatomy.light_probes`.
        image_size: side to which whole radiographs are brought for the encoder, px, a multiple of its cell.
        images: how many radiographs are looked at, at least 2.
        interval: look at the end of each n-th epoch, and of the last one.
        batch_size: images or patches at a time.
        rejects: list of images that could not be used; None is strict.
        max_reject: largest share of the images that may be set aside; a single one always may.

    Raises:
        ValueError: when an argument is out of its range, or there are fewer than two images.
    """

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]],
        read: Callable[[Mapping[str, Any]], Case],
        probes: Sequence[Probe],
        image_size: int,
        images: int = 16,
        interval: int = 1,
        batch_size: int = 16,
        rejects: RejectLog | None = None,
        max_reject: float = 0.05,
    ) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval must be at least 1 epoch, got {interval}; leave the monitor out for none.")
        if images < 2:
            raise ValueError(f"images must be at least 2, which are compared, got {images}.")
        if len(items) < 2:
            raise ValueError(
                f"watching anatomy needs at least 2 validation images, got {len(items)}; list more under 'validation', "
                "raise the share of images for validation, or leave the monitor out."
            )
        taken = min(images, len(items))
        self.items = [items[number * len(items) // taken] for number in range(taken)]
        self.read, self.probes, self.image_size, self.interval = read, list(probes), image_size, interval
        self.batch_size, self.rejects, self.max_reject = batch_size, rejects, max_reject
        self._cases: list[Case] | None = None
        self._left_out: set[str] = set()

    def attach(self, engine: Engine) -> None:
        """Read the images when the run starts, and look at the end of epochs.

        Args:
            engine: the trainer; the encoder of its ``method`` is looked at on ``engine.state.device``.
        """
        super().attach(engine)
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def measure(
        self,
        method: Any,
        device: torch.device | str | None = None,
        autocast: AbstractContextManager[Any] | None = None,
    ) -> dict[str, float]:
        """Judge the encoder and return the figures; with several processes all must call.

        Args:
            method: what is trained (a ``Method``, without wrappers).
            device: where its inputs must lie; the CPU by default.
            autocast: precision in which the encoder computes, see :func:`trainer_autocast`; None for the weights' own.
                The probes always compute in float32 or float64.

        Returns:
            the figures by name, as in the class, the same on every rank.

        Raises:
            ValueError: when the images do not fit the encoder, or its features are not finite.
            RuntimeError: when too many images cannot be used, or it failed on another rank.
        """
        found = gather_in_turn(
            lambda rank, world: self._judge(method, device, autocast, self.probes[rank::world]), "look at the anatomy"
        )
        figures = {}
        for probe, answer in zip(self.probes, found, strict=True):
            if isinstance(answer, str):
                self._leave_out(probe.name, answer)
            else:
                figures.update({f"anatomy/{probe.name}/{name}": value for name, value in answer.items()})
        return figures

    def _judge(
        self,
        method: Any,
        device: torch.device | str | None,
        autocast: AbstractContextManager[Any] | None,
        probes: Sequence[Probe],
    ) -> list[dict[str, float] | str]:
        """The figures that each of some probes finds, or why it finds none."""
        cases, answers = self._radiographs(), []
        with evaluating(method):
            maps = EncoderMaps(method.encoder, {"mean": method.mean, "std": method.std})
            network = _in_precision(maps, autocast or nullcontext())
            subject = Subject("in training", network, device=device or "cpu", batch_size=self.batch_size)
            examination = Examination(subject, cases, self.image_size)
            for probe in probes:
                torch.manual_seed(0)  # whatever a probe draws depends neither on the rank nor on the epoch
                answers.append(_answer(probe, examination))
        return answers

    def _radiographs(self) -> list[Case]:
        if self._cases is None:
            self._cases = read_cases(self.items, self.read, self.rejects, self.max_reject)
        return self._cases

    def _leave_out(self, name: str, reason: str) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            _LOGGER.info("anatomy: %s is not watched: %s", name, reason)

    def _started(self) -> None:
        def read(rank: int, world: int) -> list[None]:
            self._radiographs()
            return []

        gather_in_turn(read, "reading of the images for watching anatomy")

    def _epoch_completed(self, engine: Any) -> None:
        epoch = engine.state.epoch
        if epoch % self.interval == 0 or epoch == engine.state.max_epochs:
            device = getattr(engine.state, "device", None)
            self.publish(engine, self.measure(engine.method, device, trainer_autocast(engine)))


def _answer(probe: Probe, examination: Examination) -> dict[str, float] | str:
    try:
        figures = probe(examination).statistic(np.ones(len(examination.cases)))
    except NotJudgedError as reason:
        return str(reason)
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def _in_precision(maps: EncoderMaps, autocast: AbstractContextManager[Any]) -> Callable[[Tensor], Tensor]:
    """The maps in the trainer's precision, which ends with them: what compares them is not rounded."""

    def network(images: Tensor) -> Tensor:
        with autocast:
            found: Tensor = maps(images)
        return found

    return network

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

from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from .epoch_figures import EpochFigures

__all__ = ["TermMeansHandler"]


class TermMeansHandler(EpochFigures):
    """Means of the loss terms and of the method's readings over an epoch, and over all ranks.

    Writes into ``engine.state.metrics`` at the end of an epoch: ``loss/total``, ``loss/<term>`` (weighted, as in the
    loss) and ``train/<reading>`` (the method's ``latest``: unweighted losses, accuracies). Each is a mean over the
    iterations in which it appeared; a term that was idle in this epoch does not appear. Values that are not finite
    (the trainer skips such steps) are left out, and a figure without any finite value is NaN.

    Sums stay on the device; they are read once, at the end of the epoch. A resumed epoch counts from where it resumed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, Tensor] = {}

    def attach(self, engine: Engine) -> None:
        """Add up every iteration and write the means at the end of an epoch.

        Args:
            engine: the trainer; its output holds "loss", "terms" and "latest": scalar tensors, the latter two by name.
        """
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _reset(self, _engine: Engine) -> None:
        self._sums = {}

    def _add(self, engine: Any) -> None:
        output = engine.state.output
        figures = {"loss/total": output["loss"]}
        figures.update({f"loss/{name}": value for name, value in output["terms"].items()})
        figures.update({f"train/{name}": value for name, value in output["latest"].items()})
        values = torch.stack([value.detach().float() for value in figures.values()])
        finite = values.isfinite()
        both = torch.stack([torch.where(finite, values, 0.0), finite.float()], dim=1)  # (figures, 2): sum and count
        for name, pair in zip(figures, both.unbind(), strict=True):
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def _write(self, engine: Engine) -> None:
        if not self._sums:
            return
        names = sorted(self._sums)
        both = torch.stack([self._sums[name] for name in names])
        total: Any = idist.all_reduce(both) if idist.get_world_size() > 1 else both
        means = (total[:, 0] / total[:, 1]).tolist()  # 0 / 0 is NaN
        self.publish(engine, dict(zip(names, means, strict=True)))

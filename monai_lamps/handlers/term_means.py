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

from collections.abc import Mapping
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

    Sums stay on the device; they are read once, at the end of the epoch. Kept in a checkpoint (:meth:`state_dict`) they
    let an epoch that is resumed in its middle end with the same means; of several processes the first one's are kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, Tensor] = {}
        self._iteration = 0  # that the sums reach to
        self._kept: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The sums so far and the iteration that they reach to."""
        return {"iteration": self._iteration, "sums": dict(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what :meth:`state_dict` gave, if the run resumes at that iteration, in the middle of an epoch."""
        self._kept = dict(state)

    def attach(self, engine: Engine) -> None:
        """Add up every iteration and write the means at the end of an epoch.

        Args:
            engine: the trainer; its output holds "loss", "terms" and "latest": scalar tensors, the latter two by name.
        """
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _reset(self, engine: Engine) -> None:
        self._sums, kept, self._kept = {}, self._kept, None
        length = engine.state.epoch_length or 1
        if kept is not None and kept["iteration"] == engine.state.iteration and engine.state.iteration % length:
            self._sums = dict(kept["sums"])

    def _add(self, engine: Any) -> None:
        output = engine.state.output
        figures = {"loss/total": output["loss"]}
        figures.update({f"loss/{name}": value for name, value in output["terms"].items()})
        figures.update({f"train/{name}": value for name, value in output["latest"].items()})
        values = torch.stack([value.detach().float() for value in figures.values()])
        finite = values.isfinite()
        both = torch.stack([torch.where(finite, values, 0.0), finite.float()], dim=1)  # (figures, 2): sum and count
        for name, pair in zip(figures, both.unbind(), strict=True):
            self._sums[name] = self._sums[name].to(pair.device) + pair if name in self._sums else pair
        self._iteration = engine.state.iteration

    def _write(self, engine: Engine) -> None:
        if not self._sums:
            return
        names = sorted(self._sums)
        both = torch.stack([self._sums[name] for name in names])
        total: Any = idist.all_reduce(both) if idist.get_world_size() > 1 else both
        means = (total[:, 0] / total[:, 1]).tolist()  # 0 / 0 is NaN
        self.publish(engine, dict(zip(names, means, strict=True)))

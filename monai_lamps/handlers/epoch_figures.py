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

from ignite.engine import Engine, Events

__all__ = ["EpochFigures"]


class EpochFigures:
    """Base of handlers that write figures of one epoch into ``engine.state.metrics``.

    Ignite keeps ``state.metrics`` from epoch to epoch. A figure that is not measured in every epoch (a term whose
    objective is idle, a validation every tenth epoch) would then be reported again and again as if it were new. So what
    a handler has published is withdrawn when the next epoch starts.
    """

    def __init__(self) -> None:
        self._published: tuple[str, ...] = ()

    def attach(self, engine: Engine) -> None:
        """Withdraw the figures of the last epoch whenever an epoch starts.

        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.EPOCH_STARTED, self.withdraw)

    def publish(self, engine: Engine, figures: Mapping[str, float]) -> None:
        """Write the figures of this epoch.

        Args:
            engine: the trainer.
            figures: plain numbers by name.
        """
        self.withdraw(engine)
        engine.state.metrics.update(figures)
        self._published = tuple(figures)

    def withdraw(self, engine: Engine) -> None:
        """Remove what this handler published last.

        Args:
            engine: the trainer.
        """
        for name in self._published:
            engine.state.metrics.pop(name, None)
        self._published = ()

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
from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events

from .late import REPORTING, attach_after
from .task_validator import TaskValidator

__all__ = ["EarlyStopping"]

_LOGGER = logging.getLogger(__name__)


class EarlyStopping:
    """Ends a run whose key figure has not been better for some epochs.

    It goes by the best epoch that the validator keeps, so the patience is in epochs even where not every epoch is
    judged, and a figure that is NaN is simply no better. (MONAI's ``EarlyStopHandler`` takes NaN for the best score
    ever, and has no state that a checkpoint could hold.) A run that was stopped stays stopped when the same command is
    given again: give the handler to the :class:`CheckpointHandler`.

    Args:
        validator: what judges, attached to the same trainer.
        patience: epochs without a better figure after which the run ends, at least 1. The papers take 10 to 100.

    Attributes:
        stopped: whether this has ended the run.

    Raises:
        ValueError: when ``patience`` is below 1.
    """

    def __init__(self, validator: TaskValidator, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, got {patience}.")
        self.validator, self.patience = validator, patience
        self.stopped = False

    def attach(self, engine: Engine) -> None:
        """Look behind every handler that measures, and at the start whether the run was stopped before.

        Args:
            engine: the trainer.
        """
        attach_after(engine, Events.EPOCH_COMPLETED, self._epoch_completed, REPORTING)
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)

    def state_dict(self) -> dict[str, Any]:
        """Whether the run was stopped."""
        return {"stopped": self.stopped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over whether an earlier process stopped the run.

        Args:
            state: from :meth:`state_dict`.
        """
        self.stopped = bool(state["stopped"])

    def _epoch_started(self, engine: Any) -> None:
        if self.stopped:
            _LOGGER.info("this run was stopped early before: nothing is left to train; raise the patience to go on")
            engine.terminate()

    def _epoch_completed(self, engine: Any) -> None:
        epoch, best = int(engine.state.epoch), self.validator.best
        waited = epoch - (0 if best is None else best.epoch)
        if waited < self.patience or epoch == engine.state.max_epochs:
            return
        self.stopped = True
        _LOGGER.info(
            "stopped after epoch %d: validation/%s has not been better than %s for %d epochs (best epoch %s)",
            epoch,
            self.validator.key,
            "nothing" if best is None else f"{best.value:.4g}",
            waited,
            "none" if best is None else best.epoch,
        )
        engine.terminate()

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

"""Where a run stands: the one value that every schedule is a function of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """
    An immutable place in a run.

    Learning rate, weight decay, teacher momentum, temperatures and the curriculum are pure functions of it, so that a
    resumed run needs no hidden state.

    Args:
        step: global optimizer step, 0-based, in [0, total_steps]. `total_steps` itself means that the run is over.
        epoch: 0-based epoch of that step, in [0, total_epochs].
        total_steps: number of steps of the whole run, > 0, a multiple of `total_epochs`.
        total_epochs: number of epochs of the whole run, > 0.

    Raises:
        ValueError: When a value is out of its range or step and epoch contradict each other.

    Example:
        >>> Progress.at(step=25, steps_per_epoch=10, total_epochs=5)
        Progress(step=25, epoch=2, total_steps=50, total_epochs=5)
    """

    step: int
    epoch: int
    total_steps: int
    total_epochs: int

    def __post_init__(self) -> None:
        if self.total_epochs < 1:
            raise ValueError(f"total_epochs got {self.total_epochs}, expected at least 1: raise --epochs.")
        if self.total_steps < 1 or self.total_steps % self.total_epochs:
            raise ValueError(
                f"total_steps got {self.total_steps}, expected a positive multiple of "
                f"total_epochs={self.total_epochs}: use Progress.at(step, steps_per_epoch, total_epochs)."
            )
        if not 0 <= self.step <= self.total_steps:
            raise ValueError(
                f"step got {self.step}, expected 0 <= step <= total_steps={self.total_steps}: raise --epochs to go "
                "further."
            )
        if self.epoch != self.step // self.steps_per_epoch:
            raise ValueError(
                f"epoch got {self.epoch}, expected {self.step // self.steps_per_epoch} at step {self.step} with "
                f"{self.steps_per_epoch} steps per epoch: use Progress.at(step, steps_per_epoch, total_epochs)."
            )

    @classmethod
    def at(cls, step: int, steps_per_epoch: int, total_epochs: int) -> Progress:
        """
        Progress at a step of a run with epochs of equal length.

        Args:
            step: global step, 0-based.
            steps_per_epoch: steps of one epoch, > 0.
            total_epochs: epochs of the run, > 0.

        Raises:
            ValueError: When a value is out of its range.
        """
        if steps_per_epoch < 1:
            raise ValueError(
                f"steps_per_epoch got {steps_per_epoch}, expected at least 1: the data do not fill one batch."
            )
        return cls(step, step // steps_per_epoch, steps_per_epoch * total_epochs, total_epochs)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch."""
        return self.total_steps // self.total_epochs

    @property
    def fraction(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        return self.step / self.total_steps

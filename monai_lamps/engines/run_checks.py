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

"""What a trainer checks of its run: loss terms, lengths, and a state to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from monai_lamps.data.sampler import ResumableBatchSampler
from monai_lamps.engines.progress import Progress

__all__ = ["check_lengths", "check_state", "total_loss"]


def total_loss(terms: Mapping[str, torch.Tensor], progress: Progress) -> torch.Tensor:
    """
    The plain sum of the loss terms.

    Args:
        terms: ``() float`` each, by name.
        progress: where the run stands, for the message.

    Raises:
        ValueError: When there is no term, or one is no scalar.
    """
    if not terms:
        raise ValueError(
            f"The method returned no loss terms at step {progress.step}, expected at least one: "
            "give every phase of the curriculum an objective with a weight above 0."
        )
    for name, term in terms.items():
        if term.ndim:
            raise ValueError(f"Loss term '{name}' got the shape {tuple(term.shape)}, expected a scalar: reduce it.")
    return torch.stack(list(terms.values())).sum()


def check_lengths(sampler: ResumableBatchSampler, max_epochs: int, epoch_length: int | None) -> None:
    """
    Raise ValueError unless the lengths of run and epoch are those of the sampler.

    Args:
        sampler: decides.
        max_epochs: epochs of the run.
        epoch_length: steps of an epoch, or None.
    """
    if sampler.total_epochs != max_epochs:
        raise ValueError(
            f"max_epochs got {max_epochs}, expected total_epochs={sampler.total_epochs} of the batch sampler: "
            "give both the same number."
        )
    if epoch_length not in (None, sampler.steps_per_epoch):
        raise ValueError(
            f"epoch_length got {epoch_length}, expected steps_per_epoch={sampler.steps_per_epoch} of the batch "
            "sampler: leave it out, or take fewer data for a shorter epoch."
        )


def check_state(state: Mapping[str, Any], steps_per_epoch: int, max_epochs: int) -> int:
    """
    The step that a saved state of the trainer stands at.

    Args:
        state: what `PretrainingTrainer.state_dict` gave.
        steps_per_epoch: of this run.
        max_epochs: of this run.

    Raises:
        ValueError: When the state is not one of this trainer, belongs to other data or another batch size, or lies
            beyond the end of this run.
    """
    step = state.get("step")
    if not isinstance(step, int) or step < 0:
        raise ValueError(
            f"Trainer state got the keys {sorted(state)} with step={step!r}, expected an integer 'step' >= 0: "
            "is this a checkpoint of PretrainingTrainer?"
        )
    length = state.get("steps_per_epoch", steps_per_epoch)
    if length != steps_per_epoch:
        raise ValueError(
            f"The checkpoint has {length} steps per epoch, this run {steps_per_epoch}, so its data "
            "or batch size differ: resume with the same ones, or start a new run from the checkpoint's weights."
        )
    if step > steps_per_epoch * max_epochs:
        raise ValueError(
            f"The checkpoint is at step {step}, this run ends at step {steps_per_epoch * max_epochs} "
            f"({max_epochs} epochs): raise the number of epochs."
        )
    return step

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

"""Keep a NaN out of the weights: decide before the optimizer step, not after."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

__all__ = ["NonFiniteGuard"]


class NonFiniteGuard:
    """
    Take the optimizer step only if the loss and every gradient are finite.

    `ignite.handlers.TerminateOnNan` looks after the update, when the weights are already lost. Here a non-finite step
    changes neither weights nor optimizer state. The trainer turns a non-finite loss into non-finite gradients
    (`seed_gradient`), and in a distributed run gradients are all-reduced before they are looked at, so all ranks take
    the same decision without a further message.

    Without a host synchronisation where the optimizer can decide on the device (``fused=True``: the flag is handed over
    as ``optimizer.found_inf``): counts then stay on the device and are read every ``patience + 1`` steps, so a run
    stops at most that much later than the patience says. Other optimizers cost one synchronisation a step on a GPU.

    With float16 the gradient scaler overflows now and then by design and skips these steps itself. They are no failures
    here; a step counts if the loss itself is not finite, or if the scale is down to 1 and can no longer be at fault.

    What the forward pass has done to running statistics is undone by the trainer (`RunningStatistics`).

    Args:
        patience: how many updates in a row may be left out before the run stops, >= 0; 0 stops at the first.

    Raises:
        ValueError: When `patience` is negative.
    """

    def __init__(self, patience: int = 10) -> None:
        if patience < 0:
            raise ValueError(f"patience got {patience}, expected >= 0: use 0 to stop at the first non-finite update.")
        self.patience = patience
        self._calls = 0
        self._total: torch.Tensor | None = None
        self._in_a_row: torch.Tensor | None = None

    def __repr__(self) -> str:
        return f"NonFiniteGuard(patience={self.patience})"

    @property
    def skipped(self) -> int:
        """Number of non-finite updates left out since this object was made. Reading it synchronises with the device."""
        return 0 if self._total is None else int(self._total)

    def seed_gradient(self, loss: torch.Tensor) -> torch.Tensor:
        """
        Gradient to start the backward pass with: 1, or NaN for a non-finite loss, so that the gradients say so on all
        ranks.

        Args:
            loss: ``() float`` loss.
        """
        return loss.detach() * 0 + 1

    def step(
        self,
        optimizer: Optimizer,
        norms: torch.Tensor,
        loss: torch.Tensor,
        *,
        step: int,
        terms: Mapping[str, torch.Tensor],
        index: torch.Tensor | None = None,
        scaler: GradScaler | None = None,
    ) -> torch.Tensor:
        """
        Take the optimizer step, or leave it out.

        Args:
            optimizer: holds the (unscaled, all-reduced) gradients.
            norms: ``(P,) float`` gradient norms before clipping, as clipping returns them.
            loss: ``() float`` loss.
            step: global step, for the message.
            terms: loss terms, for the message.
            index: ``(B,) int64`` sample indices, for the message.
            scaler: gradient scaler of float16 training, already unscaled; it takes the step and is updated.

        Returns:
            ``() bool``, on the device: whether the gradients were not finite, so that the step was left out.

        Raises:
            RuntimeError: When more than `patience` updates in a row are not finite.
        """
        bad = torch.logical_not(torch.isfinite(norms).all()).to(loss.device)
        failed = bad
        if scaler is not None:
            scale = scaler.scale(torch.ones((), device=loss.device))
            failed = bad & ((scale <= 1) | torch.logical_not(torch.isfinite(loss.detach())))
            scaler.step(optimizer)
            scaler.update()
            asynchronous = loss.is_cuda
        else:
            asynchronous = _step_unless(bad, optimizer) and loss.is_cuda
        self._count(failed)
        self._calls += 1
        if asynchronous and self._calls % (self.patience + 1):
            return bad
        if self._in_a_row is not None and int(self._in_a_row) > self.patience:
            raise RuntimeError(self._message(step, loss, norms, terms, index))
        return bad

    def state_dict(self) -> dict[str, int]:
        """``{"skipped": int}``, so that a resumed run keeps counting."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on counting from what :meth:`state_dict` gave."""
        self._total = torch.tensor(int(state["skipped"]), dtype=torch.int64)
        self._in_a_row = torch.zeros_like(self._total)

    def _count(self, failed: torch.Tensor) -> None:
        if self._total is None or self._in_a_row is None:
            self._total = torch.zeros((), dtype=torch.int64)
            self._in_a_row = torch.zeros_like(self._total)
        if self._total.device != failed.device:
            self._total, self._in_a_row = self._total.to(failed.device), self._in_a_row.to(failed.device)
        self._total += failed
        self._in_a_row = (self._in_a_row + 1) * failed

    def _message(
        self,
        step: int,
        loss: torch.Tensor,
        norms: torch.Tensor,
        terms: Mapping[str, torch.Tensor],
        index: torch.Tensor | None,
    ) -> str:
        values = ", ".join(f"{name}={float(term):.4g}" for name, term in terms.items())
        samples = "unknown" if index is None else index.tolist()
        return (
            f"Loss or gradient is not finite at step {step}: loss={float(loss.detach()):.4g} ({values}), "
            f"{int((~torch.isfinite(norms)).sum())} of {norms.numel()} parameter gradients not finite, sample indices "
            f"{samples}. This is update {int(self._in_a_row if self._in_a_row is not None else 0)} in a row, with "
            f"patience={self.patience}. The weights are those of the last finite step. "
            "Look at these samples; if they are sound, lower the learning rate or use precision 'bf16' or 'fp32'."
        )


def _step_unless(bad: torch.Tensor, optimizer: Optimizer) -> bool:
    """Take the optimizer step unless `bad`; True if that was decided on the device."""
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        try:
            optimizer.step()
        finally:
            del optimizer.found_inf  # type: ignore[attr-defined]
        return True
    if not bad:
        optimizer.step()
    return False

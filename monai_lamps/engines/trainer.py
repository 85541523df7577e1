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

"""The pretraining trainer: MONAI's Trainer for methods that return named loss terms, resumable at any step."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.engines.workflow import Workflow
from monai.utils.enums import CommonKeys
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.parallel import DistributedDataParallel

from monai_lamps.data.keys import derive_seed
from monai_lamps.data.sampler import resumable_sampler
from monai_lamps.engines.clip import gradient_norms
from monai_lamps.engines.group_schedules import GroupSchedules
from monai_lamps.engines.nonfinite import NonFiniteGuard
from monai_lamps.engines.precision import autocast_dtype, check_device
from monai_lamps.engines.progress import Progress
from monai_lamps.engines.run_checks import check_lengths, check_state, total_loss
from monai_lamps.engines.running_statistics import RunningStatistics
from monai_lamps.engines.schedules import Schedule

__all__ = ["PretrainingTrainer"]


class PretrainingTrainer(Trainer):
    """
    Train a `Method` on an endless stream of batches keyed by the global step.

    The step is the only state of a run: schedules and the curriculum are functions of `Progress`, the order of the data
    of (seed, epoch), a sample of (seed, epoch, index), and the torch generators are seeded with (seed, step, rank)
    before every step, so nothing else needs saving and a resumed run continues **bit for bit**, also from the middle of
    an epoch. Deviation from the released Lamps code, which resumes at epoch ends with another random state.

    One step: schedules are set, ``terms = network(batch, progress)`` under autocast, their plain sum is differentiated,
    gradients are unscaled, clipped and looked at (`NonFiniteGuard`), the optimizer steps,
    ``method.after_step(progress)`` moves the teacher. `after_step` is called on every step, also where the guard left
    the update out, because on a GPU that decision is not known on the host. Nothing in a step waits for the device (see
    `NonFiniteGuard` for exceptions).

    ``engine.state.output`` is ``{"loss": (), "terms": {name: ()}, "latest": {name: ()}, "batch_size": int,
    "index": (B,) or None}``, all detached and on the device. MONAI's `IterationEvents` fire as in `SupervisedTrainer`.

    Ignite runs one loader iterator over all epochs, made after the first EPOCH_STARTED; on a resume in the middle of an
    epoch EPOCH_STARTED of that epoch fires once more. `state.epoch` and `state.iteration` count from 1 as always in
    Ignite; `progress` counts from 0. `terminate()` (then `run()` again) and `interrupt()` are supported;
    `terminate_epoch()` is not, for it would break the tie between step and data.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        max_epochs: epochs of the whole run, > 0.
        train_data_loader: a `DataLoader` whose `batch_sampler` is a `ResumableBatchSampler`.
        network: a `Method`, already on `device`, or one wrapped in `DistributedDataParallel` or `torch.compile`.
        optimizer: optimizer of the method's parameters.
        schedules: key of the parameter groups ("lr", "weight_decay", ...) to schedule or number. "lr" is multiplied by
            a group's "lr_scale" if it has one; "weight_decay" is left alone in groups with ``decay=False``.
        precision: "fp32", "bf16", or (CUDA only) "fp16" with a gradient scaler.
        clip: gradient clipping, called with the parameters, returning their norms; ``None`` for no clipping.
        guard: `NonFiniteGuard`, or ``None`` to trust every gradient.
        seed: seed of the run.
        inferer: kept as attribute for MONAI bundles, which require one; not used.
        epoch_length: steps of an epoch; the sampler decides, so this may only repeat its number.
        train_handlers: handlers with an `attach` method.
        kwargs: further arguments of `monai.engines.workflow.Workflow` (key_metric, event_names, ...).

    Raises:
        ValueError: When device, precision, a schedule's key, or the lengths of run and sampler do not fit.
        TypeError: When the loader cannot start from any step.
    """

    def __init__(
        self,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedules: Mapping[str, float | Schedule] | None = None,
        precision: str = "fp32",
        clip: Callable[[Iterable[torch.Tensor]], torch.Tensor] | None = None,
        guard: NonFiniteGuard | None = None,
        seed: int = 0,
        inferer: Any = None,
        epoch_length: int | None = None,
        train_handlers: Sequence | None = None,
        **kwargs: Any,
    ) -> None:
        device = check_device(device)
        self.precision = precision
        self.autocast_dtype = autocast_dtype(precision, device)
        self.sampler = resumable_sampler(train_data_loader)
        check_lengths(self.sampler, max_epochs, epoch_length)
        self.network = network
        self.optimizer = optimizer
        self.schedules = GroupSchedules(optimizer, schedules or {})
        self.clip = clip
        self.guard = guard
        self.statistics = RunningStatistics(self.method if guard is not None else nn.Module())
        self.seed = seed
        self.inferer = inferer
        self._steps_done = self.sampler.start_step
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            data_loader=train_data_loader,
            epoch_length=self.sampler.steps_per_epoch,
            non_blocking=True,
            handlers=train_handlers,
            decollate=False,
            **kwargs,
        )
        self.logger.addFilter(_is_not_said_by_the_exception)
        self.amp = precision != "fp32"
        # Trainer.run() would make a new scaler at every run; ours is part of the saved state
        self.scaler: Any = GradScaler(device.type) if precision == "fp16" else None
        self._rewind()

    @property
    def method(self) -> Any:
        """The method itself, without the wrappers of distributed training and compilation."""
        module: Any = self.network
        while isinstance(module, DistributedDataParallel) or hasattr(module, "_orig_mod"):
            module = module.module if isinstance(module, DistributedDataParallel) else module._orig_mod
        return module

    @property
    def progress(self) -> Progress:
        """Place of the step in hand; between steps that of the last one, before the first one step 0."""
        return Progress.at(max(self.state.iteration - 1, 0), self.state.epoch_length, self.state.max_epochs)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return int(self.state.epoch_length * self.state.max_epochs)

    def run(self) -> None:  # type: ignore[override]
        """
        Run from where the run stands to `state.max_epochs`; return at once if it has been finished already.

        Unlike Ignite's, this never starts a finished run over again, and it continues after `terminate()` or an
        exception from the last completed step. To extend a run, raise ``state.max_epochs`` (schedules stretch to the
        new length).
        """
        if self._generator_state() != inspect.GEN_SUSPENDED:  # otherwise it was interrupted and simply goes on
            self._rewind()
            if self._steps_done >= self.total_steps:
                self.logger.warning(
                    f"This run is already finished: {self._steps_done} of {self.total_steps} steps "
                    f"({self.state.max_epochs} epochs) are done. Nothing to do; raise the number of epochs to go on."
                )
                return
        Workflow.run(self)

    def terminate_epoch(self, skip_epoch_completed: bool = False) -> None:
        """Not supported: raises RuntimeError, for the rest of the run would see other data than its steps say."""
        raise RuntimeError(
            "terminate_epoch() would break the tie between step and data: use terminate() and run() again."
        )

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        """
        Primitives and tensors that continue the run (beside those of network and optimizer).

        Returns:
            "step": completed optimizer steps; "steps_per_epoch": to notice other data at resume; "scaler": state of the
            gradient scaler (empty unless float16).
        """
        scaler = {} if self.scaler is None else self.scaler.state_dict()
        return {"step": self._steps_done, "steps_per_epoch": self.sampler.steps_per_epoch, "scaler": scaler}

    def load_state_dict(self, state_dict: Mapping) -> None:
        """
        Continue from a saved state, before `run()` or in a handler of ``Events.STARTED``.

        Args:
            state_dict: what `state_dict` returned.

        Raises:
            ValueError: When the state is not one of this trainer, belongs to other data or another batch size, or lies
                beyond the end of this run.
            RuntimeError: When the run is already under way (or interrupted).
        """
        running = self._generator_state() != inspect.GEN_CLOSED
        if running and self.last_event_name != Events.STARTED:
            raise RuntimeError(
                f"load_state_dict was called during a run, at {self.last_event_name}: call it before run() or in a "
                "handler of Events.STARTED."
            )
        step = check_state(state_dict, self.sampler.steps_per_epoch, self.state.max_epochs)
        if self.scaler is not None and state_dict.get("scaler"):
            self.scaler.load_state_dict(state_dict["scaler"])
        self._steps_done = step
        self._rewind(running)
        self.logger.info(
            f"Continue at step {step} of {self.total_steps}, in epoch {step // self.sampler.steps_per_epoch + 1}."
        )

    def _generator_state(self) -> str:
        """State of Ignite's run loop, a generator: closed after the end or an exception, suspended by `interrupt()`."""
        generator = self._internal_run_generator
        return inspect.GEN_CLOSED if generator is None else inspect.getgeneratorstate(generator)

    def _rewind(self, running: bool = False) -> None:
        """Put Ignite's counters and the sampler to the last completed step."""
        if not running:
            self._internal_run_generator = None
            self.should_terminate = self.should_terminate_single_epoch = self.should_interrupt = False
        self._dataloader_iter = None
        self._init_iter = None
        self.state.iteration = self._steps_done
        self.state.epoch = self._steps_done // self.state.epoch_length
        self.sampler.total_epochs = self.state.max_epochs
        self.sampler.start_step = min(self._steps_done, self.total_steps)

    def _iteration(self, engine: Any, batchdata: Mapping[str, Any]) -> dict[str, Any]:
        progress = self.progress
        torch.manual_seed(derive_seed(self.seed, progress.step, self.state.rank))
        self.schedules.apply(progress)
        batch = self._to_device(batchdata)
        self.network.train()
        self.statistics.keep()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.state.device.type, dtype=self.autocast_dtype, enabled=self.amp):
            terms: dict[str, torch.Tensor] = self.network(batch, progress)
        index = batch.get("index")
        output: dict[str, Any] = {
            "terms": {name: term.detach() for name, term in terms.items()},
            "latest": dict(getattr(self.method, "latest", {})),
            "batch_size": len(next(iter(batch.values())) if index is None else index),
            "index": index,
        }
        self.state.output = output
        self.fire_event(IterationEvents.FORWARD_COMPLETED)

        loss = total_loss(terms, progress)
        output[CommonKeys.LOSS] = loss.detach()
        self.fire_event(IterationEvents.LOSS_COMPLETED)

        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward(gradient=None if self.guard is None else self.guard.seed_gradient(loss))
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)

        self._update(loss, output["terms"], index, progress)
        self.method.after_step(progress)
        self._steps_done = progress.step + 1
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return output

    def _to_device(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value.to(self.state.device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()
        }

    def _update(
        self, loss: torch.Tensor, terms: Mapping[str, torch.Tensor], index: torch.Tensor | None, progress: Progress
    ) -> None:
        params = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norms = None if self.clip is None else self.clip(params)
        if self.guard is not None:
            norms = gradient_norms(params) if norms is None else norms
            bad = self.guard.step(
                self.optimizer, norms, loss, step=progress.step, terms=terms, index=index, scaler=self.scaler
            )
            self.statistics.restore(bad)
        elif self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()


def _is_not_said_by_the_exception(record: logging.LogRecord) -> bool:
    """Filter of log records: Ignite logs an exception twice before it is raised with the same words."""
    return "is terminating due to exception" not in str(record.msg)

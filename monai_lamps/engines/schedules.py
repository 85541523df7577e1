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

"""Schedules: pure functions of `Progress`, small enough to be read and to be written in JSON."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from monai_lamps.engines.progress import Progress

__all__ = ["Constant", "Cosine", "Linear", "Schedule", "as_schedule", "scaled_lr"]

Schedule = Callable[[Progress], float]


@dataclass(frozen=True)
class Constant:
    """
    The same value at every step.

    Args:
        value: the finite value.

    Raises:
        ValueError: When `value` is not finite.
    """

    value: float

    def __post_init__(self) -> None:
        _check_finite("value", self.value)

    def __call__(self, progress: Progress) -> float:
        return float(self.value)


@dataclass(frozen=True)
class Cosine:
    """
    Half a cosine from `start` to `end` over the run, after an optional linear warm-up.

    With ``S`` steps in the run and ``W`` steps of warm-up, step ``s`` has the value
    ``warmup_start + (start - warmup_start) * s / W`` while ``s < W`` and then
    ``end + (start - end) * (1 + cos(pi * (s - W) / (S - W))) / 2``. The last step of the run is one step short of
    `end`.

    Lamps (arXiv 2512.22872) uses it in its released code for the learning rate (10 epochs of warm-up from 0, then to
    1e-6), the weight decay (0.04 to 0.4) and the teacher momentum (0.996 to 1), all per step. Deviation: the released
    warm-up reaches its peak one step earlier (it counts both ends), a relative difference of 1/W.

    Args:
        start: value after the warm-up.
        end: value at the end of the run.
        warmup_epochs: length of the warm-up in epochs, >= 0, may be a fraction. If the run is not longer than that, it
            is all warm-up and a warning says so.
        warmup_start: value at step 0 when there is a warm-up.

    Raises:
        ValueError: When a value is not finite or `warmup_epochs` is negative.
    """

    start: float
    end: float
    warmup_epochs: float = 0
    warmup_start: float = 0.0

    def __post_init__(self) -> None:
        for name in ("start", "end", "warmup_epochs", "warmup_start"):
            _check_finite(name, getattr(self, name))
        if self.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs got {self.warmup_epochs}, expected >= 0: use 0 for no warm-up.")

    def __call__(self, progress: Progress) -> float:
        warmup = self.warmup_epochs * progress.steps_per_epoch
        if 0 < progress.total_steps <= warmup:
            warnings.warn(
                f"warmup_epochs={self.warmup_epochs} is not shorter than the run of {progress.total_epochs} epochs, "
                f"so the schedule does not go beyond {self.start}: shorten the warm-up or raise --epochs.",
                stacklevel=1,  # said once, whoever asks: Python counts the places that it points to
            )
        if progress.step < warmup:
            return self.warmup_start + (self.start - self.warmup_start) * progress.step / warmup
        if progress.total_steps <= warmup:
            return float(self.start)
        fraction = (progress.step - warmup) / (progress.total_steps - warmup)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * fraction)) / 2


@dataclass(frozen=True)
class Linear:
    """
    A ramp: `start` up to the beginning, then linearly to `end`, which holds on.

    Args:
        start: value up to `begin_epoch`.
        end: value from `end_epoch` on.
        begin_epoch: where the ramp begins, in epochs, >= 0, may be a fraction.
        end_epoch: where the ramp ends, in epochs, > `begin_epoch`. ``None`` is the end of the run.

    Raises:
        ValueError: When a value is not finite, or the ramp does not begin at 0 or later and end after its beginning.
    """

    start: float
    end: float
    begin_epoch: float = 0
    end_epoch: float | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end", "begin_epoch"):
            _check_finite(name, getattr(self, name))
        if self.begin_epoch < 0:
            raise ValueError(f"begin_epoch got {self.begin_epoch}, expected >= 0: use 0 to begin at once.")
        if self.end_epoch is not None:
            _check_finite("end_epoch", self.end_epoch)
            if self.end_epoch <= self.begin_epoch:
                raise ValueError(
                    f"end_epoch got {self.end_epoch}, expected > begin_epoch={self.begin_epoch}: "
                    "use a later end_epoch, or null for the end of the run."
                )

    def __call__(self, progress: Progress) -> float:
        begin = self.begin_epoch * progress.steps_per_epoch
        stop = progress.total_steps if self.end_epoch is None else self.end_epoch * progress.steps_per_epoch
        if progress.step <= begin:
            return float(self.start)
        if progress.step >= stop:
            return float(self.end)
        return self.start + (self.end - self.start) * (progress.step - begin) / (stop - begin)


def as_schedule(value: float | Schedule) -> Schedule:
    """
    A schedule from a number (held constant) or a schedule (returned as it is).

    Args:
        value: a finite number or a callable of `Progress`.

    Raises:
        TypeError: When it is neither a number nor callable.
        ValueError: When the number is not finite.
    """
    if callable(value):
        return value
    return Constant(value)


def scaled_lr(base: float, batch: int, reference: int = 256) -> float:
    """
    Learning rate by the linear scaling rule: ``base * batch / reference``.

    Lamps' released recipe has base 5e-4 at a reference of 256 and a global batch of 2 x 8, so a peak of 3.125e-5.

    Args:
        base: learning rate at the reference batch, > 0.
        batch: samples of one step over all processes, > 0.
        reference: the batch that `base` belongs to, > 0.

    Raises:
        ValueError: When a value is not finite and positive.
    """
    for name, value in (("base", base), ("batch", batch), ("reference", reference)):
        _check_finite(name, value)
        if value <= 0:
            raise ValueError(f"{name} got {value}, expected > 0: pass a positive {name}.")
    return base * batch / reference


def _check_finite(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} got {value!r} of type {type(value).__name__}, expected a number.")
    if not math.isfinite(value):
        raise ValueError(f"{name} got {value}, expected a finite number.")

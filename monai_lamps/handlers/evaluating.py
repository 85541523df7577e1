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

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["batch_to_device", "evaluating", "trainer_autocast"]


@contextmanager
def evaluating(method: nn.Module, autocast: AbstractContextManager[Any] | None = None) -> Iterator[None]:
    """Look at a method without leaving a trace: eval mode and no gradients inside, everything as before after it.

    The train flag of every sub-module is put back (a frozen teacher may be in eval mode on purpose), and so is the
    global random state of torch: starting the workers of a data loader draws from it, and training must not depend on
    whether somebody looked.

    Args:
        method: the module that will be called inside.
        autocast: precision to compute in, e.g. :func:`trainer_autocast`; None for the weights' own.
    """
    flags = [(module, module.training) for module in method.modules()]
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad(), autocast or nullcontext():
            method.eval()
            yield
    finally:
        for module, flag in flags:
            module.training = flag


def trainer_autocast(engine: Any) -> AbstractContextManager[Any]:
    """The precision in which a trainer computes its forward pass, as a context.

    Args:
        engine: a :class:`~monai_lamps.engines.PretrainingTrainer`; any other engine computes in the weights' own.
    """
    dtype = getattr(engine, "autocast_dtype", torch.float32)
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(engine.state.device.type, dtype=dtype)


def batch_to_device(batch: Mapping[str, Any], device: torch.device | str | None) -> dict[str, Any]:
    """A copy of the batch whose tensors lie on the device.

    Args:
        batch: tensors and anything else by name.
        device: where to; None leaves the tensors where they are.
    """
    if device is None:
        return dict(batch)
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for key, value in batch.items()
    }

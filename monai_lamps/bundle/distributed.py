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
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

__all__ = ["local_device", "on_first_process", "start_processes", "stop_processes"]

T = TypeVar("T")


def local_device() -> torch.device:
    """This process's device under torchrun: its own GPU, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def start_processes(device: str | torch.device, timeout_minutes: float = 30.0) -> None:
    """Join the process group that torchrun has set up: NCCL on GPUs, gloo on CPUs. Other ranks log warnings only.

    Args:
        device: this process's device; it decides between NCCL and gloo.
        timeout_minutes: how long a process waits for the others before it gives up (a hung rank is noticed then).

    Raises:
        RuntimeError: when the process was not started by torchrun.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise RuntimeError(
            "multi_gpu_train.json needs torchrun: torchrun --nproc_per_node=N -m monai.bundle run --config_file ..."
        )
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        backend = "nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=timeout_minutes))
    if dist.get_rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)


def stop_processes() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def on_first_process(work: Callable[[], T]) -> T:
    """Do some work on the first process and hand its result, or its error, to all. Without a process group just do it.

    Every process must call this, and the others wait; work that takes longer than the timeout of
    :func:`start_processes` ends the run.

    Args:
        work: returns something that can be pickled.

    Returns:
        what the work returned, on every process.

    Raises:
        RuntimeError: on the other processes, when the work failed on the first, which raises the error itself.
    """
    if not dist.is_initialized():
        return work()
    box: list[Any] = [None, None]
    failure: BaseException | None = None
    if dist.get_rank() == 0:
        try:
            box[0] = work()
        except Exception as error:
            box[1], failure = str(error), error
    dist.broadcast_object_list(box)
    if failure is not None:
        raise failure
    if box[1] is not None:
        raise RuntimeError(f"the first process failed: {box[1]}")
    result: T = box[0]
    return result

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

import contextlib
import gc
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

__all__ = ["local_device", "on_first_process", "start_processes", "stop_processes", "synchronize_batch_norm"]

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)


def local_device() -> torch.device:
    """This process's device under torchrun: its own GPU, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def start_processes(device: str | torch.device, timeout_minutes: float = 30.0) -> None:
    """Join the process group that torchrun has set up: NCCL on GPUs, gloo on CPUs. Other ranks log warnings only.

    NCCL is bound to the process's GPU, so that it connects at once (a fault of the network shows here, not in the first
    step). An error that ends this process is also handed to torchrun, whose summary then names the cause. On CPUs the
    first process warns when torchrun, as it does by default, leaves cores idle by one thread a process.

    Args:
        device: this process's device; it decides between NCCL and gloo. ``cuda`` without a number is the process's own.
        timeout_minutes: how long a process waits for the others before it gives up (a hung rank is noticed then).

    Raises:
        RuntimeError: when the process was not started by torchrun.
        ValueError: when the timeout is not positive.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise RuntimeError(
            "multi_gpu_train.json needs torchrun: torchrun --nproc_per_node=N -m monai.bundle run --config_file ..."
        )
    if timeout_minutes <= 0:
        raise ValueError(f"dist_timeout_minutes got {timeout_minutes}, expected a positive number, for example 30.")
    device = torch.device(device)
    if device.type == "cuda":
        device = device if device.index is not None else local_device()
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        _tell_torchrun()
        timeout = timedelta(minutes=timeout_minutes)
        if device.type == "cuda":
            dist.init_process_group("nccl", timeout=timeout, device_id=device)
        else:
            dist.init_process_group("gloo", timeout=timeout)
            _check_threads()
    if dist.get_rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)


def stop_processes(network: nn.Module | None = None) -> None:
    """Leave the process group, together, and end its threads.

    A process that closes its connections while another still uses them can abort it. And a wrapped network holds the
    group: it would outlive its end, and the threads of gloo be running still when the interpreter ends, which at times
    aborts the process ("terminate called without an active exception", exit code -6).

    Args:
        network: what was trained; of a ``DistributedDataParallel`` nothing but its ``module`` can be used afterwards.
    """
    if not dist.is_initialized():
        return
    dist.barrier()
    if isinstance(network, DistributedDataParallel):
        for name in ("reducer", "logger", "process_group"):
            setattr(network, name, None)
    dist.destroy_process_group()
    gc.collect()


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


def synchronize_batch_norm(module: nn.Module, device: str | torch.device) -> nn.Module:
    """Let batch normalisation see the batch of all processes, as one process would.

    With DistributedDataParallel alone each process normalises by the mean and variance of its own share, so that the
    result depends on the number of processes. On GPUs these layers become ``torch.nn.SyncBatchNorm``; parameters,
    buffers and their names stay, so checkpoints fit with any number of processes. PyTorch has none for CPUs: there the
    first process warns, and layers stay as they are. Networks without batch normalisation (Swin) are not touched.

    Args:
        module: what is trained, on its device.
        device: that device.

    Returns:
        the module, itself changed (a layer that is itself a batch normalisation is replaced).
    """
    if not any(isinstance(layer, _BatchNorm) for layer in module.modules()):
        return module
    if torch.device(device).type == "cuda":
        synchronized: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return synchronized
    if not dist.is_initialized() or dist.get_rank() == 0:
        _LOGGER.warning(
            "batch normalisation sees only each process's share of the batch, because PyTorch cannot synchronize it on "
            "CPUs: results depend on the number of processes. Use another one, for ResNet for example "
            "--encoder_args \"{'norm': ['group', {'num_groups': 32}]}\"."
        )
    return module


def _check_threads() -> None:
    """Warn where the processes of this machine leave cores idle: torchrun sets OMP_NUM_THREADS=1 unless it is set."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cores // processes
    if dist.get_rank() == 0 and torch.get_num_threads() < share:
        _LOGGER.warning(
            f"{processes} processes with {torch.get_num_threads()} threads each leave cores idle: this machine has "
            f"{cores}. Start with OMP_NUM_THREADS={share} torchrun ..., less where data loader workers need cores."
        )


def _tell_torchrun() -> None:
    """Write what ends this process into torchrun's error file as well, if there is one; its summary quotes that."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    say = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = io.StringIO()
        with contextlib.redirect_stderr(text):
            say(kind, error, trace)
        sys.stderr.write(text.getvalue())
        told = {"message": text.getvalue().strip(), "timestamp": int(time.time())}
        with contextlib.suppress(OSError), open(path, "w", encoding="utf-8") as file:
            json.dump(told, file)

    sys.excepthook = hook

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

"""Devices and numerical precisions that can be trained with here."""

from __future__ import annotations

import torch

__all__ = ["autocast_dtype", "check_device"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def check_device(device: str | torch.device) -> torch.device:
    """
    A device that is there, from its name.

    Args:
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        ValueError: When the device is unknown or not available on this machine.
    """
    valid = ["cpu"]
    if torch.cuda.is_available():
        valid += ["cuda"] + [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if str(device) not in valid:
        raise ValueError(f"device got '{device}', expected one of {valid}, which are available on this machine.")
    return torch.device(device)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype:
    """
    The dtype to autocast to for a precision.

    Args:
        precision: "fp32" (no autocast), "bf16", or "fp16" (CUDA only, needs a gradient scaler).
        device: the device of the training.

    Raises:
        ValueError: When the precision is unknown or not available on the device.
    """
    valid = ["fp32"]
    if device.type == "cpu":
        valid += ["bf16"]
    elif device.type == "cuda":
        valid += ["bf16", "fp16"] if torch.cuda.is_bf16_supported() else ["fp16"]
    if precision not in valid:
        raise ValueError(f"precision got {precision!r}, expected one of {valid} on device '{device}'.")
    return _DTYPES[precision]

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

import torch
from torch import Tensor

__all__ = ["check_pairs", "flat_pairs"]


def check_pairs(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Explanations and truth as the metrics of evidence take them.

    Args:
        maps: (B, 1, *spatial), float, at least 0: the more, the more a place speaks for the answer.
        masks: (B, 1, *spatial), bool or of 0 and 1: where what is looked for is in truth.

    Returns:
        maps in float64 and masks in bool, both on the CPU.

    Raises:
        ValueError: when a shape is another, or a map is negative or not finite.
    """
    if maps.ndim < 3 or maps.shape[1] != 1 or maps.shape != masks.shape:
        raise ValueError(
            f"maps and masks must both be (B, 1, *spatial), got {tuple(maps.shape)} and {tuple(masks.shape)}."
        )
    values = maps.detach().double().cpu()
    if not torch.isfinite(values).all() or (values < 0).any():
        raise ValueError(
            "maps must be finite and at least 0, the more the stronger the evidence, got values from "
            f"{float(values.min()):.4g} to {float(values.max()):.4g}; clamp what speaks against the answer to 0."
        )
    return values, masks.detach().cpu() >= 0.5 if masks.dtype != torch.bool else masks.detach().cpu()


def flat_pairs(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`check_pairs` with the pixels of each image in a row, both (B, P)."""
    values, truth = check_pairs(maps, masks)
    return values.flatten(1), truth.flatten(1)

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
"""Shape checks shared by the losses."""

from __future__ import annotations

import torch

__all__ = ["require_shape"]


def require_shape(tensor: torch.Tensor, name: str, axes: str, sizes: tuple[int | None, ...]) -> None:
    """Refuse a tensor of another shape.

    Args:
        tensor: the tensor to check.
        name: what it is, for the message.
        axes: names of the axes, for the message, such as ``"(B, N, D)"``.
        sizes: expected size of each axis; None stands for any.

    Raises:
        ValueError: when the number of axes or a size differs.
    """
    if tensor.ndim == len(sizes) and all(want in (None, size) for size, want in zip(tensor.shape, sizes)):
        return
    expected = ", ".join("*" if size is None else str(size) for size in sizes)
    raise ValueError(f"expected {name} {axes} of shape ({expected}), got {tuple(tensor.shape)}.")

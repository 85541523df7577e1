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
"""Fixed sine-cosine position code for a grid of cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["sincos_position_code"]


def sincos_position_code(
    dim: int, grid: Sequence[int], *, class_token: bool = False, span: Sequence[int] | None = None
) -> torch.Tensor:
    """Fixed position code of the cells of a grid, as MAE and the context decoder of Lamps use it.

    The channels are split evenly over the axes, the last axis first: in 2-D the first half codes the column and the
    second half the row. Each part is ``[sin(p w_k), cos(p w_k)]`` with ``w_k = 10000**(-k / K)``, ``K = dim // (2 n)``;
    channels that do not divide evenly (width 1024 in 3-D) are zero at the end. Computed in float64 and rounded once
    (MONAI's ``build_sincos_position_embedding`` computes in float32, orders its 3-D parts differently, and has no class
    token).

    Args:
        dim: D, at least twice the number of axes.
        grid: cells along each spatial axis.
        class_token: put a row of zeros in front, for a class token.
        span: cells along each axis of the grid that the code is made for, where it is another one; the centres of the
            cells then lie at fractions ``(j + 1/2) span / grid - 1/2``, so that both grids cover the same image.

    Returns:
        code (1, N, D) or (1, 1 + N, D), float32 in [-1, 1], cells in row-major order.

    Raises:
        ValueError: when ``dim`` is too small, the grid is empty, or ``span`` does not fit it.
    """
    axes = len(grid)
    if axes < 1 or min(grid) < 1:
        raise ValueError(f"grid must have at least one cell along every axis, got {tuple(grid)}.")
    if dim < 2 * axes:
        raise ValueError(f"dim must be at least {2 * axes} for a grid of {axes} axes, got {dim}.")
    span = grid if span is None else span
    if len(span) != axes or min(span) < 1:
        raise ValueError(f"span must have at least one cell along each of {axes} axes, got {tuple(span)}.")
    bands = dim // (2 * axes)
    omega = 10000.0 ** (-torch.arange(bands, dtype=torch.float64) / bands)
    lines = [(torch.arange(size, dtype=torch.float64) + 0.5) * (own / size) - 0.5 for size, own in zip(grid, span)]
    places = torch.meshgrid(*lines, indexing="ij")
    parts = []
    for place in reversed(places):
        angle = place.reshape(-1, 1) * omega  # [N, K]
        parts += [angle.sin(), angle.cos()]
    parts.append(omega.new_zeros(len(parts[0]), dim - 2 * axes * bands))
    code = torch.cat(parts, dim=1)
    if class_token:
        code = torch.cat([code.new_zeros(1, dim), code])
    return code[None].float()

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

from dataclasses import dataclass

__all__ = ["LampsGeometry"]


@dataclass(frozen=True)
class LampsGeometry:
    """Sizes of everything Lamps cuts out of a radiograph, in cells (Lamps, arXiv 2512.22872; released code).

    A cell is the patch that one coarse token of the encoder covers. All crops lie on one lattice of cells, so two
    views of a sample overlap on exact cell boundaries. The defaults are the published ones: with a Swin of patch 4
    (cell 32 px) the region is 576 px, a view 448 px and the visible context 352 px.

    Args:
        cell: side of a cell in px, the stride of the encoder's coarsest feature map.
        region: side of the common region of a sample, in cells.
        view: side of a view, in cells; even, so that its quadrants are whole cells.
        window: side of the visible context window inside a view, in cells.
        spatial_dims: 2 or 3.

    Raises:
        ValueError: when a size does not fit into the next larger one, or the view is odd.
    """

    cell: int
    region: int = 18
    view: int = 14
    window: int = 11
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        if self.cell < 1:
            raise ValueError(f"cell must be at least 1 px, got {self.cell}; take the encoder's stride (encoder.cell).")
        if self.spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, got {self.spatial_dims}.")
        if self.view % 2:
            raise ValueError(f"view must be an even number of cells to be decomposed in quadrants, got {self.view}.")
        if not 1 <= self.window < self.view <= self.region:
            raise ValueError(
                "expected 1 <= window < view <= region (in cells), got "
                f"window={self.window}, view={self.view}, region={self.region}."
            )

    @property
    def tokens(self) -> int:
        """Number of cells of a view, which is the number of classes of the order head (196 as published)."""
        return int(self.view**self.spatial_dims)

    @property
    def parts(self) -> int:
        """Number of parts a view is decomposed in: 4 quadrants or 8 octants."""
        return int(2**self.spatial_dims)

    @property
    def region_size(self) -> int:
        """Side of the region in px."""
        return self.region * self.cell

    @property
    def view_size(self) -> int:
        """Side of a view in px, which is the input size of the exported encoder."""
        return self.view * self.cell

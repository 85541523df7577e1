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

"""MONAI transforms of the Lamps geometry, and the batched functions behind them."""

from __future__ import annotations

from .cells import crop_cells, grid_of, join_cells, split_cells
from .context import (
    RandContextWindow,
    RandContextWindowD,
    RandContextWindowd,
    RandContextWindowDict,
    context_window,
    window_mask,
)
from .decomposition import Decompose, DecomposeD, Decomposed, DecomposeDict, decompose, recompose
from .grid_region import (
    GridRegion,
    GridRegionD,
    GridRegiond,
    GridRegionDict,
    RandGridRegion,
    RandGridRegionD,
    RandGridRegiond,
    RandGridRegionDict,
)
from .keyed_random import keyed_uniform
from .load_labels import LoadLabels, LoadLabelsD, LoadLabelsd, LoadLabelsDict
from .load_radiograph import LoadRadiograph, LoadRadiographD, LoadRadiographd, LoadRadiographDict
from .load_structures import LoadStructures, LoadStructuresD, LoadStructuresd, LoadStructuresDict
from .patch_shuffle import (
    RandPatchShuffle,
    RandPatchShuffleD,
    RandPatchShuffled,
    RandPatchShuffleDict,
    inverse_permutation,
    shuffle_cells,
)
from .photometric import PhotometricAugment
from .rand_photometric import RandPhotometric, RandPhotometricD, RandPhotometricd, RandPhotometricDict
from .resample import resample_box
from .views import RandGridViews, RandGridViewsD, RandGridViewsd, RandGridViewsDict, grid_views, overlap_index

__all__ = [
    "Decompose",
    "DecomposeD",
    "DecomposeDict",
    "Decomposed",
    "GridRegion",
    "GridRegionD",
    "GridRegionDict",
    "GridRegiond",
    "LoadLabels",
    "LoadLabelsD",
    "LoadLabelsDict",
    "LoadLabelsd",
    "LoadRadiograph",
    "LoadRadiographD",
    "LoadRadiographDict",
    "LoadRadiographd",
    "LoadStructures",
    "LoadStructuresD",
    "LoadStructuresDict",
    "LoadStructuresd",
    "PhotometricAugment",
    "RandContextWindow",
    "RandContextWindowD",
    "RandContextWindowDict",
    "RandContextWindowd",
    "RandGridRegion",
    "RandGridRegionD",
    "RandGridRegionDict",
    "RandGridRegiond",
    "RandGridViews",
    "RandGridViewsD",
    "RandGridViewsDict",
    "RandGridViewsd",
    "RandPatchShuffle",
    "RandPatchShuffleD",
    "RandPatchShuffleDict",
    "RandPatchShuffled",
    "RandPhotometric",
    "RandPhotometricD",
    "RandPhotometricDict",
    "RandPhotometricd",
    "context_window",
    "crop_cells",
    "decompose",
    "grid_of",
    "grid_views",
    "inverse_permutation",
    "join_cells",
    "keyed_uniform",
    "overlap_index",
    "recompose",
    "resample_box",
    "shuffle_cells",
    "split_cells",
    "window_mask",
]

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

"""MONAI transforms: the geometry of Lamps, the parts and crops of Adam, and the batched functions behind them."""

from __future__ import annotations

from .anatomy_decompose import (
    AnatomyDecompose,
    AnatomyDecomposeD,
    AnatomyDecomposed,
    AnatomyDecomposeDict,
    AnatomyPart,
    anatomy_hierarchy,
    decomposition_boxes,
)
from .body_region import body_region, lucent_part
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
from .fractal_noise import fractal_noise
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
from .known_warp import KnownWarp, RandKnownWarp, RandKnownWarpD, RandKnownWarpd, RandKnownWarpDict
from .lesion_shape import LesionShape
from .lesion_textures import ForeignTexture, LesionSite, LesionTexture, NoiseTexture, SelfTexture, SmoothOpacity
from .lesion_truth import RandLesionTruthD, RandLesionTruthd, RandLesionTruthDict
from .load_boxes import LoadBoxes, LoadBoxesD, LoadBoxesd, LoadBoxesDict
from .load_labels import LoadLabels, LoadLabelsD, LoadLabelsd, LoadLabelsDict
from .load_radiograph import LoadRadiograph, LoadRadiographD, LoadRadiographd, LoadRadiographDict
from .load_structures import LoadStructures, LoadStructuresD, LoadStructuresd, LoadStructuresDict
from .multi_crop import RandMultiCrop, RandMultiCropD, RandMultiCropd, RandMultiCropDict
from .nested_crops import (
    RandNestedCrops,
    RandNestedCropsD,
    RandNestedCropsd,
    RandNestedCropsDict,
    nested_boxes,
    nested_crops,
    nested_scales,
)
from .patch_shuffle import (
    RandPatchShuffle,
    RandPatchShuffleD,
    RandPatchShuffled,
    RandPatchShuffleDict,
    inverse_permutation,
    shuffle_cells,
)
from .photometric import PhotometricAugment
from .rand_anatomy_decompose import (
    RandAnatomyDecompose,
    RandAnatomyDecomposeD,
    RandAnatomyDecomposed,
    RandAnatomyDecomposeDict,
)
from .rand_photometric import RandPhotometric, RandPhotometricD, RandPhotometricd, RandPhotometricDict
from .resample import resample_box
from .reseeded import Reseeded
from .resized_crop import (
    RandResizedCenterCrop,
    RandResizedCenterCropD,
    RandResizedCenterCropd,
    RandResizedCenterCropDict,
    RandResizedCrop,
    RandResizedCropD,
    RandResizedCropd,
    RandResizedCropDict,
)
from .synthetic_lesion import (
    LesionedImage,
    LesionPlan,
    RandSyntheticLesion,
    RandSyntheticLesionD,
    RandSyntheticLesiond,
    RandSyntheticLesionDict,
)
from .views import RandGridViews, RandGridViewsD, RandGridViewsd, RandGridViewsDict, grid_views, overlap_index

__all__ = [
    "AnatomyDecompose",
    "AnatomyDecomposeD",
    "AnatomyDecomposeDict",
    "AnatomyDecomposed",
    "AnatomyPart",
    "Decompose",
    "DecomposeD",
    "DecomposeDict",
    "Decomposed",
    "ForeignTexture",
    "GridRegion",
    "GridRegionD",
    "GridRegionDict",
    "GridRegiond",
    "KnownWarp",
    "LesionPlan",
    "LesionShape",
    "LesionSite",
    "LesionTexture",
    "LesionedImage",
    "LoadBoxes",
    "LoadBoxesD",
    "LoadBoxesDict",
    "LoadBoxesd",
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
    "NoiseTexture",
    "PhotometricAugment",
    "RandAnatomyDecompose",
    "RandAnatomyDecomposeD",
    "RandAnatomyDecomposeDict",
    "RandAnatomyDecomposed",
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
    "RandKnownWarp",
    "RandKnownWarpD",
    "RandKnownWarpDict",
    "RandKnownWarpd",
    "RandMultiCrop",
    "RandMultiCropD",
    "RandMultiCropDict",
    "RandMultiCropd",
    "RandLesionTruthD",
    "RandLesionTruthDict",
    "RandLesionTruthd",
    "RandNestedCrops",
    "RandNestedCropsD",
    "RandNestedCropsDict",
    "RandNestedCropsd",
    "RandPatchShuffle",
    "RandPatchShuffleD",
    "RandPatchShuffleDict",
    "RandPatchShuffled",
    "RandPhotometric",
    "RandPhotometricD",
    "RandPhotometricDict",
    "RandPhotometricd",
    "RandResizedCenterCrop",
    "RandResizedCenterCropD",
    "RandResizedCenterCropDict",
    "RandResizedCenterCropd",
    "RandResizedCrop",
    "RandResizedCropD",
    "RandResizedCropDict",
    "RandResizedCropd",
    "RandSyntheticLesion",
    "RandSyntheticLesionD",
    "RandSyntheticLesionDict",
    "RandSyntheticLesiond",
    "Reseeded",
    "SelfTexture",
    "SmoothOpacity",
    "anatomy_hierarchy",
    "body_region",
    "context_window",
    "crop_cells",
    "decompose",
    "decomposition_boxes",
    "fractal_noise",
    "grid_of",
    "grid_views",
    "inverse_permutation",
    "join_cells",
    "keyed_uniform",
    "lucent_part",
    "nested_boxes",
    "nested_crops",
    "nested_scales",
    "overlap_index",
    "recompose",
    "resample_box",
    "shuffle_cells",
    "split_cells",
    "window_mask",
]

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
"""What an encoder knows of anatomy, in numbers: of embeddings of patches, and of dense features of whole images."""

from __future__ import annotations

from .case_figures import CaseFigures
from .cases import NO_GROUP, group_numbers, groups_of
from .compositionality import (
    Compositionality,
    compositionality,
    compositionality_statistic,
    part_cosines,
    shuffled_cosines,
)
from .correspondence import Correspondence, correspondence
from .decomposability import Decomposability, decomposability, decomposability_statistic, sibling_hits
from .dense_grid import cell_centres, cell_sides, inside, sample_features
from .density import Density, gaussian_density
from .embedding_metric import EmbeddingMetric
from .embedding_picture import embedding_picture, has_tsne, pca_plane, tsne_plane
from .inner_clusters import InnerClusters, inner_clusters, inner_clusters_statistic
from .landmark_transfer import (
    LandmarkTemplate,
    LandmarkTransfer,
    best_of_matches,
    copy_landmarks,
    landmark_transfer,
    mean_of_matches,
    transfer_landmarks,
)
from .locality import Locality, locality, locality_statistic
from .mask_transfer import (
    MaskTemplate,
    MaskTransfer,
    copy_masks,
    dice_figures,
    mask_transfer,
    structure_figure_names,
    transfer_masks,
)
from .matching import Matches, Pairs, match_back, match_descriptors, mutual_matches
from .point_errors import point_errors, point_figure_names
from .position import Position, position, position_statistic
from .retrieval import Retrieval, retrieval, retrieval_statistic
from .scale import ScaleConsistency, scale_consistency, scale_consistency_statistic
from .separation import Separation, separation, separation_statistic
from .symmetry import Symmetry, symmetry, symmetry_statistic

__all__ = [
    "NO_GROUP",
    "CaseFigures",
    "Compositionality",
    "Correspondence",
    "Decomposability",
    "Density",
    "EmbeddingMetric",
    "InnerClusters",
    "LandmarkTemplate",
    "LandmarkTransfer",
    "Locality",
    "MaskTemplate",
    "MaskTransfer",
    "Matches",
    "Pairs",
    "Position",
    "Retrieval",
    "ScaleConsistency",
    "Separation",
    "Symmetry",
    "best_of_matches",
    "cell_centres",
    "cell_sides",
    "compositionality",
    "compositionality_statistic",
    "copy_landmarks",
    "copy_masks",
    "correspondence",
    "decomposability",
    "decomposability_statistic",
    "dice_figures",
    "embedding_picture",
    "gaussian_density",
    "group_numbers",
    "groups_of",
    "has_tsne",
    "inner_clusters",
    "inner_clusters_statistic",
    "inside",
    "landmark_transfer",
    "locality",
    "locality_statistic",
    "mask_transfer",
    "match_back",
    "match_descriptors",
    "mean_of_matches",
    "mutual_matches",
    "part_cosines",
    "pca_plane",
    "point_errors",
    "point_figure_names",
    "position",
    "position_statistic",
    "retrieval",
    "retrieval_statistic",
    "sample_features",
    "scale_consistency",
    "scale_consistency_statistic",
    "separation",
    "separation_statistic",
    "shuffled_cosines",
    "sibling_hits",
    "structure_figure_names",
    "symmetry",
    "symmetry_statistic",
    "transfer_landmarks",
    "transfer_masks",
    "tsne_plane",
]

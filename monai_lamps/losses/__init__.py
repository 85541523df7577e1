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
"""Losses, one to a file, computed in float32 whatever the type of their inputs. They know nothing of methods."""

from __future__ import annotations

from .context_consistency_loss import ContextConsistencyLoss
from .context_loss import ContextLoss
from .dino_loss import DINOLoss
from .hierarchy_loss import CompositionLoss, DecompositionLoss
from .lesion_discrimination_loss import LesionDiscriminationLoss, discrimination_figures
from .order_loss import PatchOrderLoss, order_accuracy, order_near_accuracy
from .overlap_consistency import OverlapConsistencyLoss
from .pruned_info_nce import PrunedInfoNCELoss, contrast_figures, pruned_share
from .restoration_loss import RestorationLoss, cell_errors, chosen_mean
from .supervised_contrastive import SupervisedContrastiveLoss, all_keys_denominator, negatives_denominator
from .token_consistency import ReleasedTokenConsistencyLoss, TokenConsistencyLoss
from .unit_hierarchy_loss import ReleasedUnitDecompositionLoss, UnitCompositionLoss, UnitDecompositionLoss

__all__ = [
    "CompositionLoss",
    "ContextConsistencyLoss",
    "ContextLoss",
    "DINOLoss",
    "DecompositionLoss",
    "LesionDiscriminationLoss",
    "OverlapConsistencyLoss",
    "PatchOrderLoss",
    "PrunedInfoNCELoss",
    "ReleasedTokenConsistencyLoss",
    "ReleasedUnitDecompositionLoss",
    "RestorationLoss",
    "SupervisedContrastiveLoss",
    "TokenConsistencyLoss",
    "UnitCompositionLoss",
    "UnitDecompositionLoss",
    "all_keys_denominator",
    "cell_errors",
    "chosen_mean",
    "contrast_figures",
    "discrimination_figures",
    "negatives_denominator",
    "order_accuracy",
    "order_near_accuracy",
    "pruned_share",
]

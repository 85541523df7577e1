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
"""Where in an image a network's answer comes from: MONAI's explanations and our own behind one call."""

from __future__ import annotations

from .anatomy import AnatomyExplainer, anatomy_explainer
from .attention_rollout import AttentionRolloutExplainer, attention_rollout
from .coarsest_features import CoarsestFeatures
from .constant import ConstantExplainer
from .evidence import ClassEvidenceExplainer, EvidenceExplainer
from .explainer import CannotExplainError, Explainer, encoder_of
from .grad_cam import GradCAMExplainer, GradCAMppExplainer
from .left_as_it_was import left_as_it_was
from .occlusion import OcclusionExplainer

__all__ = [
    "AnatomyExplainer",
    "AttentionRolloutExplainer",
    "CannotExplainError",
    "ClassEvidenceExplainer",
    "CoarsestFeatures",
    "ConstantExplainer",
    "EvidenceExplainer",
    "Explainer",
    "GradCAMExplainer",
    "GradCAMppExplainer",
    "OcclusionExplainer",
    "anatomy_explainer",
    "attention_rollout",
    "encoder_of",
    "left_as_it_was",
]

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
"""Supervised tasks: fine-tuning an encoder, with the trainer, the handlers and the checkpoints of pretraining."""

from __future__ import annotations

from .classification import Classification
from .crops_inferer import CropsInferer
from .evidence_classifier import EvidenceClassifier
from .knn_classification import KnnClassification
from .knn_classifier import KnnClassifier, knn_votes
from .label_kinds import LabelKind, MultiClass, MultiLabel
from .linear_classifier import LinearClassifier
from .segmentation import Segmentation
from .task import Task

__all__ = [
    "Classification",
    "CropsInferer",
    "EvidenceClassifier",
    "KnnClassification",
    "KnnClassifier",
    "LabelKind",
    "LinearClassifier",
    "MultiClass",
    "MultiLabel",
    "Segmentation",
    "Task",
    "knn_votes",
]

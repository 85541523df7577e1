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
"""What a supervised model is judged by: figures of segmentation and classification, their spread and significance."""

from __future__ import annotations

from .bootstrap import Bootstrap, patients_of
from .calibration import Reliability, brier_score, reliability
from .classification_figures import ClassificationFigures, MultiClassFigures
from .figures import Figures, Row, Statistic
from .ranking import Ranking
from .segmentation_figures import SegmentationFigures
from .significance import Comparison, holm, independent_t_test, paired_t_test, welch_t_test, wilcoxon_test

__all__ = [
    "Bootstrap",
    "ClassificationFigures",
    "Comparison",
    "Figures",
    "MultiClassFigures",
    "Ranking",
    "Reliability",
    "Row",
    "SegmentationFigures",
    "Statistic",
    "brier_score",
    "holm",
    "independent_t_test",
    "paired_t_test",
    "patients_of",
    "reliability",
    "welch_t_test",
    "wilcoxon_test",
]

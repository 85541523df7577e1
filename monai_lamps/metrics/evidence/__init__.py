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
"""How well an explanation shows what decides and where it lies: maps of evidence against masks, and the network."""

from __future__ import annotations

from .baselines import Baseline, Blurred, Constant
from .best_overlap import (
    THRESHOLDS,
    BestOverlap,
    best_threshold,
    best_threshold_statistic,
    dice_by_threshold,
)
from .energy import EnergyInside, energy_inside, evidence_mass
from .evidence_correlation import EvidenceCorrelation, evidence_correlation, evidence_correlation_statistic
from .evidence_metric import EvidenceMetric
from .overlap import OverlapAt, dice_at, iou_at, scaled_by_maximum
from .perturbation_curves import PerturbationCurves, Score, curve_area, deletion_curve, insertion_curve
from .pixel_ranking import PixelRanking, pixel_auroc, pixel_average_precision
from .pointing_game import PointingGame, pointing_game

__all__ = [
    "THRESHOLDS",
    "Baseline",
    "BestOverlap",
    "Blurred",
    "Constant",
    "EnergyInside",
    "EvidenceCorrelation",
    "EvidenceMetric",
    "OverlapAt",
    "PerturbationCurves",
    "PixelRanking",
    "PointingGame",
    "Score",
    "best_threshold",
    "best_threshold_statistic",
    "curve_area",
    "deletion_curve",
    "dice_at",
    "dice_by_threshold",
    "energy_inside",
    "evidence_correlation",
    "evidence_correlation_statistic",
    "evidence_mass",
    "insertion_curve",
    "iou_at",
    "pixel_auroc",
    "pixel_average_precision",
    "pointing_game",
    "scaled_by_maximum",
]

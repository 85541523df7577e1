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

import torch
from torch import Tensor

__all__ = ["out_of_fold", "patient_folds", "ridge_predictions"]

#: penalties that are tried, as multiples of the mean squared singular value
_PENALTIES = tuple(10.0**power for power in range(-4, 5))


def ridge_predictions(inputs: Tensor, targets: Tensor, asked: Tensor) -> Tensor:
    """Linear regression with a quadratic penalty, chosen by generalised cross-validation (Golub, Heath, Wahba, 1979).

    The penalty is chosen from 1e-4 to 1e4 times the mean squared singular value of the centred inputs, so that neither
    the width nor the scale of an encoder's embeddings decides. Inputs without any spread predict the targets' mean.

    Args:
        inputs: (n, D), float64, to learn from.
        targets: (n, A), float64.
        asked: (m, D), float64.

    Returns:
        (m, A), float64.
    """
    middle, level = inputs.mean(0), targets.mean(0)
    left, singular, right = torch.linalg.svd(inputs - middle, full_matrices=False)
    power = singular**2
    if float(power.sum()) == 0:
        return level.expand(len(asked), -1)
    rotated = left.T @ (targets - level)  # (r, A)
    total = ((targets - level) ** 2).sum()
    best, shrink = torch.inf, power
    for penalty in _PENALTIES:
        kept = power / (power + penalty * power.mean())
        residual = total - ((2 * kept - kept**2)[:, None] * rotated**2).sum()
        score = float(residual / (len(inputs) - 1 - kept.sum()).clamp(min=1e-6) ** 2)
        if score < best:
            best, shrink = score, kept
    solved = right.T @ ((shrink / singular.clamp(min=1e-300))[:, None] * rotated)
    answer: Tensor = (asked - middle) @ solved + level
    return answer


def patient_folds(groups: Tensor, folds: int, seed: int = 0) -> Tensor:
    """Deal whole patients into folds of nearly the same number of patients.

    Args:
        groups: (N,), patients counted from 0.
        folds: at least 2; as many as there are patients where these are fewer.
        seed: decides who comes into which.

    Returns:
        (N,), fold of each case, from 0.

    Raises:
        ValueError: when ``folds`` is below 2, or there is a single patient.
    """
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}; 5 is usual.")
    patients = int(groups.max()) + 1 if len(groups) else 0
    if patients < 2:
        raise ValueError(f"folds need at least 2 patients, got {patients}; give the patient of each case as groups.")
    turn = torch.randperm(patients, generator=torch.Generator().manual_seed(seed)) % min(folds, patients)
    return turn[groups]


def out_of_fold(inputs: Tensor, targets: Tensor, folds: Tensor) -> tuple[Tensor, Tensor]:
    """Predictions for every case by a regression that has not seen its patient.

    Args:
        inputs: (N, D), float64.
        targets: (N, A), float64.
        folds: (N,), from :func:`patient_folds`.

    Returns:
        predictions (N, A), and the mean of the targets that each was learnt from (N, A), which needs no input.
    """
    predicted, level = torch.empty_like(targets), torch.empty_like(targets)
    for fold in folds.unique():
        out = folds == fold
        predicted[out] = ridge_predictions(inputs[~out], targets[~out], inputs[out])
        level[out] = targets[~out].mean(0)
    return predicted, level

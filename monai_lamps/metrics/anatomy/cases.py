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

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["NO_GROUP", "group_numbers", "groups_of", "mean_over_cases", "share_above"]

#: the number of a case that names no patient
NO_GROUP = -1

Array = npt.NDArray[np.float64]


def group_numbers(groups: Sequence[object] | Tensor | None, count: int) -> Tensor:
    """Patients as numbers that are the same in every process, so that tensors can carry them.

    Args:
        groups: patient of each case: an integer tensor (N,), which is taken as it is, or names of any kind, which
            become 62 bits of their digest. None, or None or "" among them, names no patient.
        count: number of cases.

    Returns:
        (N,), int64; :data:`NO_GROUP` where no patient is named.

    Raises:
        ValueError: when there is not one patient for each case, or the tensor holds no integers.
    """
    if groups is None:
        return torch.full((count,), NO_GROUP)
    if len(groups) != count:
        raise ValueError(f"groups must name the patient of each of the {count} cases, got {len(groups)}.")
    if isinstance(groups, Tensor):
        if groups.ndim != 1 or groups.is_floating_point():
            raise ValueError(f"groups must be integers (N,), got {groups.dtype} of shape {tuple(groups.shape)}.")
        return groups.long()
    return torch.tensor([NO_GROUP if group in (None, "") else _digest(group) for group in groups])


def groups_of(groups: Sequence[object] | Tensor | None, count: int) -> Tensor:
    """Patients counted from 0; a case that names none is a patient of its own (as in ``metrics.patients_of``).

    Args:
        groups: as for :func:`group_numbers`.
        count: number of cases.

    Returns:
        (N,), int64 on the CPU.

    Raises:
        ValueError: as :func:`group_numbers`.
    """
    numbers = group_numbers(groups, count).cpu()
    nameless = numbers < 0
    numbers = numbers.masked_scatter(nameless, NO_GROUP - torch.arange(int(nameless.sum())))
    dense: Tensor = numbers.unique(return_inverse=True)[1]
    return dense


def mean_over_cases(values: Tensor, weights: Array) -> float:
    """Weighted mean of what is defined, NaN where nothing is.

    Args:
        values: (N,), float; NaN where a case has none.
        weights: (N,), how often each case counts.
    """
    v = values.double().numpy()
    known = ~np.isnan(v)
    total = weights[known].sum()
    return float((v[known] * weights[known]).sum() / total) if total > 0 else float("nan")


def share_above(values: Tensor, control: Tensor) -> Tensor:
    """1 where a value is above its control, 0 where it is below, 1/2 where the two are equal: 1/2 on average by chance.

    Args:
        values: (N,), float.
        control: (N,), float; NaN where there is none, which gives NaN.
    """
    above = (values > control).double() + 0.5 * (values == control).double()
    return torch.where(control.isnan(), torch.nan, above)


def _digest(group: object) -> int:
    return int.from_bytes(hashlib.blake2b(str(group).encode(), digest_size=8).digest(), "big") >> 2

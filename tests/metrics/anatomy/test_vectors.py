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

import pytest
import torch

from monai_lamps.metrics.anatomy.vectors import cosine, unit_vectors


def test_vectors_have_length_1_and_zeros_stay_zero() -> None:
    vectors = unit_vectors(torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True))
    assert vectors.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
    assert vectors.dtype == torch.float64
    assert not vectors.requires_grad


def test_cosines_of_equal_directions_are_exactly_1() -> None:
    values = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    assert (cosine(unit_vectors(values), unit_vectors(3 * values)) == 1).all()


def test_values_that_are_not_finite_are_counted() -> None:
    values = torch.zeros(2, 3, 4)
    values[0, 1, 2], values[1, 1, 0] = torch.nan, torch.inf
    with pytest.raises(ValueError, match="parts must be finite, got 2 of 6 vectors with NaN or Inf"):
        unit_vectors(values, "parts")

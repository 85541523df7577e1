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

import numpy as np
import pytest
import torch

from monai_lamps.transforms import fractal_noise


@pytest.mark.parametrize("octaves", [1, 3])
@pytest.mark.parametrize("shape", [(64, 80), (16, 20, 24)])
def test_mean_0_and_variance_1_over_the_draws(shape: tuple[int, ...], octaves: int) -> None:
    fields = torch.stack([fractal_noise(shape, 3.0, np.random.RandomState(seed), octaves) for seed in range(40)])
    assert fields.shape == (40, *shape)
    assert fields.dtype == torch.float32
    assert abs(float(fields.mean())) < 0.05
    assert float(fields.var()) == pytest.approx(1, abs=0.1)


def test_neighbours_are_alike_within_the_grain_and_further_octaves_are_finer() -> None:
    def roughness(grain: float, octaves: int) -> float:
        field = fractal_noise((64, 64), grain, np.random.RandomState(0), octaves)
        return float(field.diff(dim=0).square().mean())

    assert roughness(8, 1) < roughness(4, 1) / 2 < roughness(2, 1) / 4
    assert roughness(8, 1) < roughness(8, 2) < roughness(8, 3)
    assert fractal_noise((4, 4), 0.5, np.random.RandomState(0), 4).isfinite().all()  # no finer than half a pixel


def test_the_numbers_are_those_of_the_given_generator() -> None:
    first, again, other = (fractal_noise((8, 8), 2.0, np.random.RandomState(seed), 2) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("grain", "octaves"), [(0.0, 1), (2.0, 0)])
def test_no_grain_and_no_octaves_are_refused(grain: float, octaves: int) -> None:
    with pytest.raises(ValueError, match=f"above 0 px and octaves at least 1, got {grain} and {octaves}"):
        fractal_noise((8, 8), grain, np.random.RandomState(0), octaves)

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
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.methods.lamps import LampsGeometry, RandLampsGeometryd


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), dims=st.sampled_from([2, 3]))
def test_draws_lie_inside_and_are_a_function_of_the_seed(seed: int, dims: int) -> None:
    g = LampsGeometry(cell=2, region=9, view=6, window=4, spatial_dims=dims)
    data = {"image": torch.zeros(1, *(g.region_size,) * dims)}
    transform = RandLampsGeometryd("image", g)
    first, second = (transform.set_random_state(seed)(data) for _ in range(2))
    assert first["view_offset"].shape == (2, dims)
    assert 0 <= first["view_offset"].min() <= first["view_offset"].max() <= g.region - g.view
    assert 0 <= first["window_offset"].min() <= first["window_offset"].max() <= g.view - g.window
    assert torch.equal(first["permutation"].sort().values, torch.arange(g.tokens))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_every_offset_is_reached() -> None:
    transform = RandLampsGeometryd("image", LampsGeometry(cell=1)).set_random_state(0)
    drawn = torch.cat([transform({"image": torch.zeros(1, 18, 18)})["view_offset"] for _ in range(200)])
    assert set(drawn.flatten().tolist()) == {0, 1, 2, 3, 4}


def test_a_region_of_another_size_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'image' has spatial shape \(17, 18\), expected \(18, 18\); put RandGridRegiond"
    ):
        RandLampsGeometryd("image", LampsGeometry(cell=1))({"image": torch.zeros(1, 17, 18)})

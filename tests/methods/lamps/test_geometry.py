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

from monai_lamps.methods.lamps import LampsGeometry


def test_published_sizes_follow_from_a_cell_of_32_px() -> None:
    g = LampsGeometry(32)
    assert (g.region_size, g.view_size, g.window * g.cell, g.tokens, g.parts) == (576, 448, 352, 196, 4)
    assert LampsGeometry(8, spatial_dims=3).parts == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": 0}, "cell must be at least 1 px, got 0"),
        ({"cell": 8, "spatial_dims": 4}, "spatial_dims must be 2 or 3, got 4"),
        ({"cell": 8, "view": 13}, "even number of cells .* got 13"),
        ({"cell": 8, "window": 14}, "window=14, view=14"),
        ({"cell": 8, "view": 20}, "view=20, region=18"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LampsGeometry(**arguments)

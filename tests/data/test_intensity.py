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

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from monai_lamps.data.intensity import bit_depth, percentile_window

Make = Callable[..., Any]


def test_bit_depth_holds_the_largest_value_and_refuses_wider_ones() -> None:
    assert [bit_depth(v) for v in (0, 255, 256, 1023, 1024, 65535)] == [8, 8, 9, 10, 11, 16]
    with pytest.raises(ValueError, match=r"0..65535, got 65536; use percentile_window"):
        bit_depth(65536)


def test_percentiles_that_coincide_give_way_to_the_extremes() -> None:
    values = np.zeros((40, 56))
    values[3, 4] = 9
    assert percentile_window(values)[3, 4] == 1
    assert percentile_window(np.ones((40, 56))).max() == 0

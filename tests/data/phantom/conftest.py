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

from monai_lamps.data.phantom import STRUCTURES, draw_annotated_thorax


@pytest.fixture(scope="session")
def drawings():
    """Annotated drawings of 128 px of a varied two dozen patients, every other one with opacities."""
    return [draw_annotated_thorax(i, 128, seed=3, opacities=float(i % 2)) for i in range(24)]


@pytest.fixture(scope="session")
def mask():
    """The mask of a structure by name."""
    return lambda drawing, name: drawing.masks[STRUCTURES.index(name)]


@pytest.fixture(scope="session")
def centre():
    """Mean row and column of a mask."""
    return lambda region: np.argwhere(region).mean(0)

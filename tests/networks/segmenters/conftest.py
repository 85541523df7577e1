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

from typing import Any

import pytest

from monai_lamps.networks import Encoder, build_encoder, encoder_names

TINY: dict[str, dict[str, Any]] = {
    "swin": {"embed_dim": 8, "depths": [1, 2, 1], "num_heads": [2, 2, 2], "window_size": 2, "drop_path": 0.0},
    "resnet": {"base_channels": 4},
    "convnext": {"embed_dim": 8, "depths": [1, 1, 1], "drop_path": 0.0, "layer_scale": 1.0},
    "vit": {"embed_dim": 16, "depth": 2, "num_heads": 2},
}


def tiny(name: str, spatial_dims: int = 2, **kwargs: Any) -> Encoder:
    """A registered encoder in the smallest useful size."""
    family = next((family for family in TINY if name.startswith(family)), None)
    assert family is not None, f"give a tiny setting for the encoder '{name}' here"
    return build_encoder(name, spatial_dims=spatial_dims, **{**TINY[family], **kwargs})


@pytest.fixture
def tiny_encoder() -> Any:
    """Builds tiny encoders by name."""
    return tiny


@pytest.fixture(params=encoder_names())
def any_encoder(request: pytest.FixtureRequest) -> Encoder:
    """Each registered encoder, in a tiny size."""
    return tiny(request.param)

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

from monai_lamps.networks import build_encoder
from monai_lamps.networks.segmenters import build_swin_unetr

TINY = {"embed_dim": 12, "depths": [1, 2, 1, 1], "num_heads": [1, 2, 2, 2], "window_size": 2, "patch_size": 2}


@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (64, 96)), (3, (32, 32, 64))])
def test_the_network_has_the_sizes_of_the_encoder(spatial_dims: int, size: tuple[int, ...]) -> None:
    encoder = build_encoder("swin_tiny", spatial_dims=spatial_dims, **TINY)
    net = build_swin_unetr(encoder, 3, norm_name="batch").eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, *size)).shape == (1, 3, *size)
    shapes = {key: tensor.shape for key, tensor in net.swinViT.state_dict().items()}
    assert all(shapes[key] == tensor.shape for key, tensor in encoder.swin.state_dict().items())


def test_further_arguments_go_to_monais_network() -> None:
    net = build_swin_unetr(build_encoder("swin_tiny", **TINY), 3, use_v2=True, normalize=False)
    assert net.swinViT.use_v2
    assert not net.normalize


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({"embed_dim": 16, "num_heads": [2, 2, 2, 2]}, "embed_dim 16"),
        ({"depths": [1, 1], "num_heads": [2, 2]}, r"depths \[1, 1\]"),
        ({"patch_size": 5}, "patch_size 5"),
    ],
)
def test_an_encoder_that_monais_network_cannot_follow_is_refused(own: dict, found: str) -> None:
    with pytest.raises(ValueError, match=f"multiple of 12, four stages and patches of .* got .*{found}.* use UPerNet"):
        build_swin_unetr(build_encoder("swin_tiny", **{**TINY, **own}), 2)


def test_other_encoders_are_refused() -> None:
    with pytest.raises(TypeError, match="takes the weights of a SwinEncoder, got ResNetEncoder; use UPerNet"):
        build_swin_unetr(build_encoder("resnet18", base_channels=4), 2)

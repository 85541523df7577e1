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
from monai.inferers import Inferer

from monai_lamps.engines import DenseInferer
from monai_lamps.networks import build_encoder


def test_it_gives_the_tokens_whose_mean_is_the_embedding() -> None:
    encoder = build_encoder("resnet18", stride=8, base_channels=4).eval()
    images = torch.rand(2, 1, 16, 24)
    inferer = DenseInferer()
    with torch.no_grad():
        tokens = inferer(images, encoder)
        assert tokens.shape == (2, 2 * 3, encoder.embed_dim)
        torch.testing.assert_close(tokens.mean(1), encoder(images))
    assert isinstance(inferer, Inferer)

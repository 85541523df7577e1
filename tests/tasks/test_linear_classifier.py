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
from torch import Tensor
from toy_task import encoder

from monai_lamps.tasks import CropsInferer, LinearClassifier


def test_a_linear_classifier_reads_the_mean_embedding() -> None:
    network = LinearClassifier(encoder(), 3, dropout=0.5).eval()
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(network(images), network.head(network.encoder.embed(images)[1]))
    network.train()
    torch.manual_seed(0)
    assert not torch.equal(network(images), network(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"classes": 0}, "classes must be at least 1, got 0"), ({"classes": 1, "dropout": 1.0}, r"in \[0, 1\), got 1.0")],
)
def test_ill_arguments_of_the_classifier(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinearClassifier(encoder(), **arguments)


def moment(images: Tensor) -> Tensor:
    """Something that depends on where things lie: the mean column of the brightness."""
    columns = torch.arange(images.shape[-1], dtype=images.dtype)
    return (images * columns).mean((2, 3))


def test_the_answer_is_the_mean_over_corners_centre_and_their_mirrors() -> None:
    images = torch.rand(3, 1, 10, 13)
    crops = [images[..., r : r + 8, c : c + 6] for r, c in ((0, 0), (0, 7), (2, 0), (2, 7), (1, 3))]
    plain = torch.stack([moment(crop) for crop in crops]).mean(0)
    mirrored = torch.stack([moment(crop.flip(-1)) for crop in crops]).mean(0)
    assert torch.allclose(CropsInferer((8, 6), mirrored=False)(images, moment), plain)
    assert torch.allclose(CropsInferer((8, 6))(images, moment), (plain + mirrored) / 2)


def test_an_image_as_large_as_a_crop_is_one() -> None:
    images = torch.rand(2, 1, 8, 8)
    assert torch.allclose(CropsInferer(8, mirrored=False)(images, moment), moment(images))


def test_ill_sizes_of_crops() -> None:
    with pytest.raises(ValueError, match="size must be positive, got 0"):
        CropsInferer(0)
    with pytest.raises(ValueError, match="the images are 8 x 8 px, smaller than the crops of 9 x 9; load them larger"):
        CropsInferer(9)(torch.rand(1, 1, 8, 8), moment)

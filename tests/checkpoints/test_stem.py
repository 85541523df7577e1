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
import torch.nn.functional as F

from monai_lamps.checkpoints import fold_padded_stem, fold_stem

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(8, 3, 4, 4, generator=generator), torch.randn(8, generator=generator)
    return weight.double(), bias.double(), torch.rand(2, 1, 16, 16, generator=generator).double()


def normalised(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    shape = (1, -1, 1, 1)
    return (images - torch.tensor(mean, dtype=torch.float64).reshape(shape)) / torch.tensor(
        std, dtype=torch.float64
    ).reshape(shape)


@pytest.mark.parametrize("stats", [((0.5056,), (0.252,)), IMAGENET, ((0.5056, 0.5056, 0.5056), (0.252, 0.252, 0.252))])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_folded_patch_embedding_gives_what_three_equal_channels_give(
    stats: tuple[tuple[float, ...], tuple[float, ...]], channels: int
) -> None:
    weight, bias, images = drawn()
    expected = F.conv2d(normalised(images.expand(-1, 3, -1, -1), *stats), weight, bias, stride=4)
    folded = fold_stem(weight, bias, *stats, mean=0.4, std=0.3, in_channels=channels)
    got = F.conv2d(normalised(images.expand(-1, channels, -1, -1), (0.4,), (0.3,)), *folded, stride=4)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_one_normalisation_for_all_channels_is_a_plain_sum_and_leaves_the_bias_bit_for_bit() -> None:
    weight, bias, _ = drawn()
    weight, bias = weight.float(), bias.float()
    folded, same = fold_stem(weight, bias, (0.5056,), (0.252,), mean=0.5056, std=0.252)
    assert folded.dtype == torch.float32
    assert folded.shape == (8, 1, 4, 4)
    torch.testing.assert_close(folded, weight.sum(dim=1, keepdim=True), rtol=0, atol=1e-6)
    assert torch.equal(same, bias)
    assert torch.equal(fold_stem(weight, bias, (0.5056,), (0.252,), 0.5056, 0.252, in_channels=3)[0], weight)


def test_channels_that_do_not_fold_exactly_are_refused() -> None:
    weight, bias, _ = drawn()
    with pytest.raises(
        ValueError, match=r"take 3 channels, which fold into 1 exactly but not into 2; use in_channels=1"
    ):
        fold_stem(weight, bias, (0.5,), (0.25,), 0.5, 0.25, in_channels=2)


def test_another_number_of_means_than_channels_is_refused() -> None:
    weight, bias, _ = drawn()
    with pytest.raises(ValueError, match="expected one mean and deviation, or one for each of 3 channels, got 2 and 1"):
        fold_stem(weight, bias, (0.5, 0.5), (0.25,), 0.5, 0.25)


@pytest.mark.parametrize("stats", [((0.5056,), (0.252,)), IMAGENET])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_convolution_that_pads_with_zeros_is_folded_exactly_the_border_included(
    stats: tuple[tuple[float, ...], tuple[float, ...]], channels: int
) -> None:
    weight, _, images = drawn()
    expected = F.conv2d(normalised(images.expand(-1, 3, -1, -1), *stats), weight, stride=2, padding=3)
    folded = fold_padded_stem(weight, *stats, mean=0.4, std=0.3, in_channels=channels)
    given = normalised(images.expand(-1, channels, -1, -1), (0.4,), (0.3,))
    got = F.conv2d(torch.cat([given, torch.ones_like(images)], dim=1), folded, stride=2, padding=3)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_one_normalisation_for_all_channels_needs_no_constant() -> None:
    weight = drawn()[0].float()
    folded = fold_padded_stem(weight, (0.5056,), (0.252,), mean=0.5056, std=0.252)
    assert folded.dtype == torch.float32
    assert folded.shape == (8, 2, 4, 4)
    assert torch.equal(folded[:, 1], torch.zeros(8, 4, 4))

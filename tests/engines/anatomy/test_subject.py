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
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from monai_lamps.engines.anatomy import EncoderMaps, NetworkMaps, Subject
from monai_lamps.engines.anatomy.patches import cut_patch, parts_of
from monai_lamps.engines.anatomy.places import Place, random_places
from monai_lamps.networks import build_encoder


def _images(count: int = 3, side: int = 32) -> Tensor:
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_mean_of_an_encoders_map_is_its_embedding() -> None:
    encoder = build_encoder("resnet18", stride=8, base_channels=4).eval()
    subject = Subject("ours", EncoderMaps(encoder, {"mean": 0.4, "std": 0.2}), batch_size=2)
    images = _images()
    torch.testing.assert_close(subject.embed(images), encoder((images - 0.4) / 0.2))
    maps = subject.maps(images)
    assert maps.shape == (3, encoder.embed_dim, 4, 4)
    torch.testing.assert_close(maps.flatten(2).mean(-1), subject.embed(images))


@torch.no_grad()
def test_a_finer_level_can_be_compared_place_by_place() -> None:
    encoder = build_encoder("resnet18", stride=8, base_channels=4).eval()
    plain = {"mean": 0.0, "std": 1.0}
    subject = Subject("ours", EncoderMaps(encoder, plain), EncoderMaps(encoder, plain, levels=(0,)))
    assert subject.maps(_images()).shape == (3, 4, 32, 32)
    torch.testing.assert_close(subject.embed(_images()), encoder(_images()))


@torch.no_grad()
def test_maps_of_any_network_are_those_of_its_layer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    maps = NetworkMaps(network, "0", mean=0.5, std=0.25, in_channels=3)
    torch.testing.assert_close(maps(_images()), network[0](((_images() - 0.5) / 0.25).repeat(1, 3, 1, 1)))
    with pytest.raises(ValueError, match="layer got 'features', which the network lacks; it has 0, 1, 2"):
        NetworkMaps(network, "features")
    with pytest.raises(ValueError, match=r"output of layer '' is \(3, 5\), expected feature maps"):
        NetworkMaps(network, in_channels=3)(_images())


def test_of_several_maps_the_last_is_taken() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            return x, [x, 2 * x]

    assert torch.equal(NetworkMaps(Two())(_images()), 2 * _images())


def test_centering_takes_the_mean_feature_off() -> None:
    def maps(images: Tensor) -> Tensor:
        return torch.cat([images + 5, 2 * images - 3], 1)

    images = _images()
    patches = images[..., :16, :16]
    subject = Subject("shifted", maps, decompose=lambda whole: whole).centered(images, patches)
    centered = subject.maps(images)
    torch.testing.assert_close(centered.mean((0, 2, 3)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(centered[:, 0], images[:, 0] - images.mean())
    torch.testing.assert_close(subject.embed(patches).mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    assert not torch.allclose(subject.embed(images).mean(0), torch.zeros(2), atol=1e-6)
    assert (subject.name, subject.decompose) == ("shifted", None)


def test_features_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"encoder 'flat' gave \(3, 1024\) for images \(3, 1, 32, 32\)"):
        Subject("flat", lambda images: images.flatten(1)).embed(_images())
    with pytest.raises(ValueError, match="encoder 'broken' gave NaN or infinite features"):
        Subject("broken", lambda images: images / 0).maps(_images())


def test_a_patch_has_its_point_in_the_middle_even_at_the_border() -> None:
    image = torch.zeros(1, 64, 64)
    image[:, 32, 16] = 1
    patch = cut_patch(image, (32.5 / 64, 16.5 / 64), 17 / 64, 17)
    assert patch[0].argmax() == 8 * 17 + 8
    ramp = torch.arange(64.0).expand(1, 64, 64)
    corner = cut_patch(ramp, (0.0, 0.0), 0.25, 16)
    assert corner.shape == (1, 16, 16)
    assert torch.equal(corner[0, 0], torch.tensor([0.0] * 8 + list(range(8))))


@given(side=st.integers(2, 20), count=st.sampled_from([2, 3, 4]))
def test_parts_cover_the_patch_and_do_not_overlap(side: int, count: int) -> None:
    patch = torch.arange(side * side).reshape(1, side, side)
    parts = parts_of(patch, count)
    assert len(parts) == count
    assert sorted(torch.cat([part.flatten() for part in parts]).tolist()) == list(range(side * side))


def test_other_numbers_of_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="2, 3 or 4 parts, got 5"):
        parts_of(torch.zeros(1, 4, 4), 5)


@given(low=st.floats(0.05, 0.5), width=st.floats(0, 0.4), seed=st.integers(0, 5))
def test_random_patches_lie_inside_and_do_not_depend_on_how_many_images_there_are(
    low: float, width: float, seed: int
) -> None:
    places = random_places(3, 2, (low, low + width), seed)
    assert places[:4] == random_places(2, 2, (low, low + width), seed)
    for place in places:
        assert low - 1e-9 <= place.share <= low + width + 1e-9
        assert all(place.share / 2 - 1e-9 <= value <= 1 - place.share / 2 + 1e-9 for value in place.centre)
    assert [place.case for place in places] == [0, 0, 1, 1, 2, 2]
    assert isinstance(places[0], Place)


@pytest.mark.parametrize(("count", "shares"), [(0, (0.2, 0.3)), (1, (0.0, 0.3)), (1, (0.4, 0.3)), (1, (0.4, 1.0))])
def test_impossible_places_are_refused(count: int, shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected 1 or more, 0 < low <= high < 1"):
        random_places(2, count, shares, 0)

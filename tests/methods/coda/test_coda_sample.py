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

from monai_lamps.data import RadiographDataset
from monai_lamps.methods.coda import RandCodaViewsd, coda_curriculum

BOTH, INTER, INTRA = coda_curriculum(), coda_curriculum(intra=0.0), coda_curriculum(inter=0.0)


def _coordinates(*sides: int) -> torch.Tensor:
    """An image whose channels are its own coordinates at the centres of the pixels."""
    return torch.stack(torch.meshgrid(*(torch.arange(side) + 0.5 for side in sides), indexing="ij"))


def _shares(views: torch.Tensor, whole: float) -> torch.Tensor:
    """Share of the image's area in each view of its coordinates, (V,)."""
    extent = views.flatten(2).amax(2) - views.flatten(2).amin(2)
    return extent.prod(1) / whole


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), dims=st.sampled_from([2, 3]))
def test_views_are_a_function_of_the_seed(seed: int, dims: int) -> None:
    transform = RandCodaViewsd("image", BOTH, size=4, local_size=3, local_views=5)
    data = {"image": torch.rand(1, *(17, 20, 16)[:dims]), "organ": "hand"}
    first, second = (transform.set_random_state(seed)(data) for _ in range(2))
    assert first["wholes"].shape == (2, 1, *(4,) * dims)
    assert first["locals"].shape == (5, 1, *(3,) * dims)
    assert all(torch.equal(first[key], second[key]) for key in ("wholes", "locals"))
    assert first["image"] is data["image"]
    assert first["organ"] == "hand"


def test_local_views_have_the_published_share_of_the_area_and_wholes_nearly_all() -> None:
    transform = RandCodaViewsd("image", BOTH, size=64, local_size=32).set_random_state(0)
    image, wholes, local = _coordinates(240, 200), [], []
    for _ in range(20):
        sample = transform({"image": image})
        wholes.append(_shares(sample["wholes"], 240 * 200))
        local.append(_shares(sample["locals"], 240 * 200))
    found, parts = torch.cat(wholes), torch.cat(local)
    assert (len(found), len(parts)) == (40, 240)
    assert 0.72 < float(found.min()) < 0.85
    assert 0.92 < float(found.max()) <= 1
    assert 0.34 < float(parts.min()) < 0.42
    assert 0.62 < float(parts.max()) < 0.72


@pytest.mark.parametrize(
    ("curriculum", "expected"),
    [(INTER, {"wholes": 2}), (INTRA, {"wholes": 1, "locals": 12}), (BOTH, {"wholes": 2, "locals": 12})],
)
def test_only_views_that_an_objective_needs_are_made(curriculum: object, expected: dict[str, int]) -> None:
    sample = RandCodaViewsd("image", curriculum, size=4, local_size=4)({"image": torch.rand(1, 16, 16)})
    assert {key: len(sample[key]) for key in ("wholes", "locals") if key in sample} == expected


def test_the_dataset_keys_the_views_by_epoch_image_and_lap() -> None:
    transform = RandCodaViewsd("image", BOTH, size=4, local_size=4, local_views=1)
    dataset = RadiographDataset([{"image": torch.rand(1, 16, 16)}], [transform], seed=1)
    same, again, lap, epoch = (dataset[key]["locals"] for key in ((0, 0, 0), (0, 0), (0, 0, 1), (1, 0, 0)))
    assert torch.equal(same, again)
    assert not torch.equal(same, lap)
    assert not torch.equal(same, epoch)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": ["a", "b"]}, r"keys got \('a', 'b'\), expected one: a sample has one radiograph"),
        ({"local_views": 0}, "local_views must be a whole number from 1 to 62, got 0"),
        ({"local_views": 63}, "local_views must be a whole number from 1 to 62, got 63"),
        ({"local_scale": (0.7, 0.4)}, "scale must be shares"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandCodaViewsd(**{"keys": "image", "curriculum": BOTH, **arguments})

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
from monai_lamps.methods.adam_v2 import OBJECTIVES, RandAdamV2Viewsd, adam_v2_curriculum
from monai_lamps.methods.adam_v2.curriculum import stage_at, stages_of

STAGES = adam_v2_curriculum([0, 1], [1, 1], [2, 1])


def coordinates(*sides: int) -> torch.Tensor:
    """An image whose channels are its own coordinates at the centres of the pixels."""
    return torch.stack(torch.meshgrid(*(torch.arange(side) + 0.5 for side in sides), indexing="ij"))


def extent(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest and largest coordinate in each view (V, C, ...), (V, C)."""
    return views.flatten(2).amin(2), views.flatten(2).amax(2)


def test_the_published_stages() -> None:
    curriculum = adam_v2_curriculum()
    assert stages_of(curriculum) == [(0, False), (1, False), (2, False), (0, True), (1, True), (2, True)]
    assert [phase.length for phase in curriculum.phases] == [200, 200, 100, 10, 90, 165]
    assert dict(curriculum.phases[2].weights) == {"localizability": 1.0}
    assert dict(curriculum.phases[3].weights) == OBJECTIVES
    found = [stage_at(curriculum, epoch) for epoch in (0, 199, 200, 499, 500, 764, 10000)]
    assert found == [(0, False), (0, False), (1, False), (2, False), (0, True), (2, True), (2, True)]


def test_stages_can_be_left_out_and_weighted() -> None:
    curriculum = adam_v2_curriculum([0, 2], [0, 0], [0, 3], weights={"composability": 0.5, "localizability": 0.0})
    assert stages_of(curriculum) == [(2, True)]
    assert curriculum.objectives == ("composability", "decomposability")
    alone = adam_v2_curriculum([0], [1], [0], weights={"localizability": 0.0})
    assert dict(alone.phases[0].weights) == {"localizability": 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"granularities": [0, -1, 2]}, r"granularities got -1, expected whole numbers >= 0"),
        ({"granularities": [0, 1.0, 2]}, r"granularities got 1\.0, expected whole numbers >= 0"),
        ({"warm_up": [1, 2]}, r"warm_up got \[1, 2\], expected 3 lengths, one a granularity"),
        ({"joint": [1]}, r"joint got \[1\], expected 3 lengths"),
        ({"warm_up": [0, 0, 0], "joint": [0, 0, 0]}, "leave no epoch; expected at least one length above 0"),
        ({"weights": {"contrast": 1.0}}, r"unknown objectives \['contrast'\]; Adam-v2 has \['localizability', 'comp"),
    ],
)
def test_impossible_stages_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adam_v2_curriculum(**arguments)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 6), dims=st.sampled_from([2, 3]))
def test_views_are_a_function_of_the_seed_and_their_kind_of_the_epoch(seed: int, epoch: int, dims: int) -> None:
    transform = RandAdamV2Viewsd("image", STAGES, size=4, local_size=3, local_views=2)
    data = {"image": torch.rand(1, *(17, 20, 16)[:dims]), "epoch": epoch}
    first, second = (transform.set_random_state(seed)(data) for _ in range(2))
    joint = epoch >= 2
    expected = {"globals": (1 if joint else 2, 1, *(4,) * dims), "locals": (2, 1, *(3,) * dims)}
    if joint:
        expected |= {"whole": (1, *(4,) * dims), "parts": (2**dims, 1, *(4,) * dims)}
    assert {key: tuple(first[key].shape) for key in first.keys() - {"image", "epoch", "granularity"}} == expected
    assert all(torch.equal(first[key], second[key]) for key in expected)
    assert first["granularity"] == {0: 0, 1: 1, 2: 0, 3: 0}.get(epoch, 1)
    assert first["image"] is data["image"]


def test_views_of_the_warm_up_lie_in_one_square_at_any_place() -> None:
    transform = RandAdamV2Viewsd("image", adam_v2_curriculum([1], [1], [0]), size=16, local_size=8).set_random_state(0)
    image, places = coordinates(64, 96), []
    for _ in range(60):
        sample = transform({"image": image, "epoch": 0})
        extents = [extent(sample[key]) for key in ("globals", "locals")]
        low = torch.cat([lows for lows, _ in extents]).amin(0)
        high = torch.cat([highs for _, highs in extents]).amax(0)
        assert ((high - low) < 32).all()  # half of the shorter side, along both axes
        places.append(low)
        lows, highs = extents[1]
        assert ((highs - lows).prod(1) / 32**2 < 0.42).all()
    spread = torch.stack(places)
    assert (spread.amin(0) < 6).all()
    assert (spread.amax(0) > torch.tensor([25.0, 55.0])).all()


def test_joint_views_are_nested_about_the_centre_of_the_whole_and_the_parts_tile_it() -> None:
    transform = RandAdamV2Viewsd("image", adam_v2_curriculum([1], [0], [1]), size=32, local_size=16).set_random_state(0)
    starts = []
    for _ in range(40):
        sample = transform({"image": coordinates(200, 160), "epoch": 0})
        low, high = (edge[0] for edge in extent(sample["whole"][None]))
        starts.append(low)
        torch.testing.assert_close(high - low, torch.tensor([100.0, 80.0]), rtol=0, atol=4)
        for key in ("globals", "locals"):
            lows, highs = extent(sample[key])
            middle = (low + high) / 2
            torch.testing.assert_close((lows + highs) / 2, middle.expand(len(lows), 2), rtol=0, atol=1.1)
        assert ((highs - lows).prod(1).diff() > 0).all()  # the local views, from small to large
        lows, highs = extent(sample["parts"])
        before = (lows + highs) / 2 < (low + high) / 2
        assert before.tolist() == [[True, True], [False, True], [True, False], [False, False]]  # last axis slowest
        assert ((highs - lows) < torch.tensor([51.0, 41.0])).all()
    spread = torch.stack(starts)
    assert (spread.amin(0) >= torch.tensor([10.0, 8.0])).all()  # 5 % of the sides stay free
    assert (spread.amax(0) <= torch.tensor([94.0, 76.0])).all()
    assert (spread.amax(0) - spread.amin(0) > 40).all()


def test_the_whole_of_granularity_0_is_the_image() -> None:
    transform = RandAdamV2Viewsd("image", STAGES, size=16, local_size=8).set_random_state(0)
    low, high = extent(transform({"image": coordinates(48, 32), "epoch": 2})["whole"][None])
    torch.testing.assert_close(low[0], torch.full((2,), 0.5), rtol=0, atol=1.5)
    torch.testing.assert_close(high[0], torch.tensor([47.5, 31.5]), rtol=0, atol=1.5)


def test_an_item_without_an_epoch_is_joint_of_any_granularity() -> None:
    transform = RandAdamV2Viewsd("image", STAGES, size=4, local_size=4, local_views=1).set_random_state(0)
    samples = [transform({"image": torch.rand(1, 16, 16)}) for _ in range(40)]
    assert all("whole" in sample for sample in samples)
    drawn = [int(sample["granularity"]) for sample in samples]
    assert min(drawn.count(0), drawn.count(1)) > 8
    alone = RandAdamV2Viewsd("image", adam_v2_curriculum([1], [1], [0]), size=4, local_size=4)
    assert "whole" not in alone({"image": torch.rand(1, 16, 16)})


def test_the_dataset_hands_the_epoch_to_the_views() -> None:
    transform = RandAdamV2Viewsd("image", STAGES, size=4, local_size=4, local_views=1)
    dataset = RadiographDataset([{"image": torch.rand(1, 16, 16)}], [transform], seed=1)
    found = [(int(dataset[epoch, 0]["granularity"]), "parts" in dataset[epoch, 0]) for epoch in range(6)]
    assert found == [(0, False), (1, False), (0, True), (0, True), (1, True), (1, True)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": ["a", "b"]}, r"keys got \('a', 'b'\), expected one: a sample has one radiograph"),
        ({"margin": 0.5}, r"margin must be a share of the side in \[0, 0\.5\), got 0\.5"),
        ({"local_views": 0}, "count must be a whole number of crops from 1 to 15, got 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandAdamV2Viewsd(**{"keys": "image", "curriculum": STAGES, **arguments})


def test_an_image_that_is_too_small_is_refused() -> None:
    transform = RandAdamV2Viewsd("image", adam_v2_curriculum([3], [1], [0]), size=4, local_size=4)
    with pytest.raises(ValueError, match=r"an image of \(12, 40\) px is too small for regions of granularity 3; give"):
        transform({"image": torch.rand(1, 12, 40), "epoch": 0})

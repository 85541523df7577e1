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
from monai_lamps.methods.adam import AnatomyPartsd, RandAdamViewsd, adam_curriculum
from monai_lamps.transforms import decomposition_boxes

STAGES = adam_curriculum([0, 2, 4], 2)


def _ramp(*sides: int) -> torch.Tensor:
    """An image whose value tells the place: (row + column / 1000) / (rows + 1)."""
    axes = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in sides), indexing="ij")
    return sum(axis / 1000**i for i, axis in enumerate(axes))[None] / (sides[0] + 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 7), dims=st.sampled_from([2, 3]))
def test_views_are_a_function_of_the_seed_and_their_granularity_of_the_epoch(seed: int, epoch: int, dims: int) -> None:
    transform = RandAdamViewsd("image", adam_curriculum([0, dims, 2 * dims], 2), size=4)
    data = {"image": torch.rand(1, *(39, 44, 36)[:dims]), "epoch": epoch}
    first, second = (transform.set_random_state(seed)(data) for _ in range(2))
    assert first["views"].shape == (2, 1, *(4,) * dims)
    assert first["granularity"] == dims * min(epoch // 2, 2)
    assert torch.equal(first["views"], second["views"])
    assert first["image"] is data["image"]


def test_the_two_views_of_a_part_differ() -> None:
    transform, image = RandAdamViewsd("image", STAGES, size=4).set_random_state(0), torch.rand(1, 64, 64)
    pairs = [transform({"image": image, "epoch": 0})["views"] for _ in range(20)]
    assert not any(torch.equal(first, second) for first, second in pairs)


def test_both_views_lie_in_one_part_and_every_part_is_drawn() -> None:
    image = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij"))  # its own coordinates
    boxes = torch.as_tensor(decomposition_boxes((64, 48), 4))
    transform = RandAdamViewsd("image", STAGES, size=8).set_random_state(0)
    seen = set()
    for _ in range(150):
        views = transform({"image": image, "epoch": 5})["views"]
        low, high = views.amin((0, 2, 3)), views.amax((0, 2, 3))
        inside = ((low > boxes[:, :, 0] - 0.01) & (high < boxes[:, :, 1] - 0.99)).all(1).nonzero()
        assert len(inside) == 1
        seen.add(int(inside))
    assert seen == set(range(16))


def test_an_item_without_an_epoch_takes_any_stage() -> None:
    transform = RandAdamViewsd("image", STAGES, size=4).set_random_state(0)
    drawn = [int(transform({"image": torch.rand(1, 16, 16)})["granularity"]) for _ in range(60)]
    assert {level: drawn.count(level) > 8 for level in set(drawn)} == {0: True, 2: True, 4: True}


def test_the_dataset_hands_the_epoch_to_the_views() -> None:
    dataset = RadiographDataset([{"image": torch.rand(1, 16, 16)}], [RandAdamViewsd("image", STAGES, size=4)], seed=1)
    assert [int(dataset[epoch, 0]["granularity"]) for epoch in range(6)] == [0, 0, 2, 2, 4, 4]
    assert sorted(dataset[3, 0]) == ["granularity", "image", "index", "seed", "views"]
    assert torch.equal(dataset[3, 0]["views"], dataset[3, 0]["views"])


def test_parts_are_all_parts_in_the_order_of_the_tree() -> None:
    image = _ramp(16, 32)
    parts = AnatomyPartsd("image", level=2, size=8)({"image": image})["parts"]
    assert parts.shape == (4, 1, 8, 8)
    means = [
        image[0, top:bottom, left:right].mean() for (top, bottom), (left, right) in decomposition_boxes((16, 32), 2)
    ]
    torch.testing.assert_close(parts.mean((1, 2, 3)), torch.stack(means), atol=1e-4, rtol=0)


def test_several_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"keys got \('image', 'mask'\), expected one: a sample has one radiograph"):
        RandAdamViewsd(["image", "mask"], STAGES)


def test_an_image_too_small_for_its_granularity_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(3, 20\) has no 16 parts"):
        RandAdamViewsd("image", STAGES, size=4)({"image": torch.rand(1, 3, 20), "epoch": 5})

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

from collections import Counter

import pytest
import torch
from monai.data import MetaTensor

from monai_lamps.transforms import (
    AnatomyDecompose,
    RandAnatomyDecompose,
    RandAnatomyDecomposed,
    decomposition_boxes,
)


def test_the_part_drawn_is_the_part_of_the_decomposition() -> None:
    image = torch.rand(1, 9, 14)
    transform, parts = RandAnatomyDecompose(3).set_random_state(0), AnatomyDecompose(3)(image)
    for _ in range(10):
        part = transform(image)
        level, index = transform.part
        assert level == 3
        assert torch.equal(part, parts[index])
        assert transform.box.tolist() == decomposition_boxes((9, 14), 3)[index].tolist()


def test_all_parts_are_equally_likely() -> None:
    transform, seen = RandAnatomyDecompose(2).set_random_state(0), Counter()
    for _ in range(4000):
        transform.randomize()
        seen[transform.part] += 1
    assert set(seen) == {(2, index) for index in range(4)}
    assert all(abs(count - 1000) < 110 for count in seen.values())  # four standard deviations


def test_the_level_may_be_set_between_two_draws() -> None:
    transform, image = RandAnatomyDecompose(0).set_random_state(0), torch.rand(1, 16, 16)
    sides = []
    for level in (0, 2, 4):
        transform.level = level
        sides.append(tuple(transform(image).shape[1:]))
    assert sides == [(16, 16), (8, 8), (4, 4)]


def test_one_seed_gives_one_part_and_randomize_false_repeats_it_in_any_image() -> None:
    image = torch.rand(1, 32, 32)
    first, second = (RandAnatomyDecompose(4).set_random_state(3) for _ in range(2))
    part = first(image)
    assert torch.equal(part, second(image))
    first.level = 0  # what was drawn is repeated whatever the level is now
    assert torch.equal(part, first(image, randomize=False))
    assert first(torch.rand(1, 64, 96), randomize=False).shape == (1, 16, 24)
    assert first.part == second.part
    first.level = 4
    assert torch.equal(part, first.set_random_state(3)(image))


def test_a_part_of_a_volume_and_of_a_metatensor() -> None:
    image = MetaTensor(torch.rand(1, 8, 8, 8), affine=torch.eye(4))
    transform = RandAnatomyDecompose(3).set_random_state(1)
    part = transform(image)
    assert part.shape == (1, 4, 4, 4)
    assert part.affine[:3, 3].tolist() == transform.box[:, 0].tolist()


def test_the_dictionary_form_gives_all_keys_the_same_part_and_their_boxes() -> None:
    image = torch.rand(1, 16, 16)
    transform = RandAnatomyDecomposed(["image", "label"], level=4).set_random_state(5)
    out = transform({"image": image, "label": image[:, ::2, ::2], "name": "a"})
    assert out["name"] == "a"
    assert torch.equal(out["label"], out["image"][:, ::2, ::2])
    assert torch.equal(out["image_part_box"], 2 * out["label_part_box"])
    (top, bottom), (left, right) = out["image_part_box"].tolist()
    assert torch.equal(out["image"], image[:, top:bottom, left:right])
    again = RandAnatomyDecomposed("image", level=4, postfix="where").set_random_state(5)({"image": image})
    assert torch.equal(again["image_where"], out["image_part_box"])


def test_a_box_that_was_handed_out_stays_as_it_was() -> None:
    transform = RandAnatomyDecomposed("image", level=2).set_random_state(0)
    boxes = [transform({"image": torch.rand(1, 8, 8)})["image_part_box"] for _ in range(20)]
    assert len({tuple(box.flatten().tolist()) for box in boxes}) == 4


def test_absent_keys_are_skipped_when_allowed() -> None:
    transform = RandAnatomyDecomposed(["image", "label"], level=1, allow_missing_keys=True)
    assert set(transform({"image": torch.rand(1, 4, 4)})) == {"image", "image_part_box"}


def test_wrong_levels_and_repeating_before_a_draw_are_refused() -> None:
    with pytest.raises(ValueError, match=r"level must be a whole number >= 0 .* got -1"):
        RandAnatomyDecompose(-1)
    transform = RandAnatomyDecompose(1)
    with pytest.raises(RuntimeError, match="no part has been drawn yet"):
        transform(torch.rand(1, 4, 4), randomize=False)
    transform.level = -3
    with pytest.raises(ValueError, match=r"level must be a whole number >= 0 .* got -3"):
        transform(torch.rand(1, 4, 4))
    with pytest.raises(ValueError, match=r"at least \(4, 4\) px are needed"):
        RandAnatomyDecompose(4)(torch.rand(1, 8, 2))

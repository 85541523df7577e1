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
import torch
from monai.transforms import Compose, EnsureTyped, Lambdad, RandGaussianNoised

from monai_lamps.bundle import Remembered
from monai_lamps.data import RadiographDataset


class Load:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        return {**item, "image": torch.full((1, 4, 4), float(item["image"]))}


def test_an_item_is_computed_once() -> None:
    load = Load()
    remembered = Remembered([load])
    first, again = remembered({"image": "3"}), remembered({"image": "3"})
    assert load.calls == 1
    assert torch.equal(first["image"], again["image"])
    assert float(remembered({"image": "4"})["image"].mean()) == 4


@pytest.mark.parametrize(("memory_gb", "calls"), [(0, 4), (64e-9, 3), (128e-9, 2)])
def test_what_does_not_fit_is_computed_each_time(memory_gb: float, calls: int) -> None:
    load = Load()  # 64 bytes an image
    remembered = Remembered([load], memory_gb=memory_gb)
    for name in ("3", "4", "3", "4"):
        assert float(remembered({"image": name})["image"].mean()) == float(name)
    assert load.calls == calls


def test_an_array_in_memory_is_not_remembered() -> None:
    load = Load()
    remembered = Remembered([load])
    for _ in range(2):
        remembered({"image": torch.tensor(2.0)})
    assert load.calls == 2


def test_random_transforms_behind_draw_the_same_whether_remembered_or_not() -> None:
    items = [{"image": str(number)} for number in range(3)]
    drawn = []
    for memory in (1.0, 0.0):
        last = EnsureTyped("image", track_meta=False)
        noise = RandGaussianNoised("image", prob=1.0)
        dataset = RadiographDataset(items, Compose([Remembered([Load(), last], memory), noise]), seed=2)
        drawn.append(torch.stack([torch.as_tensor(dataset[(e, i)]["image"]) for e in range(3) for i in range(3)]))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0][0], drawn[0][3])


def test_what_is_changed_afterwards_is_not_remembered() -> None:
    remembered = Remembered([Load()])
    remembered({"image": "3"})["label"] = 1
    assert "label" not in remembered({"image": "3"})


def test_random_transforms_are_refused() -> None:
    with pytest.raises(ValueError, match="RandGaussianNoised draws at random"):
        Remembered([Compose([Lambdad("image", lambda x: x), RandGaussianNoised("image")])])
    with pytest.raises(ValueError, match="memory_gb got -1"):
        Remembered([], memory_gb=-1)

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

from monai_lamps.data import draw_thorax
from monai_lamps.transforms import RandLesionTruthD, RandLesionTruthd, RandLesionTruthDict


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.from_numpy(draw_thorax(0, 64, 0))


def test_an_image_that_asks_for_lesions_gets_them_and_the_mask_says_where(image: torch.Tensor) -> None:
    draw = RandLesionTruthd("mask").set_random_state(seed=3)
    found = draw({"image": image, "lesioned": True, "name": "a"})
    assert set(found) == {"image", "mask", "annotated", "name"}
    assert found["annotated"].tolist() == [True]
    changed = (found["image"] != image).any(dim=0)
    assert changed.any()
    assert (found["mask"][0][changed] > 0).all()
    assert found["mask"].max() > 0.5


def test_an_image_that_asks_for_none_stays_as_it_is(image: torch.Tensor) -> None:
    found = RandLesionTruthd("mask")({"image": image, "lesioned": False})
    assert torch.equal(found["image"], image)
    assert (found["mask"].shape, float(found["mask"].sum())) == ((1, 64, 64), 0)
    assert found["annotated"].tolist() == [True]


def test_the_seed_decides(image: torch.Tensor) -> None:
    draw = RandLesionTruthd("mask")
    first, again, other = (draw.set_random_state(seed=s)({"image": image, "lesioned": True}) for s in (1, 1, 2))
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="keys must be one key, where the mask goes"):
        RandLesionTruthd(["a", "b"])
    assert RandLesionTruthD is RandLesionTruthDict is RandLesionTruthd

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

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from monai_lamps.checkpoints import build_network, save_network_card
from monai_lamps.explanations import AnatomyExplainer, CannotExplainError, anatomy_explainer
from monai_lamps.networks import Encoder
from monai_lamps.tasks import Segmentation

MEAN, STD = 0.4, 0.2
NAMES = ["lungs", "heart"]


class Dots(Encoder):
    """An encoder that is only there because a task has one."""

    def __init__(self) -> None:
        super().__init__(spatial_dims=2, in_channels=1, strides=(8,), channels=(1,), config={"name": "dots"})

    @classmethod
    def levels(cls, name: str, **kwargs: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (8,), (1,)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [nn.functional.avg_pool2d(x, 8)]


class Bright(nn.Module):
    """Lungs are what is brighter than 0.5 of [0, 1], the heart is what is darker; it keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Dots()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.shown = images * 0.25 + 0.5
        above = 40 * (self.shown - 0.5)
        return torch.cat([above, -above], dim=1)


@pytest.fixture
def segmentation() -> Segmentation:
    return Segmentation(Bright(), NAMES, mean=0.5, std=0.25)


@pytest.fixture
def images() -> torch.Tensor:
    """Two images in [0, 1], 0.1 with a square of 16 px and 0.9 at different places."""
    made = torch.full((2, 1, 32, 32), 0.1)
    made[0, :, :16, 16:] = made[1, :, 8:24, 8:24] = 0.9
    return made


@pytest.mark.parametrize("size", [16, 32, 64])
def test_the_network_sees_the_image_in_its_own_size_and_normalisation(
    size: int, segmentation: Segmentation, images: torch.Tensor
) -> None:
    maps = AnatomyExplainer(segmentation, size, "lungs", MEAN, STD)(nn.Identity(), (images - MEAN) / STD, 0)
    shown = segmentation.network.shown
    assert shown.shape == (2, 1, size, size)
    assert (float(shown.min()), float(shown.max())) == pytest.approx((0.1, 0.9), abs=1e-5)
    assert shown.mean(dim=(1, 2, 3)).tolist() == pytest.approx(images.mean(dim=(1, 2, 3)).tolist(), abs=1e-5)
    assert maps.shape == images.shape
    assert maps.dtype == torch.float32
    assert maps.min() >= 0
    assert torch.equal(maps > 0.5, images > 0.5)


def test_the_map_is_the_largest_probability_of_the_chosen_structures(
    segmentation: Segmentation, images: torch.Tensor
) -> None:
    inputs = (images - MEAN) / STD
    found = {
        str(chosen): AnatomyExplainer(segmentation, 32, chosen, MEAN, STD)(nn.Identity(), inputs, 0)
        for chosen in (["lungs"], ["heart"], ["heart", "lungs"], None)
    }
    expected = segmentation.predict(images)
    assert torch.allclose(found["['lungs']"], expected[:, :1])
    assert torch.allclose(found["['heart']"], expected[:, 1:])
    assert torch.allclose(found["['heart', 'lungs']"], expected.amax(dim=1, keepdim=True))
    assert torch.equal(found["None"], found["['heart', 'lungs']"])


def test_neither_the_network_nor_the_class_is_asked(segmentation: Segmentation, images: torch.Tensor) -> None:
    class Silent(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    explain = AnatomyExplainer(segmentation, 32, None, MEAN, STD)
    assert torch.equal(explain(Silent(), images, 0), explain(nn.Identity(), images, 1))


def test_what_learns_is_not_led_astray(segmentation: Segmentation, images: torch.Tensor) -> None:
    segmentation.train()
    maps = AnatomyExplainer(segmentation, 32)(nn.Identity(), images.requires_grad_(), 0)
    assert not maps.requires_grad
    assert not segmentation.training


@pytest.mark.parametrize("wanted", ["liver", ["lungs", "liver"]], ids=str)
def test_a_structure_that_the_network_has_not_is_refused_with_those_it_has(
    wanted: Any, segmentation: Segmentation
) -> None:
    with pytest.raises(ValueError, match="anatomy_structures got 'liver', expected some of lungs, heart"):
        AnatomyExplainer(segmentation, 32, wanted)


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    card = {
        "task": "segmentation",
        "encoder": {"name": "resnet18", "stride": 8, "base_channels": 4},
        "network": {"kind": "segmenter", "name": "upernet", "out_channels": 2},
        "names": NAMES,
        "image_size": 64,
        "normalization": {"mean": 0.3, "std": 0.1},
    }
    save_network_card(tmp_path, card)
    torch.save({"network": build_network(card).state_dict()}, tmp_path / "best.pt")
    return tmp_path / "best.pt"


def test_a_file_is_read_with_what_its_card_says(network_file: Path, images: torch.Tensor) -> None:
    explain = anatomy_explainer(network_file, ["heart"], MEAN, STD)
    assert isinstance(explain, AnatomyExplainer)
    own = explain.segmentation
    assert (explain.image_size, own.mean, own.std, own.structures) == (64, 0.3, 0.1, ("lungs", "heart"))
    larger = nn.functional.interpolate(images, (64, 64), mode="bilinear", align_corners=False)
    expected = nn.functional.interpolate(own.predict(larger)[:, 1:], (32, 32), mode="area")
    assert torch.allclose(explain(nn.Identity(), (images - MEAN) / STD, 0), expected, atol=1e-5)


def test_a_file_of_another_task_is_refused(network_file: Path) -> None:
    card = {
        "task": "classification",
        "encoder": {"name": "resnet18", "stride": 8, "base_channels": 4},
        "network": {"kind": "linear_classifier", "classes": 2},
        "names": NAMES,
        "image_size": 64,
        "normalization": {"mean": 0.3, "std": 0.1},
    }
    save_network_card(network_file.parent, card)
    torch.save({"network": build_network(card).state_dict()}, network_file)
    with pytest.raises(ValueError, match=r"best\.pt', a network for classification, expected one for segmentation"):
        anatomy_explainer(network_file)
    with pytest.raises(FileNotFoundError, match=r"no network file at 'nowhere\.pt'"):
        anatomy_explainer("nowhere.pt")


def test_without_a_network_it_explains_nothing_and_says_why(images: torch.Tensor) -> None:
    with pytest.raises(CannotExplainError, match="segmentation network alone, and none was given"):
        anatomy_explainer("")(nn.Identity(), images, 0)
    with pytest.raises(ValueError, match=r"anatomy_structures got \['heart'\], but no anatomy_network knows them"):
        anatomy_explainer("", ["heart"])

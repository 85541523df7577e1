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

from monai_lamps.bundle import starting_encoder
from monai_lamps.checkpoints import save_encoder
from monai_lamps.networks import build_encoder

TINY: dict[str, Any] = {"stride": 8, "base_channels": 4}


def _file(path: Path, **kwargs: Any) -> Path:
    card = {"image_size": [32, 32], "normalization": {"mean": 0.4, "std": 0.3, "of": "images"}, "epochs": 5}
    return save_encoder(path, build_encoder("resnet18", **TINY, **kwargs), card)


def _weights(seed: int) -> torch.Tensor:
    encoder = starting_encoder("none", "resnet18", TINY, seed=seed).encoder
    return torch.cat([parameter.detach().flatten() for parameter in encoder.parameters()])


def test_random_weights_depend_on_the_seed_alone_and_leave_the_random_state() -> None:
    torch.manual_seed(5)
    first = _weights(1)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))
    assert torch.equal(first, _weights(1))
    assert not torch.equal(first, _weights(2))


def test_a_file_brings_its_weights_its_normalisation_and_its_origin(tmp_path: Path) -> None:
    start = starting_encoder(_file(tmp_path / "encoder.pt"), "swin_base", image_size=32)
    assert start.normalization == {"mean": 0.4, "std": 0.3}
    assert start.encoder.config["name"] == "resnet18"
    assert (start.source["encoder"], start.source["epochs"]) == ("encoder.pt", 5)
    saved = torch.load(tmp_path / "encoder.pt", weights_only=True)
    assert all(torch.equal(value, saved[name]) for name, value in start.encoder.state_dict().items())


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"in_channels": 3}, "takes 3 channels and 2-D images"), ({"spatial_dims": 3}, "takes 1 channels and 3-D images")],
)
def test_an_encoder_of_other_images_is_refused(tmp_path: Path, kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        starting_encoder(_file(tmp_path / "encoder.pt", **kwargs))


@pytest.mark.parametrize(("size", "mend"), [(36, "such as 32 or 40"), (4, "such as 8 or 16")])
def test_images_that_do_not_fit_the_encoder_are_refused(size: int, mend: str) -> None:
    with pytest.raises(ValueError, match=f"image_size got {size}, expected a multiple .* of 8 px, {mend}"):
        starting_encoder("none", "resnet18", TINY, image_size=size)


def test_a_name_is_no_file_and_options_of_released_weights_fit_only_these(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder got 'swin_tiny', the name of an architecture.*--architecture"):
        starting_encoder("swin_tiny")
    with pytest.raises(FileNotFoundError, match=r"no encoder file at 'nowhere.pt'"):
        starting_encoder("nowhere.pt")
    with pytest.raises(ValueError, match=r"released_args got .* is an encoder file of this package"):
        starting_encoder(_file(tmp_path / "encoder.pt"), released_args={"network": "student"})

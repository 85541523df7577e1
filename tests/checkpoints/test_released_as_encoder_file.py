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
"""What takes an encoder file takes released weights, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from monai_lamps.checkpoints import load_encoder, load_released_encoder, open_released_encoder, read_card, save_encoder
from monai_lamps.networks import build_encoder


@pytest.mark.parametrize("name", ["released.pth", "released.pt", "checkpoint.tar"])
def test_released_weights_load_as_an_encoder_file_under_any_name(released: Path, name: str) -> None:
    path = released.rename(released.with_name(name))
    encoder, (expected, _) = load_encoder(path), load_released_encoder(path)
    assert not encoder.training
    assert encoder.config == expected.config
    assert all(torch.equal(value, expected.state_dict()[key]) for key, value in encoder.state_dict().items())
    assert read_card(path) == open_released_encoder(path).card()


def test_a_stray_json_file_beside_released_weights_is_no_card(released: Path) -> None:
    released.with_suffix(".json").write_text("{}")
    assert read_card(released)["method"] == "lamps"


def test_an_encoder_file_without_its_card_is_not_taken_for_released_weights(tmp_path: Path) -> None:
    card = {"image_size": [32, 32], "normalization": {"mean": 0.5, "std": 0.25}}
    encoder = build_encoder("swin_tiny", embed_dim=8, depths=[1], num_heads=[1])
    path = save_encoder(tmp_path / "encoder.pt", encoder, card)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no encoder card at '.*encoder\.json'"):
        load_encoder(path)
    path = path.rename(tmp_path / "encoder.pth")
    with pytest.raises(ValueError, match=r"an encoder file of this package, which is named NAME\.pt and has its card"):
        load_encoder(path)


def test_hostile_weights_are_refused_here_too(write: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"was not loaded: it refers to 'torch\.nn\.modules\.linear\.Linear'"):
        load_encoder(write(torch.nn.Linear(2, 2)))

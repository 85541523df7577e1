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

from collections.abc import Callable

import pytest
from torch import nn

from monai_lamps.networks import Encoder
from monai_lamps.networks.segmenters import (
    EncoderUNet,
    UPerNet,
    build_segmenter,
    register_segmenter,
    registry,
    segmenter_names,
)

Build = Callable[..., Encoder]


@pytest.fixture(autouse=True)
def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """A register that is put back after the test."""
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))


def test_segmenters_are_built_by_name(tiny_encoder: Build) -> None:
    assert segmenter_names() == ["encoder_unet", "swin_unetr", "upernet"]
    encoder = tiny_encoder("swin_tiny")
    net = build_segmenter("upernet", encoder, 3, channels=8)
    assert isinstance(net, UPerNet)
    assert net.encoder is encoder
    assert net.classify.weight.shape == (3, 8, 1, 1)
    assert isinstance(build_segmenter("encoder_unet", encoder, 2, detail_channels=4), EncoderUNet)


def test_a_segmenter_of_ones_own_can_be_registered(tiny_encoder: Build) -> None:
    class Own(nn.Module):
        def __init__(self, encoder: Encoder, out_channels: int, depth: int = 1) -> None:
            super().__init__()
            self.encoder, self.depth = encoder, depth

    register_segmenter("own", Own)
    register_segmenter("own", Own)
    assert build_segmenter("own", tiny_encoder("swin_tiny"), 2, depth=3).depth == 3
    with pytest.raises(ValueError, match="the segmenter name 'own' is taken by Own; choose another name"):
        register_segmenter("own", UPerNet)


def test_what_is_no_network_is_not_registered() -> None:
    with pytest.raises(TypeError, match=r"must be a subclass of torch\.nn\.Module, got <function"):
        register_segmenter("own", lambda encoder, out_channels: None)


def test_unknown_names_and_arguments_are_refused_with_the_nearest(tiny_encoder: Build) -> None:
    encoder = tiny_encoder("swin_tiny")
    with pytest.raises(ValueError, match=r"unknown segmenter 'upnet', expected one of .* Did you mean 'upernet'\?"):
        build_segmenter("upnet", encoder, 2)
    with pytest.raises(TypeError, match=r"segmenter 'upernet' has no argument 'chanels', .* Did you mean 'channels'\?"):
        build_segmenter("upernet", encoder, 2, chanels=8)

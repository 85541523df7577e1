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

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_lamps.methods import Method
from monai_lamps.networks import Encoder, build_encoder


class Still(Method):
    """Learns that every embedding is zero."""

    name, mean, std = "still", 0.5, 0.25

    def __init__(self) -> None:
        super().__init__()
        self.student = build_encoder("resnet18", stride=8, base_channels=4)

    def forward(self, batch: Mapping[str, Tensor], progress: Any) -> dict[str, Tensor]:
        return {"zero": self.student(self.normalize(batch["image"])).square().mean()}

    def after_step(self, progress: Any) -> None: ...

    @property
    def encoder(self) -> Encoder:
        return self.student

    def readings(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}


CONTRACT = ["forward", "after_step", "encoder", "readings", "pictures"]


@pytest.mark.parametrize("missing", CONTRACT)
def test_a_method_without_one_part_of_the_contract_cannot_be_made(missing: str) -> None:
    parts = {name: getattr(Method, name) for name in [missing]}
    incomplete = type("Incomplete", (Still,), parts)
    with pytest.raises(TypeError, match=rf"abstract.*{missing}"):
        incomplete()


def test_images_are_normalised_as_the_card_will_say() -> None:
    assert Still().normalize(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-2.0, 0.0, 2.0]


def test_embedding_normalises_asks_the_exported_encoder_and_keeps_no_graph() -> None:
    method = Still().eval()
    images = torch.rand(2, 1, 16, 16)
    tokens, mean = method.embed(images)
    expected_tokens, expected = method.student.embed((images - 0.5) / 0.25)
    assert torch.equal(tokens, expected_tokens)
    assert torch.equal(mean, expected)
    assert not tokens.requires_grad
    assert not mean.requires_grad


def test_the_sum_of_the_terms_trains_it() -> None:
    method = Still()
    sum(method({"image": torch.rand(2, 1, 16, 16)}, None).values()).backward()
    assert any(parameter.grad is not None for parameter in method.parameters())
    assert method.latest == {}

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
from torch import nn

from monai_lamps.engines import GroupSchedules, Progress
from monai_lamps.engines.param_groups import (
    freeze_encoder,
    layer_decay_groups,
    parameter_levels,
    weight_decay_groups,
)
from monai_lamps.networks import build_encoder


def test_biases_and_scales_are_not_decayed_and_frozen_parameters_stay_out() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LayerNorm(2), nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False))
    decayed, plain = weight_decay_groups(module, 0.04)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert [p.ndim for p in plain["params"]] == [1, 1, 1, 1]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.04, 0.0)
    assert (decayed["decay"], plain["decay"]) == (True, False)
    assert not any(p is q for q in module[3].parameters() for p in decayed["params"] + plain["params"])
    torch.optim.AdamW([decayed, plain])


def test_a_shared_parameter_is_taken_once() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    assert len(weight_decay_groups(nn.Sequential(first, second), 0.1)[0]["params"]) == 1


def test_a_module_without_one_kind_gives_an_empty_group_that_torch_accepts() -> None:
    groups = weight_decay_groups(nn.Linear(2, 2, bias=False), 0.1)
    assert groups[1]["params"] == []
    torch.optim.AdamW(groups)


def test_a_frozen_module_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear got no parameter with requires_grad"):
        weight_decay_groups(nn.Linear(1, 1).requires_grad_(False), 0.1)


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_decay got -0.1, expected >= 0"):
        weight_decay_groups(nn.Linear(1, 1), -0.1)


ENCODERS = {
    "swin_tiny": {"embed_dim": 8, "depths": [1, 1, 2], "num_heads": [1, 1, 1], "window_size": 2},
    "resnet18": {"base_channels": 2},
    "convnext_tiny": {"embed_dim": 4, "depths": [1, 2, 1]},
    "vit_tiny": {"embed_dim": 8, "depth": 2, "num_heads": 2, "patch_size": 4},
}


class Fine(nn.Module):
    """An encoder with a head, as a task has them."""

    def __init__(self, name: str = "resnet18", **kwargs: Any) -> None:
        super().__init__()
        self.encoder = build_encoder(name, **{**ENCODERS[name], **kwargs})
        self.head = nn.Linear(self.encoder.embed_dim, 2)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_level_of_a_parameter_is_the_finest_feature_map_that_it_changes(name: str) -> None:
    encoder = Fine(name).encoder
    levels = parameter_levels(encoder)
    assert list(levels) == [key for key, _ in encoder.named_parameters()]
    image = torch.rand(1, 1, 2 * encoder.cell, 2 * encoder.cell)
    encoder.eval()
    with torch.no_grad():
        before = encoder.features(image)
        for level in range(len(encoder.strides)):
            some = next(key for key, value in levels.items() if value == level and not key.startswith("norm."))
            parameter = encoder.get_parameter(some)
            kept = parameter.clone()
            parameter.add_(torch.randn_like(parameter))
            changed = [not torch.equal(a, b) for a, b in zip(before, encoder.features(image))]
            assert changed.index(True) == level
            parameter.copy_(kept)
    assert levels["norm.weight"] == len(encoder.strides) - 1


def test_looking_at_the_levels_changes_nothing() -> None:
    encoder = Fine("swin_tiny").encoder
    encoder.norm.eval()
    encoder.norm.requires_grad_(False)
    state, before = torch.get_rng_state(), {key: value.clone() for key, value in encoder.state_dict().items()}
    parameter_levels(encoder)
    assert encoder.training
    assert not encoder.norm.training
    assert [key for key, p in encoder.named_parameters() if not p.requires_grad] == ["norm.weight", "norm.bias"]
    assert all(p.grad is None for p in encoder.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_the_rate_falls_level_by_level_and_the_head_has_all_of_it() -> None:
    task = Fine("convnext_tiny")
    groups = layer_decay_groups(task, 0.05, 0.5)
    assert [group["lr_scale"] for group in groups] == [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    levels, scale = parameter_levels(task.encoder), {}
    for group in groups:
        scale.update({id(p): group["lr_scale"] for p in group["params"]})
        assert all((p.ndim > 1) == group["decay"] for p in group["params"])
        assert group["weight_decay"] == (0.05 if group["decay"] else 0.0)
    assert len(scale) == len(list(task.parameters()))
    for name, parameter in task.encoder.named_parameters():
        assert scale[id(parameter)] == 0.5 ** (3 - levels[name])
    assert scale[id(task.head.weight)] == scale[id(task.head.bias)] == 1.0


def test_a_schedule_of_the_rate_is_scaled_in_every_group() -> None:
    optimizer = torch.optim.AdamW(layer_decay_groups(Fine(), 0.05, 0.5), lr=1.0)
    GroupSchedules(optimizer, {"lr": 0.1}).apply(Progress(0, 0.0, 1, 1))
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx(
        [0.1 * 0.5**k for k in range(5, -1, -1)]
    )


def test_without_decay_there_are_the_two_groups_of_pretraining() -> None:
    task = Fine()
    decayed, plain = layer_decay_groups(task, 0.05, 1.0)
    expected = weight_decay_groups(task, 0.05)
    assert [group["params"] for group in (decayed, plain)] == [group["params"] for group in expected]


def test_a_frozen_encoder_leaves_the_head_alone_to_train() -> None:
    task = Fine()
    frozen = freeze_encoder(task.encoder)
    assert len(frozen) == len(list(task.encoder.parameters()))
    groups = layer_decay_groups(task, 0.05, 0.5)
    assert [group["params"] for group in groups] == [[task.head.weight], [task.head.bias]]
    with pytest.raises(ValueError, match="ResNetEncoder got no parameter with requires_grad, expected at least one"):
        weight_decay_groups(task.encoder, 0.0)


def test_the_finest_levels_are_frozen_first() -> None:
    task = Fine()
    levels = parameter_levels(task.encoder)
    assert freeze_encoder(task.encoder, 0) == []
    assert set(freeze_encoder(task.encoder, 2)) == {name for name, level in levels.items() if level < 2}
    trained = {name for name, parameter in task.encoder.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, level in levels.items() if level >= 2}


def test_ill_decay_and_levels() -> None:
    for decay in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"decay got {decay}, expected above 0 and at most 1: 0.8 is usual"):
            layer_decay_groups(Fine(), 0.05, decay)
    for levels in (-1, 6):
        with pytest.raises(ValueError, match=f"levels got {levels}, expected 0 to 5, the levels of this encoder"):
            freeze_encoder(Fine().encoder, levels)

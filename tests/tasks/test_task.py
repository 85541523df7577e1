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
from toy_task import TinySegmenter, classification, encoder, items, segmentation

from monai_lamps.engines import Progress
from monai_lamps.engines.param_groups import freeze_encoder
from monai_lamps.tasks import Segmentation
from monai_lamps.tasks.task import masked_mean


def collated(count: int = 2) -> dict[str, Any]:
    return {key: torch.stack([item[key] for item in items(count)]) for key in ("image", "label", "annotated")}


def test_the_loss_is_the_weighted_sum_of_terms_whose_plain_values_are_kept() -> None:
    task, batch = segmentation(weights={"dice": 0.5}).eval(), collated()
    terms = task(batch, Progress(0, 0.0, 1, 1))
    plain = task.readings(batch)
    assert set(plain) == {"dice", "bce"}
    assert terms["dice"].item() == pytest.approx(0.5 * plain["dice"].item())
    assert terms["bce"].item() == pytest.approx(plain["bce"].item())
    assert {name: value.item() for name, value in task.latest.items()} == pytest.approx(
        {name: value.item() for name, value in plain.items()}
    )
    assert not plain["dice"].requires_grad
    assert terms["dice"].requires_grad


def test_probabilities_are_those_of_normalised_images_without_a_graph() -> None:
    task, images = segmentation(mean=0.4, std=0.2).eval(), collated()["image"]
    answer = task.predict(images)
    assert torch.equal(answer, task.network((images - 0.4) / 0.2).sigmoid())
    assert not answer.requires_grad
    assert task.encoder is task.network.encoder


def test_logits_are_float32_whatever_the_network_computes_in() -> None:
    task = segmentation().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert task.logits(collated()["image"]).dtype == torch.float32


@pytest.mark.parametrize(("levels", "moving"), [(None, 0), (2, 10), (0, 20)])
def test_batch_statistics_of_what_is_frozen_rest_while_the_others_move(levels: int | None, moving: int) -> None:
    task = classification()
    freeze_encoder(task.encoder, levels)
    norms = [module for module in task.encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    task.train()
    task.logits(torch.rand(4, 1, 32, 32))
    moved = [not torch.equal(norm.running_mean, old) for norm, old in zip(norms, before)]
    assert sum(moved) == (len(norms) if levels == 0 else moving)
    assert task.training
    assert task.network.head.training
    assert not task.eval().network.training


def test_nothing_happens_after_a_step() -> None:
    task = segmentation()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    task.after_step(Progress(0, 0.0, 1, 1))
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


def test_a_mean_over_nothing_is_0_and_has_a_gradient_of_0() -> None:
    values = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert masked_mean(values, torch.tensor([True, False, True])).item() == 3.5
    nothing = masked_mean(values, torch.zeros(3, dtype=torch.bool))
    nothing.backward()
    assert nothing.item() == 0
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0, 0]


def test_a_network_without_an_encoder_is_refused() -> None:
    message = "needs an attribute 'encoder' of type Encoder, that of Linear is NoneType; take build_segmenter or Lin"
    with pytest.raises(TypeError, match=message):
        Segmentation(nn.Linear(1, 1), ["heart"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"std": 0.0}, "std must be positive, got 0.0; take mean and std of the encoder's card"),
        ({"weights": {"dice": -1.0}}, r"weights of loss terms must be >= 0, got \{'dice': -1.0\}"),
        ({"weights": {"focal": 1.0}}, r"weights name \['focal'\], but the losses are \['dice', 'bce'\]"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Segmentation(TinySegmenter(encoder(), 2), ["a", "b"], **arguments)

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

from monai_lamps.bundle import Predictor, freeze, label_kind, load_task, switch
from monai_lamps.checkpoints import build_network, save_network_card
from monai_lamps.tasks import Classification, MultiClass, MultiLabel, Segmentation, Task

ENCODER = {"name": "resnet18", "stride": 8, "base_channels": 4}
COMMON: dict[str, Any] = {
    "encoder": ENCODER,
    "names": ["a", "b"],
    "image_size": 32,
    "normalization": {"mean": 0.3, "std": 0.2},
}
SEGMENTATION = {
    **COMMON,
    "task": "segmentation",
    "network": {"kind": "segmenter", "name": "encoder_unet", "out_channels": 2, "args": {"detail_channels": 4}},
}
CLASSIFICATION = {
    **COMMON,
    "task": "classification",
    "multi_class": True,
    "network": {"kind": "linear_classifier", "classes": 2},
}


def _saved(folder: Path, card: dict[str, Any]) -> Path:
    torch.manual_seed(0)
    torch.save({"network": build_network(card).state_dict()}, folder / "best.pt")
    save_network_card(folder, card)
    return folder / "best.pt"


@pytest.mark.parametrize(("card", "kind"), [(SEGMENTATION, Segmentation), (CLASSIFICATION, Classification)])
def test_a_task_predicts_with_the_normalisation_of_its_card(tmp_path: Path, card: dict[str, Any], kind: type) -> None:
    task = load_task(_saved(tmp_path, card))
    assert isinstance(task, kind)
    assert not task.training
    images = torch.rand(2, 1, 32, 32)
    logits = task.network((images - 0.3) / 0.2)
    expected = logits.sigmoid() if kind is Segmentation else logits.softmax(dim=1)
    torch.testing.assert_close(Predictor(task)(images), expected)


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the task 'detection', expected segmentation or classification"):
        load_task(_saved(tmp_path, {**CLASSIFICATION, "task": "detection"}))


def _open(task: Task) -> int:
    return sum(parameter.requires_grad for parameter in task.encoder.parameters())


def test_all_or_some_levels_or_nothing_is_frozen(tmp_path: Path) -> None:
    path = _saved(tmp_path, SEGMENTATION)
    total = _open(load_task(path))
    assert _open(freeze(load_task(path), False)) == _open(freeze(load_task(path), "false")) == total
    assert _open(freeze(load_task(path), True)) == _open(freeze(load_task(path), "true")) == 0
    assert _open(freeze(load_task(path), 0)) == total
    assert 0 < _open(freeze(load_task(path), 1)) < total
    with pytest.raises(ValueError, match="levels got 9"):
        freeze(load_task(path), 9)
    with pytest.raises(ValueError, match="frozen got 'half', expected true or false"):
        freeze(load_task(path), "half")


def test_a_switch_is_understood_as_text_too() -> None:
    assert [switch(value) for value in (True, False, "true", "False")] == [True, False, True, False]
    with pytest.raises(ValueError, match="crops got 'ten', expected true or false"):
        switch("ten", "crops")
    assert isinstance(label_kind("true"), MultiClass)
    assert isinstance(label_kind(False), MultiLabel)

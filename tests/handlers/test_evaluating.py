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

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from monai_lamps.handlers.evaluating import batch_to_device, evaluating, trainer_autocast


def test_train_flags_and_random_state_are_as_before_and_gradients_are_off_inside() -> None:
    method = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout().eval()))
    method[1].eval()
    before = [module.training for module in method.modules()]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with evaluating(method):
        assert not any(module.training for module in method.modules())
        assert not torch.is_grad_enabled()
        torch.rand(5)
    assert [module.training for module in method.modules()] == before
    assert True in before
    assert False in before
    assert torch.is_grad_enabled()
    assert torch.equal(torch.rand(1), expected)


def test_train_flags_come_back_after_an_error() -> None:
    method = nn.Dropout()
    try:
        with evaluating(method):
            raise KeyError
    except KeyError:
        pass
    assert method.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_look_computes_in_the_precision_of_the_trainer(dtype: torch.dtype) -> None:
    engine = SimpleNamespace(autocast_dtype=dtype, state=SimpleNamespace(device=torch.device("cpu")))
    layer = nn.Linear(2, 2)
    with evaluating(layer, trainer_autocast(engine)):
        assert layer(torch.zeros(1, 2)).dtype == dtype
    assert layer(torch.zeros(1, 2)).dtype == torch.float32


def test_an_engine_without_a_precision_computes_in_that_of_the_weights() -> None:
    layer = nn.Linear(2, 2).double()
    with evaluating(layer, trainer_autocast(SimpleNamespace())):
        assert layer(torch.zeros(1, 2).double()).dtype == torch.float64


def test_only_tensors_move_to_the_device() -> None:
    batch = batch_to_device({"image": torch.zeros(2), "file": "a.png"}, "meta")
    assert batch["image"].device.type == "meta"
    assert batch["file"] == "a.png"
    assert batch_to_device({"image": torch.zeros(2)}, None)["image"].device.type == "cpu"

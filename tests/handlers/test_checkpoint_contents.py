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

import numpy as np
import pytest
import torch

from monai_lamps.handlers.checkpoint_contents import identity_differences, plain_identity, stored_bytes


def test_bytes_are_those_of_the_storages_each_counted_once() -> None:
    base = torch.zeros(100)
    assert stored_bytes({"a": base, "b": [base[:10], (torch.zeros(3, dtype=torch.uint8),)], "n": 1, "s": "x"}) == 403


@pytest.mark.parametrize(
    "value", [np.float64(1.0), np.zeros(2), object(), print], ids=["float", "array", "object", "f"]
)
def test_what_torch_would_not_load_again_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(TypeError, match=r"checkpoint\['trainer'\]\['rng'\]\[1\] is a .*tensors and primitives only"):
        stored_bytes({"trainer": {"rng": [0, value]}})


def test_identities_are_compared_entry_by_entry_after_json() -> None:
    ours = plain_identity({"method": "lamps", "encoder": {"name": "resnet18", "size": (224, 224)}})
    same = {"method": "lamps", "encoder": {"name": "resnet18", "size": [224, 224]}}
    assert identity_differences(ours, same) == []
    other = {"method": "lamps", "encoder": {"name": "swin_tiny", "size": [224, 224]}, "seed": 1}
    assert identity_differences(ours, other) == [
        "encoder.name: expected 'resnet18', got 'swin_tiny'",
        "seed: expected 'nothing', got 1",
    ]


def test_an_identity_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="identity of a run must hold numbers, strings, lists and dictionaries"):
        plain_identity({"device": torch.device("cpu")})

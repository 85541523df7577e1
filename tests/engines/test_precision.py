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

import pytest
import torch

from monai_lamps.engines.precision import autocast_dtype, check_device


def test_the_cpu_computes_in_fp32_and_bf16() -> None:
    device = check_device("cpu")
    assert device == torch.device("cpu")
    assert autocast_dtype("fp32", device) is torch.float32
    assert autocast_dtype("bf16", device) is torch.bfloat16


@pytest.mark.parametrize(("bf16", "valid"), [(True, ["fp32", "bf16", "fp16"]), (False, ["fp32", "fp16"])])
def test_cuda_adds_fp16_and_has_bf16_where_the_card_does(
    bf16: bool, valid: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    device = torch.device("cuda")
    assert autocast_dtype("fp16", device) is torch.float16
    with pytest.raises(
        ValueError, match=r"precision got 'fp8', expected one of \['fp32'.*'fp16'\] on device 'cuda'"
    ) as e:
        autocast_dtype("fp8", device)
    assert str(valid) in str(e.value)


def test_devices_that_are_there_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert check_device(torch.device("cuda:1")) == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"device got 'cuda:2', expected one of \['cpu', 'cuda', 'cuda:0', 'cuda:1'\]"):
        check_device("cuda:2")


def test_fp16_on_the_cpu_is_refused() -> None:
    with pytest.raises(ValueError, match=r"precision got 'fp16', expected one of \['fp32', 'bf16'\] on device 'cpu'"):
        autocast_dtype("fp16", torch.device("cpu"))

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

from monai_lamps.networks import Encoder, build_encoder
from monai_lamps.networks.recompute import RECOMPUTE, keep, recompute, recompute_policy


def test_recompute_runs_the_cheap_operations_again_and_not_the_linear_layer() -> None:
    ran = []
    linear = nn.Linear(3, 3)
    finished = []
    linear.register_forward_hook(lambda *_: finished.append("linear"))

    def cheap(x: torch.Tensor) -> torch.Tensor:
        ran.append("cheap")
        return x.sin()

    x = torch.randn(2, 3, requires_grad=True)
    recompute(lambda value: linear(cheap(value)), x).sum().backward()
    assert ran == ["cheap", "cheap"]
    assert finished == ["linear"]  # the second time it was left as soon as its input was there
    expected = torch.autograd.grad(linear(x.sin()).sum(), x)[0]
    torch.testing.assert_close(x.grad, expected)


def test_without_gradients_nothing_is_wrapped() -> None:
    calls = []
    with torch.no_grad():
        assert recompute(lambda value: calls.append(value) or value, torch.ones(1)) == 1
    assert len(calls) == 1


def test_names_of_policies_and_an_unknown_one() -> None:
    assert recompute_policy("nothing") == (keep, keep)
    assert recompute_policy("between") == (keep, recompute)
    assert recompute_policy("all") == (recompute, keep)
    with pytest.raises(ValueError, match=r"recompute must be one of \['nothing', 'between', 'all'\], got 'half'"):
        recompute_policy("half")
    assert set(RECOMPUTE) == {"nothing", "between", "all"}


TOYS: dict[str, dict[str, Any]] = {
    "swin_tiny": {"embed_dim": 8, "depths": (2, 2), "num_heads": (2, 2), "window_size": 4, "patch_size": 2},
    "convnext_tiny": {"embed_dim": 4, "depths": (2, 1, 2), "patch_size": 2, "layer_scale": 0.5},
    "vit_tiny": {"embed_dim": 12, "depth": 3, "num_heads": 3, "patch_size": 4, "position_cells": 4},
}


def toy(name: str, **kwargs: Any) -> Encoder:
    """A small encoder whose weights are large enough that every part matters."""
    torch.manual_seed(0)
    encoder = build_encoder(name, **{**TOYS[name], **kwargs})
    for key, parameter in encoder.named_parameters():
        nn.init.normal_(parameter, mean=1.0 if "norm" in key and key.endswith("weight") else 0.0, std=0.3)
    return encoder


@pytest.mark.parametrize("recompute", ["between", "all"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", TOYS)
def test_what_an_encoder_recomputes_changes_no_bit_of_output_and_gradients(
    name: str, spatial_dims: int, recompute: str
) -> None:
    x = torch.linspace(-1, 1, 2 * 16**spatial_dims).reshape(2, 1, *(16,) * spatial_dims)
    results = []
    for policy in ("nothing", recompute):
        encoder = toy(name, spatial_dims=spatial_dims, drop_path=0.5, recompute=policy).train()
        torch.manual_seed(1)  # the same branches are dropped, also in the recomputation
        tokens, mean = encoder.embed(x)
        (tokens.square().sum() + mean.sum()).backward()
        assert not [key for key, parameter in encoder.named_parameters() if parameter.grad is None]
        results.append([tokens, mean, *(parameter.grad for parameter in encoder.parameters())])
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


#: at most which share of what is kept when nothing is recomputed, of a whole encoder with stem and merging
@pytest.mark.parametrize(
    ("name", "between", "everything"),
    [("swin_tiny", 0.75, 0.5), ("convnext_tiny", 0.75, 0.34), ("vit_tiny", 0.8, 0.34)],
)
def test_recomputing_keeps_less(name: str, between: float, everything: float) -> None:
    def kept(recompute: str) -> int:
        encoder = toy(name, recompute=recompute)
        storages: dict[int, int] = {}
        alive: list[torch.Tensor] = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            alive.append(tensor)  # so that no address is used twice
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            encoder(torch.randn(2, 1, 64, 64)).sum()
        return sum(storages.values())

    nothing = kept("nothing")
    assert kept("all") < everything * nothing
    assert kept("all") < kept("between") < between * nothing

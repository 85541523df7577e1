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
import torch.nn.functional as F

from monai_lamps.networks import Composer, Decomposer, OrderHead, ProjectionHead


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def test_parameters_have_the_names_and_shapes_of_the_released_heads() -> None:
    norm = {"weight": (1024,), "bias": (1024,)}
    assert shapes(OrderHead(1024, 196)) == {"weight": (196, 1024), "bias": (196,)}
    assert shapes(Composer(1024)) == {
        "layer.0.weight": (1024, 4096),
        **{f"layer.1.{key}": shape for key, shape in norm.items()},
        "layer.3.weight": (1024, 1024),
        "layer.3.bias": (1024,),
        **{f"layer.4.{key}": shape for key, shape in norm.items()},
        "layer.6.weight": (1024, 1024),
        "layer.6.bias": (1024,),
    }
    assert shapes(Decomposer(1024)) == {
        "layer.0.weight": (4096, 1024),
        "layer.1.weight": (4096,),
        "layer.1.bias": (4096,),
        "layer.3.weight": (4096, 4096),
        "layer.3.bias": (4096,),
    }
    projection = shapes(ProjectionHead(1024))
    assert set(projection) == {f"{i}.{k}" for i in (0, 1, 3, 4) for k in ("weight", "bias")} | {"6.weight"}
    assert projection["0.weight"] == (512, 1024)
    assert projection["6.weight"] == (512, 512)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@torch.no_grad()
def test_the_composer_reads_the_parts_one_after_the_other(spatial_dims: int) -> None:
    composer = Composer(4, spatial_dims)
    parts = torch.randn(2, 2**spatial_dims, 4)
    first = sum(parts[:, i] @ composer.layer[0].weight[:, 4 * i : 4 * i + 4].T for i in range(2**spatial_dims))
    x = composer.layer[3](F.relu(composer.layer[1](first)))
    torch.testing.assert_close(composer(parts), composer.layer[6](F.relu(composer.layer[4](x))))


@pytest.mark.parametrize("spatial_dims", [2, 3])
@torch.no_grad()
def test_the_decomposer_gives_one_chunk_for_each_part(spatial_dims: int) -> None:
    decomposer, whole = Decomposer(4, spatial_dims), torch.randn(3, 4)
    chunks = decomposer.layer(whole).chunk(2**spatial_dims, dim=1)
    assert decomposer(whole).shape == (3, 2**spatial_dims, 4)
    for index, chunk in enumerate(chunks):
        assert torch.equal(decomposer(whole)[:, index], chunk)


def test_heads_work_on_tokens_and_every_parameter_gets_a_gradient() -> None:
    tokens = torch.randn(2, 9, 4)
    order, projection = OrderHead(4, 9), ProjectionHead(4, hidden=8, out=6)
    assert order(tokens).shape == (2, 9, 9)
    assert projection(tokens).shape == (2, 9, 6)
    for head, x in ((order, tokens), (projection, tokens), (Composer(4), tokens[:, :4]), (Decomposer(4), tokens[:, 0])):
        head(x).square().sum().backward()
        assert not [name for name, parameter in head.named_parameters() if parameter.grad is None]


def test_embeddings_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected embeddings of parts \(B, 4, 8\), got \(2, 8, 8\)"):
        Composer(8)(torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match=r"expected embeddings of wholes \(B, 8\), got \(2, 4\)"):
        Decomposer(8)(torch.zeros(2, 4))

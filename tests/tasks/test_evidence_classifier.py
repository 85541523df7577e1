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
import torch.nn.functional as F
from torch import Tensor
from toy_task import encoder

from monai_lamps.engines import Progress
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder
from monai_lamps.tasks import Classification, EvidenceClassifier

CELL = 8


def grounding() -> EvidenceNetwork:
    body = encoder()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        decoder = TokenDecoder(body.embed_dim, CELL, width=16, depth=1, num_heads=2)
        network = EvidenceNetwork(body, decoder, sigma=1.0)
    network.fit_scale(torch.tensor([0.5]))
    return network


def classifier(classes: int = 3, **kwargs: Any) -> EvidenceClassifier:
    body = grounding()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = EvidenceClassifier(body, classes, **kwargs)
        torch.nn.init.normal_(network.head.bias)
    return network.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("source", ["both", "clue", "context"])
def test_the_head_reads_the_mean_of_the_tokens_and_their_sum_by_evidence(source: str, images: Tensor) -> None:
    network = classifier(source=source)
    tokens, mean = network.encoder.embed(images)
    weights = grounding().eval().evidence(images).weights
    clue = torch.einsum("bn,bnd->bd", weights, tokens)
    read = {"both": torch.cat([mean, clue], dim=1), "clue": clue, "context": mean}[source]
    torch.testing.assert_close(network(images), network.head(read))


@torch.no_grad()
@pytest.mark.parametrize("source", ["both", "clue", "context"])
def test_what_the_cells_add_is_the_logit(source: str, images: Tensor) -> None:
    network = classifier(source=source)
    added = network.contributions(network.evidence(images))
    assert all(part.shape == (2, 3, 6) for part in added.values())
    total = sum(part.sum(dim=2) for part in added.values()) + network.head.bias
    torch.testing.assert_close(total, network(images))


@torch.no_grad()
def test_the_evidence_of_a_class_is_the_clues_part_where_it_speaks_for_it(images: Tensor) -> None:
    network = classifier()
    found, half = network.evidence(images), network.head.weight[:, network.encoder.embed_dim :]
    for number in range(3):
        expected = torch.zeros(2, 6)
        for image in range(2):
            for cell in range(6):
                score = found.weights[image, cell] * (found.tokens[image, cell] @ half[number])
                expected[image, cell] = max(0.0, float(score))
        assert expected.any()
        expected = F.interpolate(expected.reshape(2, 1, 2, 3), size=(16, 24), mode="bilinear")
        torch.testing.assert_close(network.explain(images, number), expected)
    mixed = network.explain(images, torch.tensor([2, 0]))
    torch.testing.assert_close(mixed[0], network.explain(images, 2)[0])
    torch.testing.assert_close(mixed[1], network.explain(images, 0)[1])


@torch.no_grad()
def test_without_a_clue_the_map_is_that_of_the_context(images: Tensor) -> None:
    network = classifier(source="context")
    tokens = network.encoder.embed(images)[0]
    expected = ((tokens @ network.head.weight[1]) / 6).clamp(min=0).reshape(2, 1, 2, 3)
    expected = F.interpolate(expected, size=(16, 24), mode="bilinear")
    torch.testing.assert_close(network.explain(images, 1), expected)


def test_training_moves_the_encoder_and_the_head_and_leaves_the_grounding(images: Tensor) -> None:
    network = classifier(2)
    task = Classification(network, ["a", "b"], mean=0.5, std=0.25)
    task.train()
    assert network.encoder.training
    assert not any(module.training for module in network.grounding.modules())
    before = network.grounding.evidence(images).pixel_map
    grounded = [value.clone() for value in network.grounding.state_dict().values()]
    optimizer = torch.optim.SGD([p for p in task.parameters() if p.requires_grad], lr=1.0)
    batch = {"image": torch.rand(2, 1, 16, 24), "label": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}
    tuned = [parameter.clone() for parameter in network.encoder.parameters()]
    sum(task(batch, Progress(0, 0, 1, 1)).values()).backward()
    optimizer.step()
    assert any(not torch.equal(a, b) for a, b in zip(tuned, network.encoder.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(grounded, network.grounding.state_dict().values()))
    after = network.eval().evidence(images)
    assert torch.equal(after.pixel_map, before)
    assert not torch.equal(after.tokens, network.grounding.evidence(images).tokens)


def test_the_clue_carries_the_gradient_to_the_tokens(images: Tensor) -> None:
    network = classifier(source="clue")
    network(images).sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in network.encoder.parameters())
    assert all(parameter.grad is None for parameter in network.grounding.parameters())


def test_dropout_acts_while_training_alone(images: Tensor) -> None:
    network = classifier(dropout=0.5)
    assert torch.equal(network(images), network(images))
    network.train()
    torch.manual_seed(0)
    assert not torch.equal(network(images), network(images))


@torch.no_grad()
def test_a_volume_is_explained_too() -> None:
    body = build_encoder("resnet18", spatial_dims=3, stride=8, base_channels=4)
    decoder = TokenDecoder(body.embed_dim, CELL, width=16, depth=1, num_heads=2, spatial_dims=3)
    network = EvidenceClassifier(EvidenceNetwork(body, decoder), 2).eval()
    volume = torch.randn(1, 1, 16, 8, 16)
    assert network(volume).shape == (1, 2)
    assert network.explain(volume, 1).shape == (1, 1, 16, 8, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"source": "token"}, "source got 'token', expected one of both, clue, context"),
        ({"dropout": 1.0}, r"in \[0, 1\), got 1.0"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvidenceClassifier(grounding(), **{"classes": 1, **arguments})


def test_an_encoder_alone_grounds_nothing() -> None:
    with pytest.raises(TypeError, match=r"built around an EvidenceNetwork, got ResNetEncoder; take evidence\.pt"):
        EvidenceClassifier(encoder(), 1)


@pytest.mark.parametrize("index", [3, -1])
def test_a_class_that_is_not_there(images: Tensor, index: int) -> None:
    with pytest.raises(IndexError, match=r"class_index got \[-?\d, -?\d\], expected 0 to 2"):
        classifier().explain(images, index)

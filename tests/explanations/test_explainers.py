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

import warnings

import pytest
import torch
from torch import nn

from monai_lamps.explanations import (
    AttentionRolloutExplainer,
    CannotExplainError,
    ClassEvidenceExplainer,
    CoarsestFeatures,
    ConstantExplainer,
    EvidenceExplainer,
    Explainer,
    GradCAMExplainer,
    GradCAMppExplainer,
    OcclusionExplainer,
    attention_rollout,
)
from monai_lamps.networks import Encoder, EvidenceNetwork, TokenDecoder, build_encoder
from monai_lamps.tasks import EvidenceClassifier, LinearClassifier

ENCODERS = {
    "resnet": {"name": "resnet18", "stride": 8, "base_channels": 4},
    "swin": {"name": "swin_tiny", "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
    "convnext": {"name": "convnext_tiny", "embed_dim": 8, "depths": (1, 1, 1, 1), "layer_scale": 1.0},
    "vit": {"name": "vit_tiny", "embed_dim": 16, "depth": 2, "num_heads": 2, "patch_size": 8, "position_cells": 4},
}
CAMS: list[Explainer] = [GradCAMExplainer(), GradCAMppExplainer()]
ANY: list[Explainer] = [*CAMS, OcclusionExplainer(4, 0.0), ConstantExplainer()]


class Squares(Encoder):
    """A cell's two features are its own mean intensity, and the intensity it lacks: what decides is known."""

    def __init__(self) -> None:
        config = {"name": "squares"}
        super().__init__(spatial_dims=2, in_channels=1, strides=(8,), channels=(2,), config=config)
        self.norm = nn.Identity()

    @classmethod
    def levels(cls, name: str, **kwargs: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (8,), (2,)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        mean = nn.functional.avg_pool2d(x, 8)
        return [torch.cat([mean, 1 - mean], dim=1)]

    def attentions(self, x: torch.Tensor) -> list[torch.Tensor]:
        look = torch.softmax(self.features(x)[0][:, 0].flatten(1) * 20, dim=1)  # all look at the bright cell
        return [look[:, None, None].expand(-1, 2, 16, -1)] * 2


class ClassToken(Squares):
    """The same with a class token before the cells, which alone looks at the bright one."""

    def attentions(self, x: torch.Tensor) -> list[torch.Tensor]:
        shares = super().attentions(x)[0][:, 0, 0]
        attention = torch.eye(17).repeat(len(x), 1, 1)
        attention[:, 0, 1:] = shares
        return [attention[:, None]]


def network(encoder: Encoder | None = None) -> LinearClassifier:
    made = LinearClassifier(encoder or Squares(), 2)
    if encoder is None or isinstance(encoder, Squares):
        made.head.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    return made.eval()


@pytest.fixture
def images() -> torch.Tensor:
    """Two dark images with one bright cell of 8 px each."""
    made = torch.zeros(2, 1, 32, 32)
    made[0, :, 8:16, 16:24] = made[1, :, 24:, :8] = 1
    return made


def _cells(maps: torch.Tensor) -> list[int]:
    return nn.functional.avg_pool2d(maps, 8).flatten(1).argmax(dim=1).tolist()


@pytest.mark.parametrize("explain", [*ANY[:-1], AttentionRolloutExplainer()], ids=lambda e: type(e).__name__)
def test_the_cell_that_decides_is_shown(explain: Explainer, images: torch.Tensor) -> None:
    maps = explain(network(), images, 0)
    assert maps.shape == images.shape
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    assert maps.min() >= 0
    assert _cells(maps) == [6, 12]


@pytest.mark.parametrize("explain", ANY, ids=lambda e: type(e).__name__)
def test_images_of_a_batch_are_explained_as_if_alone(explain: Explainer, images: torch.Tensor) -> None:
    torch.manual_seed(0)
    own = network(build_encoder(**ENCODERS["resnet"]))
    together = explain(own, images + 0.1 * torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)), 1)
    alone = explain(own, images[1:] + 0.1 * torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))[1:], 1)
    assert torch.allclose(together[1:], alone, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("explain", CAMS, ids=lambda e: type(e).__name__)
def test_activation_maps_of_every_family_are_those_of_its_last_features(kind: str, explain: Explainer) -> None:
    torch.manual_seed(0)
    own = network(build_encoder(**ENCODERS[kind]))
    images = torch.rand(1, 1, 64, 64)
    maps = explain(own, images, 0)
    assert maps.shape == images.shape
    if isinstance(explain, GradCAMExplainer):
        features = own.encoder.features(images)[-1].detach().requires_grad_()
        tokens = own.encoder.norm(features.flatten(2).transpose(1, 2))
        (gradient,) = torch.autograd.grad(own.head(tokens.mean(dim=1))[0, 0], features)
        cam = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).relu()
        expected = nn.functional.interpolate(cam, (64, 64), mode="bilinear", align_corners=False)
        assert torch.allclose(maps, expected.detach(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("explain", ANY, ids=lambda e: type(e).__name__)
def test_the_network_is_left_as_it_was(explain: Explainer, images: torch.Tensor) -> None:
    own = network(build_encoder(**ENCODERS["resnet"]))
    own.train()
    own.encoder.eval()
    for parameter in own.encoder.parameters():
        parameter.requires_grad_(False)
    own.head.weight.grad = torch.ones_like(own.head.weight)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    explain(own, images, 0)
    assert (own.training, own.encoder.training, own.head.training) == (True, False, True)
    assert [own.head.weight.requires_grad, next(own.encoder.parameters()).requires_grad] == [True, False]
    assert own.head.weight.grad.eq(1).all()
    assert next(own.encoder.parameters()).grad is None
    assert "features" not in vars(own.encoder)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())


def test_features_that_were_replaced_stay_replaced_and_only_the_first_answer_is_tapped(images: torch.Tensor) -> None:
    class Twice(LinearClassifier):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = super().forward(x)
            return first + 0 * super().forward(1 - x)

    own, calls = Twice(Squares(), 2), []
    compiled = own.encoder.features
    vars(own.encoder)["features"] = lambda x: calls.append(1) or compiled(x)
    tapped = CoarsestFeatures(own)
    seen = []
    tapped.maps.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert torch.equal(tapped(images), own(images))
    assert len(seen) == 1
    assert torch.equal(seen[0], compiled(images)[-1])
    assert len(calls) == 4
    assert callable(vars(own.encoder)["features"])


def test_roll_out_follows_attention_through_the_layers() -> None:
    first = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    heads = torch.stack([first, torch.eye(3)])[None]
    mixed = ((first + torch.eye(3)) / 2 + torch.eye(3)) / 2
    assert torch.allclose(attention_rollout([heads])[0], mixed)
    assert torch.allclose(attention_rollout([heads, first[None, None]])[0], (first + torch.eye(3)) / 2 @ mixed)
    with pytest.raises(ValueError, match="at least one layer, got none"):
        attention_rollout([])


def test_roll_out_reads_the_row_of_a_class_token(images: torch.Tensor) -> None:
    maps = AttentionRolloutExplainer()(network(ClassToken()), images, 0)
    assert _cells(maps) == [6, 12]


def test_roll_out_of_our_transformer_has_a_share_for_each_cell() -> None:
    maps = AttentionRolloutExplainer()(network(build_encoder(**ENCODERS["vit"])), torch.rand(2, 1, 32, 64), 0)
    assert maps.shape == (2, 1, 32, 64)
    assert maps.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1 / 32] * 2, rel=0.2)


def test_what_a_network_lacks_is_said(images: torch.Tensor) -> None:
    own = network(build_encoder(**ENCODERS["resnet"]))
    with pytest.raises(CannotExplainError, match="reads the method 'attentions' of the encoder, which ResNetEncoder"):
        AttentionRolloutExplainer()(own, images, 0)
    with pytest.raises(CannotExplainError, match="the method 'evidence' of the network, which LinearClassifier"):
        EvidenceExplainer()(own, images, 0)
    with pytest.raises(CannotExplainError, match="the method 'explain' of the network, which LinearClassifier"):
        ClassEvidenceExplainer()(own, images, 0)
    with pytest.raises(CannotExplainError, match="reads the attribute 'encoder' of type Encoder, that of Linear is"):
        GradCAMExplainer()(nn.Linear(2, 2), images, 0)
    encoder = Squares()
    vars(encoder)["attentions"] = lambda x: [torch.eye(9).expand(2, 1, 9, 9)]
    with pytest.raises(CannotExplainError, match="a token for each of 4x4 cells, and at most a class token"):
        AttentionRolloutExplainer()(network(encoder), images, 0)


@pytest.mark.parametrize("arguments", [{"squares": 1}, {"overlap": 1.0}, {"overlap": -0.1}, {"batch_size": 0}], ids=str)
def test_occlusion_refuses_what_it_cannot_do(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected at least 2 squares, an overlap of at least 0 and below 1"):
        OcclusionExplainer(**arguments)


def test_occlusion_is_the_fall_of_the_logit_when_a_square_takes_the_mean(images: torch.Tensor) -> None:
    maps = OcclusionExplainer(4, 0.0)(network(), images[:1], 0)
    mean = float(images[0].mean())
    assert float(maps[0, 0, 10, 20]) == pytest.approx((1 - mean) / 16, rel=1e-4)
    assert float(maps[0, 0, 0, 0]) == 0  # hiding what is dark raises the logit


def test_occlusion_keeps_back_one_warning_of_monais_and_no_other(images: torch.Tensor) -> None:
    class Warns(LinearClassifier):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            warnings.warn("Using a non-tuple sequence of the network's own", UserWarning, stacklevel=1)
            return super().forward(x)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        OcclusionExplainer(4, 0.0)(Warns(Squares(), 2), images[:1], 0)
    raised = {str(warning.message)[:60] for warning in seen if "non-tuple" in str(warning.message)}
    assert raised == {"Using a non-tuple sequence of the network's own"}


@pytest.fixture
def evidence() -> EvidenceClassifier:
    torch.manual_seed(0)
    encoder = build_encoder(**ENCODERS["resnet"])
    decoder = TokenDecoder(encoder.embed_dim, encoder.cell, width=16, depth=1, num_heads=2)
    return EvidenceClassifier(EvidenceNetwork(encoder, decoder), 2).eval()


def test_an_evidence_head_is_explained_by_its_own_maps(evidence: EvidenceClassifier, images: torch.Tensor) -> None:
    assert torch.equal(EvidenceExplainer()(evidence, images, 0), evidence.evidence(images).pixel_map)
    expected = evidence.explain(images, 1).clamp(min=0)
    assert torch.equal(ClassEvidenceExplainer()(evidence, images, 1), expected)


@pytest.mark.parametrize("explain", ANY, ids=lambda e: type(e).__name__)
def test_an_evidence_head_is_explained_by_all_the_others_too(
    explain: Explainer, evidence: EvidenceClassifier, images: torch.Tensor
) -> None:
    maps = explain(evidence, images, 0)
    assert maps.shape == images.shape
    assert torch.isfinite(maps).all()


def test_the_control_is_the_same_everywhere(images: torch.Tensor) -> None:
    assert ConstantExplainer()(network(), images, 0).eq(1).all()

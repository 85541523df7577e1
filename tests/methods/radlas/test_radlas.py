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

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monai_lamps.engines import Curriculum, Phase, Progress
from monai_lamps.methods import Method, RadLAS
from monai_lamps.methods.radlas import radlas_curriculum
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder, cell_means

SIZE, CELL = 24, 8
FIRST, LATER = Progress.at(0, 2, 4), Progress.at(6, 2, 4)


class _Identity(nn.Module):
    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        return x


class _Darker(nn.Module):
    """Darkens images by their key, so that views differ and samples do not."""

    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        return x * torch.where(key % 64 == 0, 0.9, 0.7).view(-1, *[1] * (x.ndim - 1))


def _network(spatial_dims: int = 2, norm: object = ("group", {"num_groups": 2})) -> EvidenceNetwork:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", spatial_dims=spatial_dims, stride=CELL, base_channels=4, norm=norm)
    decoder = TokenDecoder(encoder.embed_dim, CELL, 12, 1, 2, position_cells=3, spatial_dims=spatial_dims)
    return EvidenceNetwork(encoder, decoder)


def _radlas(network: EvidenceNetwork | None = None, **kwargs: Any) -> RadLAS:
    own: dict[str, Any] = {"hidden": 16, "out": 8, "augment": _Darker(), "curriculum": radlas_curriculum(4)}
    return RadLAS(network or _network(), **{**own, **kwargs})


def _batch(samples: int = 3, spatial_dims: int = 2) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(3)
    healthy = torch.rand(samples, 1, *(SIZE,) * spatial_dims, generator=draw) * 0.5
    lesion = torch.zeros_like(healthy)
    lesion[0, ..., 9:14, 3:15] = 0.8
    lesion[1, ..., 1:3, 1:3] = 0.5  # the third sample has none
    return {"image": healthy + 0.5 * lesion, "healthy": healthy, "lesion": lesion, "seed": torch.arange(samples) + 5}


def _plain_terms(method: RadLAS, batch: dict[str, Tensor], grounding: str) -> dict[str, Tensor]:
    """The terms with nothing hidden, from their equations, sample by sample where they contrast."""
    student, teacher = method.student, method.teacher.module
    normal = lambda x, light: (x * light - 0.5056) / 0.252  # noqa: E731
    lesioned, healthy = normal(batch["image"], 0.9), normal(batch["healthy"], 0.9)
    cells = cell_means(batch["lesion"], CELL) > 0
    z, g = student.encoder.embed(lesioned)
    r = lesioned + student.evidence.decoder(z, (SIZE // CELL,) * 2)
    error = cell_means((r - healthy).square(), CELL)
    restoration = torch.zeros(())
    for sample in range(3):
        for chosen in (cells[sample], ~cells[sample]):
            restoration = restoration + (error[sample, chosen].mean() / 3 if chosen.any() else 0)
    ill, well = (teacher.encoder.embed(normal(batch[name], 0.7))[0] for name in ("image", "healthy"))
    if grounding == "mask":
        w = cell_means(batch["lesion"], CELL) + 1e-6
        w = w / w.sum(1, keepdim=True)
    else:
        w = student.evidence.evidence(lesioned).weights
    pull = lambda tokens: (w[..., None] * tokens).sum(1)  # noqa: E731
    pairs = (
        (student.clue_head(pull(z)), teacher.context_head(ill.mean(1)), teacher.context_head(well.mean(1))),
        (student.context_head(g), teacher.clue_head(pull(ill)), teacher.clue_head(pull(well))),
    )
    contrast = torch.zeros(())
    for queries, keys, hard in pairs:
        for i in range(3):
            others = [*keys, hard[i]] if cells[i].any() else list(keys)
            logits = torch.stack([F.cosine_similarity(queries[i], k, dim=0) for k in others]) / 0.2
            contrast = contrast - logits.log_softmax(0)[i] / 3 / 2
    distance = 1 - F.cosine_similarity(z, well, dim=-1)
    context = sum(distance[i, ~cells[i]].mean() for i in range(3)) / 3
    return {"restoration": restoration, "discrimination": contrast, "context": context}


@pytest.mark.parametrize(("progress", "grounding"), [(FIRST, "mask"), (LATER, "map")])
def test_the_terms_equal_their_equations(progress: Progress, grounding: str) -> None:
    method, batch = _radlas(hide_prob=0.0, ssim_weight=0.0), _batch()
    for parameter in method.teacher.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
    terms = method(batch, progress)
    expected = _plain_terms(method, batch, grounding)
    weights = {"restoration": 1.0, "discrimination": 0.5, "context": 1.0}
    assert terms.keys() == weights.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(terms[name], weight * expected[name], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(method.latest[name], expected[name].detach(), rtol=1e-4, atol=1e-5)
    assert {"discrimination_accuracy", "lesion_preference"} < method.latest.keys()


def test_gradients_reach_the_whole_student_and_nothing_else() -> None:
    method = _radlas(hide_prob=1.0)
    sum(method(_batch(), LATER).values()).backward()
    without = [name for name, p in method.student.named_parameters() if p.grad is None]
    assert without == []
    assert not any(p.requires_grad for p in method.teacher.parameters())
    assert method.encoder is method.teacher.module.evidence.encoder is method.evidence_network.encoder


def test_lesion_cells_are_hidden_in_a_share_of_the_images_that_their_seeds_decide() -> None:
    method, batch = _radlas(hide_prob=0.5), _batch(2)
    batch = {name: value[:1].repeat(200, *[1] * (value.ndim - 1)) for name, value in batch.items()}
    batch["seed"] = torch.arange(200)
    views = method.views(batch)
    hidden = method._hidden_cells(views)
    assert hidden is not None
    some = hidden.any(dim=1)
    assert 70 < int(some.sum()) < 130
    assert torch.equal(hidden[some], views.lesion_cells[some])
    assert torch.equal(hidden, method._hidden_cells(method.views(batch)))
    assert method.eval()._hidden_cells(views) is None


def test_image_and_healthy_counterpart_are_augmented_alike_and_both_views_differently() -> None:
    method, batch = RadLAS(_network(), hidden=16, out=8), _batch()
    views = method.views({**batch, "healthy": batch["image"]})
    assert torch.equal(views.lesioned, views.healthy)
    assert torch.equal(views.other_lesioned, views.other_healthy)
    assert not torch.equal(views.lesioned, views.other_lesioned)
    assert views.has_lesion.tolist() == [True, True, False]


def test_the_teacher_and_the_scale_follow_after_the_step() -> None:
    method = _radlas()
    before = next(method.teacher.parameters()).clone()
    method(_batch(), LATER)
    with torch.no_grad():
        for p in method.student.parameters():
            p.add_(1.0)
    assert float(method.student.evidence.scale) == 1
    momentum = method.momentum(LATER)
    assert 0.996 < momentum < 1
    method.after_step(LATER)
    torch.testing.assert_close(next(method.teacher.parameters()), before + (1 - momentum))
    assert 0.9 < float(method.student.evidence.scale) != 1
    assert torch.equal(method.student.evidence.scale, method.evidence_network.scale)


def test_the_scale_is_that_of_pixels_outside_of_lesions_and_survives_a_bad_batch() -> None:
    method, batch = _radlas(augment=_Identity(), hide_prob=0.0), _batch()
    method(batch, LATER)
    found = method._new_scale
    assert found is not None
    views = method.views(batch)
    contrast = method.student.evidence.contrast(views.lesioned, method.student.evidence.restore(views.lesioned))
    torch.testing.assert_close(found, torch.quantile(contrast[batch["lesion"] == 0].detach(), 0.995))
    method({**batch, "image": torch.full_like(batch["image"], torch.nan)}, LATER)
    method.after_step(LATER)
    assert float(method.student.evidence.scale) == 1


def test_validation_leaves_no_trace() -> None:
    method = _radlas(_network(norm="batch")).eval()
    before = copy.deepcopy(method.state_dict())
    method(_batch(), LATER)
    method.readings(_batch())
    method.pictures(_batch())
    method.after_step(Progress.at(8, 2, 4))  # momentum 1
    after = method.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_readings_tell_how_well_lesions_are_removed_and_found() -> None:
    method = _radlas().eval()
    figures = method.readings(_batch())
    names = {"restoration", "discrimination", "context", "discrimination_accuracy", "lesion_preference"}
    restoration = {"lesion_error", "healthy_error", "lesion_before", "lesion_removed", "pixel_auroc"}
    assert figures.keys() == names | restoration
    assert all(value.ndim == 0 and bool(value.isfinite()) for value in figures.values())


@pytest.mark.parametrize("dims", [2, 3])
def test_pictures_and_training_work_in_two_and_three_dimensions(dims: int) -> None:
    method, batch = _radlas(_network(dims), augment=None), _batch(3, dims)
    sum(method(batch, LATER).values()).backward()
    picture = method.eval().pictures(batch)["evidence"]
    assert picture.shape == (3, 3 * SIZE, 5 * SIZE)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    assert torch.equal(
        picture[:, :SIZE, :SIZE], batch["image"][0, :, SIZE // 2 if dims == 3 else ...].expand(3, -1, -1)
    )


@pytest.mark.parametrize(
    ("weights", "named"),
    [({"discrimination": 0.0}, {"restoration", "context"}), ({"restoration": 0.0, "context": 0.0}, {"discrimination"})],
)
def test_objectives_with_weight_zero_are_left_out(weights: dict[str, float], named: set[str]) -> None:
    method = _radlas(curriculum=radlas_curriculum(4, **weights))
    assert set(method(_batch(), LATER)) == named
    assert named <= set(method.eval().readings(_batch()))


def test_it_learns_to_restore_a_batch_and_to_find_its_lesions() -> None:
    method, batch = _radlas(augment=_Identity(), ssim_weight=0.0), _batch()
    optimizer = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=3e-3)
    before = method.eval().readings(batch)
    method.train()
    for _ in range(60):
        optimizer.zero_grad()
        sum(method(batch, LATER).values()).backward()
        optimizer.step()
        method.teacher.update(method.student, 0.8)
    after = method.eval().readings(batch)
    assert float(after["lesion_error"]) < 0.8 * float(before["lesion_before"])
    assert float(before["lesion_removed"]) < 0.05
    assert float(after["lesion_removed"]) > 0.3
    assert float(after["pixel_auroc"]) > 0.9
    assert float(after["restoration"]) < float(before["restoration"])
    assert float(after["discrimination"]) < float(before["discrimination"])


def test_it_keeps_the_contract_of_a_method() -> None:
    method = _radlas()
    assert isinstance(method, Method)
    assert (method.name, method.mean, method.std) == ("radlas", 0.5056, 0.252)
    tokens, mean = method.embed(_batch()["image"])
    assert tokens.shape == (3, 9, 32)
    torch.testing.assert_close(tokens.mean(1), mean)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"hide_prob": 1.5}, r"hide_prob must lie in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"curriculum": Curriculum([Phase({"colour": 1.0})])}, r"unknown objectives \['colour'\]; RadLAS knows"),
        ({"curriculum": Curriculum([Phase({"context": 1.0})])}, "expected grounding 'mask' or 'map' among them"),
    ],
)
def test_wrong_settings_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _radlas(**kwargs)

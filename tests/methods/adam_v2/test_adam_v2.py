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

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monai_lamps.engines import Curriculum, Phase, Progress
from monai_lamps.losses import ReleasedUnitDecompositionLoss
from monai_lamps.methods import AdamV2, Method
from monai_lamps.methods.adam_v2 import (
    AdamV2Augment,
    PartComposer,
    PartDecomposer,
    RandAdamV2Viewsd,
    adam_v2_curriculum,
)
from monai_lamps.networks import Composer, Decomposer, Encoder, build_encoder

STAGES = adam_v2_curriculum([0, 1], [1, 1], [1, 1])
OBJECTIVES = ["localizability", "composability", "decomposability"]
FIGURES = ["composition_cosine", "decomposition_cosine", "part_accuracy"]
SIZE, LOCAL, DIM = 16, 8, 32


class _Still(nn.Module):
    """Augments nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, bool, Tensor]] = []

    def forward(self, x: Tensor, key: Tensor, role: str, joint: bool) -> Tensor:
        self.asked.append((role, joint, key))
        return x


def _encoder(spatial_dims: int = 2, norm: object = ("group", {"num_groups": 2})) -> Encoder:
    return build_encoder("resnet18", spatial_dims=spatial_dims, stride=8, base_channels=4, norm=norm)


def _method(encoder: Encoder | None = None, **kwargs: object) -> AdamV2:
    torch.manual_seed(0)
    defaults: dict = {"curriculum": STAGES, "prototypes": 12, "hidden": 16, "bottleneck": 8, "augment": _Still()}
    method = AdamV2(encoder or _encoder(), **{**defaults, **kwargs})
    with torch.no_grad():  # as later in training: the teacher is another network, the centre not 0
        for parameter in method.teacher.parameters():
            parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
        method.localizability_loss.center.normal_(std=0.01)
    return method


def _batch(joint: bool, samples: int = 3) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(3)

    def views(*count: int, side: int = SIZE) -> Tensor:
        return torch.rand(samples, *count, 1, side, side, generator=draw)

    batch = {"globals": views(1 if joint else 2), "locals": views(2, side=LOCAL), "seed": torch.arange(samples) + 11}
    return {**batch, "whole": views(), "parts": views(4)} if joint else batch


def _at(epoch: int, step: int = 0) -> Progress:
    return Progress.at(2 * epoch + step, steps_per_epoch=2, total_epochs=4)


def _cross_entropy(method: AdamV2, student: Tensor, teacher: Tensor) -> Tensor:
    target = ((teacher - method.localizability_loss.center) / 0.04).softmax(-1)
    return -(target * (student / 0.1).log_softmax(-1)).sum(-1).mean()


def _norm(images: Tensor) -> Tensor:
    return (images - 0.5056) / 0.252


@pytest.mark.parametrize("epoch", [0, 1])
def test_in_the_warm_up_views_agree_with_the_global_views_that_they_are_not(epoch: int) -> None:
    method, batch = _method(), _batch(joint=False)
    terms = method(batch, _at(epoch))
    teacher = [method.teacher(_norm(batch["globals"][:, i])) for i in range(2)]
    views = [*batch["globals"].unbind(1), *batch["locals"].unbind(1)]
    student = [method.student(_norm(view)) for view in views]
    pairs = [_cross_entropy(method, s, t) for w, t in enumerate(teacher) for v, s in enumerate(student) if v != w]
    assert len(pairs) == 6
    torch.testing.assert_close(terms, {"localizability": torch.stack(pairs).mean()})
    assert set(method.latest) == {"localizability"}


def test_in_joint_training_all_terms_equal_a_plain_computation() -> None:
    method, batch = _method(), _batch(joint=True)
    terms = method(batch, _at(2))
    teacher, student = method.teacher_network, method.student
    whole = teacher.encoder(_norm(batch["whole"]))
    parts = [teacher.encoder(_norm(part)) for part in batch["parts"].unbind(1)]
    views = [batch["globals"][:, 0], *batch["locals"].unbind(1)]
    local = [_cross_entropy(method, student(_norm(view)), teacher.head(whole)) for view in views]
    own = torch.cat([student.encoder(_norm(part)) for part in batch["parts"].unbind(1)], dim=1)
    composed = F.normalize(nn.Sequential(*list(method.composer)[1:])(own), dim=1)
    decomposed = nn.Sequential(*list(method.decomposer)[:-1])(student.encoder(_norm(batch["whole"]))).chunk(4, dim=1)
    errors = [F.mse_loss(F.normalize(d, dim=1), F.normalize(p, dim=1)) for d, p in zip(decomposed, parts)]
    expected = {
        "localizability": torch.stack(local).mean(),
        "composability": F.mse_loss(composed, F.normalize(whole, dim=1)),
        "decomposability": torch.stack(errors).mean(),
    }
    torch.testing.assert_close(terms, expected)
    assert set(method.latest) == {*OBJECTIVES, *FIGURES}
    cosine = F.cosine_similarity(composed, whole).mean()
    torch.testing.assert_close(method.latest["composition_cosine"], cosine.detach())
    torch.testing.assert_close(terms["composability"], (2 - 2 * cosine) / DIM)
    cosines = [
        [F.cosine_similarity(decomposed[i][b], torch.stack(parts)[:, b]) for i in range(4)] for b in range(3)
    ]  # of part i, decomposed, to all parts of sample b
    right = [float(row.argmax() == i) for sample in cosines for i, row in enumerate(sample)]
    assert float(method.latest["part_accuracy"]) == pytest.approx(sum(right) / 12)
    mean = torch.stack([row[i] for sample in cosines for i, row in enumerate(sample)]).mean()
    torch.testing.assert_close(method.latest["decomposition_cosine"], mean.detach())


def test_terms_are_weighted_by_the_curriculum() -> None:
    weights = {"localizability": 0.5, "composability": 0.0, "decomposability": 3.0}
    curriculum = adam_v2_curriculum([0], [0], [2], weights=weights)
    plain, weighted = _method(), _method(curriculum=curriculum)
    weighted.load_state_dict(plain.state_dict(), strict=False)
    given, terms = plain(_batch(True), _at(2)), weighted(_batch(True), _at(0))
    assert set(terms) == {"localizability", "decomposability"}
    assert not hasattr(weighted, "composer")
    for name, term in terms.items():
        torch.testing.assert_close(term, weights[name] * given[name])


@pytest.mark.parametrize("joint", [False, True])
def test_gradients_reach_all_that_is_active_and_prototypes_only_after_the_first_epoch(joint: bool) -> None:
    method = _method(curriculum=adam_v2_curriculum([0], [1], [2]))
    sum(method(_batch(joint), _at(2 if joint else 0)).values()).backward()
    without = {name for name, p in method.named_parameters() if p.grad is None and not name.startswith("teacher.")}
    heads = {name for name, _ in method.named_parameters() if name.startswith(("composer", "decomposer"))}
    last = "student.head.last_layer.parametrizations.weight.original"  # the magnitude (0) never learns
    assert without == ({f"{last}0"} if joint else {f"{last}0", f"{last}1", *heads})
    assert len(heads) == 8
    assert not any(p.requires_grad for p in method.teacher.parameters())


def test_the_teacher_and_the_centre_move_after_the_step() -> None:
    method, batch = _method(momentum=lambda progress: 0.9), _batch(True)
    before = {name: value.clone() for name, value in method.teacher.module.named_parameters()}
    center = method.localizability_loss.center.clone()
    logits = method.crops(batch).teacher_logits.flatten(0, 1)
    method(batch, _at(2))
    assert torch.equal(method.localizability_loss.center, center)
    method.after_step(_at(2))
    torch.testing.assert_close(method.localizability_loss.center[0], 0.9 * center[0] + 0.1 * logits.mean(0))
    student = dict(method.student.named_parameters())
    for name, value in method.teacher.module.named_parameters():
        torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * student[name])
    moved = method.localizability_loss.center.clone()
    method.after_step(_at(2, 1))
    assert torch.equal(method.localizability_loss.center, moved)


def test_validation_leaves_no_trace_and_reads_every_objective() -> None:
    method = _method(_encoder(norm="batch")).eval()
    before = copy.deepcopy(method.state_dict())
    readings = method.readings(_batch(True))
    assert set(readings) == {*OBJECTIVES, *FIGURES}
    assert all(value.ndim == 0 and not value.requires_grad for value in readings.values())
    assert set(method.readings(_batch(False))) == {"localizability"}
    method(_batch(True), _at(2))
    method.pictures(_batch(True))
    method.after_step(Progress(8, 4, 8, 4))  # momentum 1
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())


def test_the_teachers_encoder_is_exported() -> None:
    method = _method()
    assert isinstance(method, Method)
    assert method.encoder is method.teacher.module.encoder
    images = torch.rand(2, 1, SIZE, SIZE)
    assert torch.equal(method.embed(images)[1], method.encoder(_norm(images)))


def test_a_run_of_the_warm_up_alone_has_no_heads_of_parts() -> None:
    method = _method(curriculum=adam_v2_curriculum([0], [1], [0]))
    assert not any(name.startswith(("composer", "decomposer")) for name, _ in method.named_parameters())
    assert set(method.readings(_batch(True))) == {"localizability"}


def test_collaborators_are_exchanged_for_those_of_lamps_and_of_the_released_code() -> None:
    batch, released = _batch(True), ReleasedUnitDecompositionLoss()
    method = _method(composer=Composer(DIM), decomposer=Decomposer(DIM), decomposition_loss=released)
    terms = method(batch, _at(2))
    sum(terms.values()).backward()
    assert all(p.grad is not None for head in (method.composer, method.decomposer) for p in head.parameters())
    crops = method.crops(batch)
    expected = released(method.decomposer(crops.student_whole), crops.teacher_parts)
    torch.testing.assert_close(terms["decomposability"], expected)


def test_the_heads_have_two_layers_as_released() -> None:
    shapes = [tuple(p.shape) for head in (PartComposer(8), PartDecomposer(8)) for p in head.parameters()]
    assert shapes == [(8, 32), (8,), (8, 8), (8,), (8, 8), (8,), (32, 8), (32,)]
    parts = torch.randn(2, 4, 8)
    assert PartComposer(8)(parts).shape == (2, 8)
    assert PartDecomposer(8)(parts[:, 0]).shape == (2, 4, 8)


@pytest.mark.parametrize(
    ("joint", "roles"),
    [(False, {"global": 1, "local": 2, "whole": 1}), (True, {"global": 1, "local": 2, "whole": 5})],
)
def test_every_view_is_augmented_once_by_its_role_and_a_key_of_its_own(joint: bool, roles: dict[str, int]) -> None:
    method = _method()
    method.readings(_batch(joint))
    asked = method.augment.asked
    assert {role: sum(len(key) for r, _, key in asked if r == role) for role in roles} == {
        role: 3 * views for role, views in roles.items()
    }
    assert {given for _, given, _ in asked} == {joint}
    keys = torch.cat([key for _, _, key in asked])
    assert len(keys.unique()) == len(keys) == 3 * sum(roles.values())


def test_blur_and_rotation_depend_on_role_and_stage() -> None:
    augment = AdamV2Augment(16)
    blur = {"whole": 0.1, "global": 1.0, "local": 0.5}
    for stage, angle in ((augment.warm_up, 30.0), (augment.joint, 10.0)):
        assert {role: step.blur.blur_prob for role, step in stage.items()} == blur
        assert {step.rotation for step in stage.values()} == {angle}
    x, key = torch.rand(4, 1, 16, 16), torch.arange(4)
    assert torch.equal(augment(x, key, "local", True), augment.joint["local"](x, key))
    assert torch.equal(augment(x, key, "global", False), augment.warm_up["global"](x, key))


@pytest.mark.parametrize("dims", [2, 3])
def test_samples_of_the_transform_train_the_method(dims: int) -> None:
    method = _method(_encoder(dims), augment=AdamV2Augment(SIZE))
    transform = RandAdamV2Viewsd("image", STAGES, SIZE, LOCAL, local_views=2).set_random_state(0)
    for epoch in (0, 2):
        drawn = [transform({"image": torch.rand(1, *(40,) * dims), "epoch": epoch}) for _ in range(2)]
        batch = {key: torch.stack([sample[key] for sample in drawn]) for key in drawn[0] if key != "epoch"}
        batch["seed"] = torch.tensor([5, 6])
        loss = sum(method(batch, _at(epoch)).values())
        loss.backward()
        assert loss.isfinite()
        pictures = method.pictures(batch)
        assert set(pictures) == {"views", "locals", *(["parts"] if epoch else [])}
        assert pictures["views"].shape == (1, 2 * SIZE, 2 * SIZE)
        assert pictures["locals"].shape == (1, 2 * LOCAL, 2 * LOCAL)
        assert all(picture.min() >= 0 and picture.max() <= 1 for picture in pictures.values())


def test_parts_are_told_apart_after_some_steps() -> None:
    method, batch = _method(curriculum=adam_v2_curriculum([0], [0], [4])), _batch(True)
    optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
    first = method.readings(batch)
    for _ in range(40):
        optimizer.zero_grad()
        sum((terms := method(batch, _at(0))).values(), 30 * terms["decomposability"]).backward()
        optimizer.step()
    last = method.readings(batch)
    assert last["part_accuracy"] >= 0.9
    assert last["decomposability"] < first["decomposability"] / 2
    assert last["composability"] < first["composability"] / 2


def test_parts_that_the_batch_lacks_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"the objectives \['composability', .* need whole and parts, but the batch has"
    ):
        _method()(_batch(False), _at(2))


@pytest.mark.parametrize(
    ("curriculum", "message"),
    [
        (
            Curriculum([Phase({"contrast": 1}, 1, {"granularity": 0})]),
            r"the objectives \['contrast'\] by epoch, expected",
        ),
        (Curriculum([{"localizability": 1}], unit="step"), r"\['localizability'\] by step, expected some of \['local"),
        (
            Curriculum([Phase({"localizability": 1}, 1, {"granularity": 0})]),
            "expected granularity and joint among them",
        ),
    ],
)
def test_other_curricula_are_refused(curriculum: Curriculum, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _method(curriculum=curriculum)

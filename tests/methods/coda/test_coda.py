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

from monai_lamps.engines import Constant, Curriculum, Progress
from monai_lamps.losses import SupervisedContrastiveLoss, negatives_denominator
from monai_lamps.methods import Coda, Method
from monai_lamps.methods.coda import CodaAugment, RandCodaViewsd, coda_curriculum
from monai_lamps.networks import Encoder, build_encoder

SIZE, LOCAL, VIEWS, DIM = 16, 8, 3, 32
ORGANS = torch.tensor([0, 1, 0, -1, 1])
INTER, INTRA = ["inter", "organ_accuracy", "organ_chance"], ["intra", "teacher_entropy", "prototypes_used"]


class _Still(nn.Module):
    """Augments nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Tensor]] = []

    def forward(self, x: Tensor, key: Tensor, role: str) -> Tensor:
        self.asked.append((role, key))
        return x


def _encoder(spatial_dims: int = 2, norm: object = ("group", {"num_groups": 2})) -> Encoder:
    return build_encoder("resnet18", spatial_dims=spatial_dims, stride=8, base_channels=4, norm=norm)


def _method(encoder: Encoder | None = None, **kwargs: object) -> Coda:
    torch.manual_seed(0)
    defaults: dict = {"prototypes": 12, "hidden": 16, "bottleneck": 8, "augment": _Still()}
    method = Coda(encoder or _encoder(), **{**defaults, **kwargs})
    with torch.no_grad():  # as later in training: the teacher is another network, the centre not 0
        for parameter in method.teacher.parameters():
            parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
        if hasattr(method, "intra_loss"):
            method.intra_loss.center.normal_(std=0.01)
    return method


def _batch(wholes: int = 2) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(3)
    return {
        "wholes": torch.rand(5, 2, 1, SIZE, SIZE, generator=draw)[:, -wholes:],
        "locals": torch.rand(5, VIEWS, 1, LOCAL, LOCAL, generator=draw),
        "organ_index": ORGANS,
        "index": torch.tensor([7, 2, 9, 4, 2]),  # the fifth sample is the second image again
        "seed": torch.arange(5) + 11,
    }


def _at(epoch: int, total: int = 60) -> Progress:
    return Progress.at(2 * epoch, steps_per_epoch=2, total_epochs=total)


def _norm(images: Tensor) -> Tensor:
    return (images - 0.5056) / 0.252


def _plain_contrast(codes: Tensor, keys: Tensor, organs: Tensor) -> Tensor:
    """Equation 1 with all keys in the denominator, one anchor after the other."""
    known = [i for i in range(len(organs)) if organs[i] >= 0]
    losses = []
    for i in known:
        score = {j: F.cosine_similarity(codes[i], keys[j], dim=0) / 0.1 for j in known}
        total = torch.stack(list(score.values())).exp().sum()
        positive = [j for j in known if organs[j] == organs[i]]
        losses.append(-sum(torch.log(score[j].exp() / total) for j in positive) / len(positive))
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("epoch", "temperature"), [(0, 0.04), (15, 0.055), (30, 0.07), (59, 0.07)])
def test_both_terms_equal_a_plain_computation(epoch: int, temperature: float) -> None:
    method, batch = _method(), _batch()
    terms = method(batch, _at(epoch))
    teacher, student = method.teacher_network, method.student
    whole = teacher.encoder(_norm(batch["wholes"][:, 1]))
    code, logits = teacher.organ_head(whole), teacher.instance_head(whole)
    own = student.organ_head(student.encoder(_norm(batch["wholes"][:, 0])))
    target = ((logits - method.intra_loss.center) / temperature).softmax(-1)
    views = [student.instance_head(student.encoder(_norm(view))) for view in batch["locals"].unbind(1)]
    local = [-(target * (view / 0.1).log_softmax(-1)).sum(-1).mean() for view in views]
    expected = {"inter": _plain_contrast(own, code, ORGANS), "intra": torch.stack(local).mean()}
    torch.testing.assert_close(terms, expected)
    assert set(method.latest) == {*INTER, *INTRA}
    torch.testing.assert_close(method.latest["inter"], expected["inter"].detach())
    torch.testing.assert_close(method.latest["intra"], expected["intra"].detach())


def test_figures_leave_out_unknown_organs_and_the_image_itself() -> None:
    method, batch = _method(), _batch()
    method(batch, _at(1))
    codes, keys = method.views(batch).student_code, method.views(batch).teacher_code
    others = {0: [1, 2, 4], 1: [0, 2], 2: [0, 1, 4], 4: [0, 2]}
    right = [
        float(ORGANS[max(js, key=lambda j: F.cosine_similarity(codes[i], keys[j], dim=0))] == ORGANS[i])
        for i, js in others.items()
    ]
    assert float(method.latest["organ_accuracy"]) == pytest.approx(sum(right) / 4)
    assert float(method.latest["organ_chance"]) == pytest.approx((1 / 3 + 0 + 1 / 3 + 0) / 4)


def test_terms_are_weighted_by_the_curriculum() -> None:
    given, terms = _method()(_batch(), _at(1)), _method(curriculum=coda_curriculum(0.5, 3.0))(_batch(), _at(1))
    torch.testing.assert_close(terms, {"inter": 0.5 * given["inter"], "intra": 3.0 * given["intra"]})


@pytest.mark.parametrize(
    ("weights", "built", "absent"),
    [((1.0, 0.0), "organ_head", "instance_head"), ((0.0, 1.0), "instance_head", "organ_head")],
)
def test_an_ablation_builds_and_reads_only_what_it_trains(
    weights: tuple[float, float], built: str, absent: str
) -> None:
    method = _method(curriculum=coda_curriculum(*weights))
    names = {name.split(".")[1] for name, _ in method.named_parameters() if name.startswith("student.")}
    assert names == {"encoder", built}
    batch = _batch(2 if weights[0] else 1)
    del batch["locals" if weights[0] else "index"]
    terms = method(batch, _at(1))
    assert set(terms) == {"inter" if weights[0] else "intra"}
    sum(terms.values()).backward()
    method.after_step(_at(1))
    readings = method.readings({**batch, "index": torch.arange(5)})
    assert set(readings) == {*(INTER if weights[0] else INTRA), "organ_retrieval", "organ_chance"}
    assert not hasattr(method.student, absent)


def test_gradients_reach_all_that_is_trained_and_prototypes_only_after_the_first_epoch() -> None:
    last = "student.instance_head.last_layer.parametrizations.weight.original"  # the magnitude (0) never learns
    for epoch, expected in ((0, {f"{last}0", f"{last}1"}), (1, {f"{last}0"})):
        method = _method()
        sum(method(_batch(), _at(epoch)).values()).backward()
        without = {n for n, p in method.named_parameters() if p.grad is None and not n.startswith("teacher.")}
        assert without == expected
    assert not any(p.requires_grad for p in method.teacher.parameters())


def test_a_batch_of_unknown_organs_learns_from_the_intra_organ_branch_alone() -> None:
    method, batch = _method(), {**_batch(), "organ_index": torch.full((5,), -1)}
    terms = method(batch, _at(1))
    assert float(terms["inter"]) == 0
    assert float(method.latest["organ_accuracy"]) == float(method.latest["organ_chance"]) == 0
    sum(terms.values()).backward()
    assert all(not p.grad.any() for p in method.student.organ_head.parameters())
    assert any(p.grad.any() for p in method.student.encoder.parameters())


def test_an_unknown_organ_changes_nothing_between_the_others() -> None:
    batch = _batch()
    known = {name: values[ORGANS >= 0] for name, values in batch.items()}
    torch.testing.assert_close(_method()(batch, _at(1))["inter"], _method()(known, _at(1))["inter"])


def test_the_teacher_and_the_centre_move_after_the_step() -> None:
    method, batch = _method(momentum=Constant(0.9)), _batch()
    before = {name: value.clone() for name, value in method.teacher.module.named_parameters()}
    center, logits = method.intra_loss.center.clone(), method.views(batch).teacher_logits[0]
    method(batch, _at(2))
    assert torch.equal(method.intra_loss.center, center)
    method.after_step(_at(2))
    torch.testing.assert_close(method.intra_loss.center[0], 0.9 * center[0] + 0.1 * logits.mean(0))
    student = dict(method.student.named_parameters())
    for name, value in method.teacher.module.named_parameters():
        torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * student[name])
    moved = method.intra_loss.center.clone()
    method.after_step(_at(3))
    assert torch.equal(method.intra_loss.center, moved)


def test_validation_leaves_no_trace_and_reads_both_objectives() -> None:
    method = _method(_encoder(norm="batch")).eval()
    before = copy.deepcopy(method.state_dict())
    readings = method.readings(_batch())
    assert set(readings) == {*INTER, *INTRA, "organ_retrieval"}
    assert all(value.ndim == 0 and not value.requires_grad for value in readings.values())
    method(_batch(), _at(2))
    method.pictures(_batch())
    method.after_step(Progress(8, 4, 8, 4))  # momentum 1
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())


def test_retrieval_is_that_of_the_exported_encoder() -> None:
    method, batch = _method().eval(), {**_batch(), "index": torch.arange(5)}
    found = F.normalize(method.encoder(_norm(batch["wholes"][:, 1])), dim=1)
    known = [0, 1, 2, 4]
    right = [ORGANS[max(set(known) - {i}, key=lambda j, i=i: float(found[i] @ found[j]))] == ORGANS[i] for i in known]
    assert float(method.readings(batch)["organ_retrieval"]) == pytest.approx(sum(map(int, right)) / 4)


def test_the_teachers_encoder_is_exported() -> None:
    method = _method()
    assert isinstance(method, Method)
    assert method.encoder is method.teacher.module.encoder
    images = torch.rand(2, 1, SIZE, SIZE)
    assert torch.equal(method.embed(images)[1], method.encoder(_norm(images)))


def test_the_printed_denominator_is_a_collaborator() -> None:
    printed = SupervisedContrastiveLoss(denominator=negatives_denominator)
    method, batch = _method(inter_loss=printed), _batch()
    views = method.views(batch)
    expected = printed(views.student_code, ORGANS, views.teacher_code, ORGANS)
    torch.testing.assert_close(method(batch, _at(1))["inter"], expected)
    assert float(expected) < float(_method()(batch, _at(1))["inter"])


def test_every_view_is_augmented_once_by_its_role_and_a_key_of_its_own() -> None:
    method = _method()
    method.readings(_batch())
    counts = {role: len(key) for role, key in method.augment.asked}
    assert counts == {"student": 5, "teacher": 5, "local": 5 * VIEWS}
    keys = torch.cat([key for _, key in method.augment.asked])
    assert len(keys.unique()) == len(keys) == 5 * (2 + VIEWS)


def test_blur_depends_on_the_role() -> None:
    augment = CodaAugment(16)
    assert {role: step.blur.blur_prob for role, step in augment.roles.items()} == {
        "student": 1.0, "teacher": 0.1, "local": 0.5
    }  # fmt: skip
    assert {(step.rotation, step.jitter_prob) for step in augment.roles.values()} == {(30.0, 0.8)}
    x, key = torch.rand(4, 1, 16, 16), torch.arange(4)
    assert torch.equal(augment(x, key, "local"), augment.roles["local"](x, key))


@pytest.mark.parametrize("dims", [2, 3])
def test_samples_of_the_transforms_train_the_method(dims: int) -> None:
    curriculum = coda_curriculum()
    method = _method(_encoder(dims), augment=CodaAugment(SIZE), curriculum=curriculum, organs=["chest", "hand"])
    views = RandCodaViewsd("image", curriculum, SIZE, LOCAL, local_views=2).set_random_state(0)
    drawn = [views({"image": torch.rand(1, *(40,) * dims)}) for _ in range(3)]
    batch = {key: torch.stack([sample[key] for sample in drawn]) for key in ("wholes", "locals")}
    batch |= {"seed": torch.tensor([5, 6, 7]), "index": torch.arange(3), "organ_index": torch.tensor([1, 0, -1])}
    loss = sum(method(batch, _at(1)).values())
    loss.backward()
    assert loss.isfinite()
    pictures = method.pictures(batch)
    assert pictures["views"].shape == (1, 2 * SIZE, 3 * SIZE)
    assert pictures["locals"].shape == (1, 2 * LOCAL, 2 * LOCAL)
    assert pictures["organs"].shape[0] == 3


def test_pictures_of_an_ablation_show_what_there_is() -> None:
    alone = _method(curriculum=coda_curriculum(0.0))
    pictures = alone.pictures(_batch(1))
    assert pictures["views"].shape == (1, SIZE, 5 * SIZE)
    inter = _method(curriculum=coda_curriculum(intra=0.0))
    batch = _batch()
    del batch["locals"]
    assert set(inter.pictures(batch)) == {"views", "organs"}
    assert set(inter.pictures({name: value[:1] for name, value in batch.items()})) == {"views"}


def test_one_whole_is_too_few_for_the_contrast() -> None:
    with pytest.raises(ValueError, match="needs two wholes of each image, but the batch has one; give the sample"):
        _method()(_batch(1), _at(1))


def test_impossible_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown objectives \['contrast'\]; Coda knows \['inter', 'intra'\]"):
        _method(curriculum=Curriculum([{"contrast": 1.0}]))
    with pytest.raises(ValueError, match="expected one above 0"):
        coda_curriculum(0.0, 0.0)
    with pytest.raises(ValueError, match="Weight of objective 'intra' got -1"):
        coda_curriculum(intra=-1)

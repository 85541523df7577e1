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
from monai_lamps.methods import Adam, Method
from monai_lamps.methods.adam import (
    AdamAugment,
    adam_curriculum,
    batch_accuracy,
    nearest_parts,
    neighbour_picture,
    queue_and_batch_negatives,
)
from monai_lamps.networks import Encoder, build_encoder

STAGES = adam_curriculum([0, 2], 2)
SIZE = 16


class _Identity(nn.Module):
    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        return x


def _encoder(spatial_dims: int = 2, norm: object = ("group", {"num_groups": 2})) -> Encoder:
    return build_encoder("resnet18", spatial_dims=spatial_dims, stride=8, base_channels=4, norm=norm)


def _adam(encoder: Encoder | None = None, **kwargs: object) -> Adam:
    torch.manual_seed(0)
    defaults: dict = {"curriculum": STAGES, "queue_size": 12, "hidden": 16, "out": 8, "augment": _Identity()}
    return Adam(encoder or _encoder(), **{**defaults, **kwargs})


def _batch(samples: int = 4, spatial_dims: int = 2) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(3)
    return {
        "views": torch.rand(samples, 2, 1, *(SIZE,) * spatial_dims, generator=draw),
        "granularity": torch.tensor([0, 2] * (samples // 2)),
        "seed": torch.arange(samples) + 11,
        "index": torch.arange(samples),
    }


def _at(epoch: int, step: int = 0, epochs: int = 4) -> Progress:
    return Progress.at(2 * epoch + step, steps_per_epoch=2, total_epochs=epochs)


def _plain(method: Adam, batch: dict[str, Tensor], threshold: float | None, others: bool = False) -> Tensor:
    """The contrast, sample by sample; with ``others`` also against the other keys of the batch."""
    losses = []
    keys = F.normalize(method.teacher((batch["views"][:, 1] - 0.5056) / 0.252), dim=1)
    for i, (first, _) in enumerate(batch["views"]):
        query = F.normalize(method.student.head(method.student.encoder((first[None] - 0.5056) / 0.252)), dim=1)[0]
        key = keys[i]
        held = [*method.queue.keys, *(k for j, k in enumerate(keys) if others and j != i)]
        negatives = [k for k in held if threshold is None or float(k @ query.detach()) < threshold]
        logits = torch.stack([query @ key, *(query @ k for k in negatives)]) / 0.2
        losses.append(-logits.log_softmax(0)[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("epoch", "threshold"), [(0, None), (2, 0.2)])
def test_the_contrast_equals_a_plain_computation(epoch: int, threshold: float | None) -> None:
    method, batch = _adam(curriculum=adam_curriculum([0, 2], 2, threshold=0.2)), _batch()
    terms = method(batch, _at(epoch))
    assert set(terms) == {"contrast"}
    torch.testing.assert_close(terms["contrast"], _plain(method, batch, threshold))
    assert (float(method.latest["pruned_share"]) > 0) == (threshold is not None)
    names = {"contrast", "pruned_share", "positive_cosine", "negative_cosine", "contrast_accuracy", "batch_accuracy"}
    assert set(method.latest) == names


@pytest.mark.parametrize(("epoch", "threshold"), [(0, None), (2, 0.2)])
def test_the_other_keys_of_the_batch_may_join_the_negatives(epoch: int, threshold: float | None) -> None:
    stages = adam_curriculum([0, 2], 2, threshold=0.2)
    method, batch = _adam(curriculum=stages, negatives=queue_and_batch_negatives), _batch()
    with_batch = method(batch, _at(epoch))["contrast"]
    torch.testing.assert_close(with_batch, _plain(method, batch, threshold, others=True))
    assert with_batch > _adam(curriculum=stages)(batch, _at(epoch))["contrast"]


def test_gradients_reach_the_whole_student_and_nothing_else() -> None:
    method = _adam()
    sum(method(_batch(), _at(0)).values()).backward()
    without = [name for name, p in method.student.named_parameters() if p.grad is None]
    assert without == []
    assert not any(p.requires_grad for p in method.teacher.parameters())
    assert method.encoder is method.student.encoder


def test_the_teacher_follows_by_0_999_and_the_keys_join_the_queue() -> None:
    method, batch = _adam(), _batch()
    before, queue = next(method.teacher.parameters()).clone(), method.queue.keys.clone()
    method(batch, _at(0))
    _, key_view = method.views(batch)
    keys = F.normalize(method.teacher(key_view), dim=1)
    assert torch.equal(method.queue.keys, queue)  # only after the step
    with torch.no_grad():
        for p in method.student.parameters():
            p.add_(1.0)
    method.after_step(_at(0))
    torch.testing.assert_close(next(method.teacher.parameters()), before + 0.001)
    torch.testing.assert_close(method.queue.keys[:4], keys)
    assert torch.equal(method.queue.keys[4:], queue[4:])
    assert method.queue.pointer == 4


def test_a_step_without_new_keys_leaves_the_queue() -> None:
    method = _adam()
    method(_batch(), _at(0))
    method.after_step(_at(0))
    method.after_step(_at(0, 1))
    assert method.queue.pointer == 4


def test_validation_leaves_no_trace() -> None:
    method = _adam(_encoder(norm="batch")).eval()
    before = copy.deepcopy(method.state_dict())
    method(_batch(), _at(0))
    method.readings(_batch())
    method.pictures(_batch())
    method.train().after_step(_at(0))
    after = method.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("reset", [False, True])
def test_the_queue_is_kept_or_emptied_when_a_stage_begins(reset: bool) -> None:
    method = _adam(curriculum=adam_curriculum([0, 2], 2, reset_queue=reset))
    empty = method.queue.keys.clone()
    for step in range(4):  # two epochs of two steps
        method(_batch(), _at(0, step))
        method.after_step(_at(0, step))
        assert torch.equal(method.queue.keys, empty) == (reset and step == 3)
    method(_batch(), _at(2))
    method.after_step(_at(2))
    assert not torch.equal(method.queue.keys, empty)


def test_an_image_that_is_not_finite_does_not_stay_in_the_queue() -> None:
    method, batch = _adam(), _batch()
    batch["views"][1] = float("nan")
    method(batch, _at(0))
    method.after_step(_at(0))
    assert method.queue.keys.isfinite().all()


def test_the_last_step_of_a_run_ends_it_quietly() -> None:
    method = _adam(curriculum=adam_curriculum([0, 2], 2, reset_queue=True))
    method(_batch(), _at(3, 1))
    method.after_step(_at(3, 1))
    assert method.queue.pointer == 4


def test_readings_take_for_each_sample_the_threshold_of_its_granularity() -> None:
    method, batch = _adam(curriculum=adam_curriculum([0, 2], 2, threshold=-0.99)).eval(), _batch()
    readings = method.readings(batch)
    torch.testing.assert_close(readings["pruned_share"], torch.tensor(0.5))  # all negatives of the two parts
    whole = {name: value[batch["granularity"] == 0] for name, value in batch.items()}
    torch.testing.assert_close(readings["contrast"], _plain(method, whole, None) / 2)  # nothing left: a loss of 0


def test_one_process_does_not_shuffle_and_batch_normalisation_works() -> None:
    method, batch = _adam(_encoder(norm="batch")), _batch()
    statistics = method.teacher.module.encoder.resnet.bn1.running_mean.clone()
    terms = method(batch, _at(0))
    key = method.teacher(method.views(batch)[1])
    query = method.student(method.views(batch)[0])
    torch.testing.assert_close(terms["contrast"], method.losses[0](query, key, method.queue.negatives))
    assert not torch.equal(statistics, method.teacher.module.encoder.resnet.bn1.running_mean)


def test_a_sample_is_augmented_alike_in_any_batch_and_its_views_apart() -> None:
    method, batch = _adam(augment=AdamAugment(SIZE)), _batch()
    batch["views"][:, 1] = batch["views"][:, 0]
    first, second = method.views(batch)
    alone, _ = method.views({name: value[2:3] for name, value in batch.items()})
    torch.testing.assert_close(alone, first[2:3])
    assert not torch.equal(first, second)


def test_volumes_are_trained() -> None:
    method = _adam(_encoder(3))
    terms = method(_batch(spatial_dims=3), _at(0))
    assert torch.isfinite(terms["contrast"])
    terms["contrast"].backward()


def test_pictures_show_views_and_nearest_neighbours_of_parts() -> None:
    method, batch = _adam().eval(), _batch()
    assert set(method.pictures(batch)) == {"views"}
    parts = torch.rand(4, 4, 1, SIZE, SIZE)
    pictures = method.pictures({**batch, "parts": parts})
    assert {name: tuple(picture.shape) for name, picture in pictures.items()} == {
        "views": (1, 2 * SIZE, 4 * SIZE),
        "neighbours": (3, 4 * SIZE, 6 * SIZE),
    }
    assert all(picture.min() >= 0 and picture.max() <= 1 for picture in pictures.values())
    assert isinstance(method, Method)


def test_the_nearest_parts_of_an_encoder_that_knows_places_are_of_the_same_place() -> None:
    place = torch.eye(4).expand(3, 4, 4) + 0.01 * torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
    nearest = nearest_parts(place, count=2)
    assert nearest.shape == (3, 4, 2)
    assert torch.equal(nearest % 4, torch.arange(4)[None, :, None].expand(3, 4, 2))
    assert not (nearest // 4 == torch.arange(3)[:, None, None]).any()  # never of the same image
    parts = torch.zeros(3, 4, 1, 32, 32)
    right = neighbour_picture(parts, place, shown=[(0, 1)], count=2)
    torch.testing.assert_close(right[:, 0, 40], torch.tensor([0.25, 0.85, 0.35]))
    assert not right[:, :, :32].any()  # the part in question has no frame
    wrong = neighbour_picture(parts, place.roll(1, 0) + torch.arange(3)[:, None, None], shown=[(0, 1)], count=12)
    assert wrong.shape == (3, 32, 9 * 32)
    torch.testing.assert_close(wrong[:, 0, -1], torch.tensor([0.9, 0.25, 0.2]))


def test_batch_accuracy_of_perfect_mixed_and_constant_embeddings() -> None:
    query = torch.eye(4) * torch.tensor([1.0, 5.0, 0.1, 2.0])[:, None]  # lengths do not matter
    assert batch_accuracy(query, torch.eye(4)) == 1.0
    assert batch_accuracy(query, torch.eye(4)[[0, 1, 3, 2]]) == 0.5
    assert batch_accuracy(torch.ones(4, 3), torch.ones(4, 3)) == 0.25


@pytest.mark.parametrize(
    ("curriculum", "message"),
    [
        (Curriculum([{"jigsaw": 1.0}]), r"objectives \['jigsaw'\] by epoch, expected contrast alone"),
        (Curriculum([{"contrast": 1.0}], unit="step"), r"\['contrast'\] by step, expected contrast alone, by epoch"),
        (Curriculum([Phase({"contrast": 1.0})]), "settings {}, expected a granularity among them"),
    ],
)
def test_a_curriculum_of_another_method_is_refused(curriculum: Curriculum, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _adam(curriculum=curriculum)

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
from torch import Tensor, nn

from monai_lamps.engines import Curriculum, Progress
from monai_lamps.losses import ReleasedTokenConsistencyLoss
from monai_lamps.methods import Lamps, Method
from monai_lamps.methods.lamps import LampsGeometry, lamps_curriculum, order_map
from monai_lamps.networks import build_encoder

CELL, GEOMETRY = 8, LampsGeometry(cell=8, region=8, view=6, window=4)
ALL = lamps_curriculum("joint")


class _Identity(nn.Module):
    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        return x


class _Forbidden(nn.Module):
    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        raise AssertionError("an inactive objective asked for augmented crops")


def _encoder(spatial_dims: int = 2) -> nn.Module:
    return build_encoder("resnet18", spatial_dims=spatial_dims, in_channels=1, stride=8, base_channels=4)


def _lamps(**kwargs: object) -> Lamps:
    torch.manual_seed(0)
    defaults: dict = {"geometry": GEOMETRY, "decoder_depth": 1, "decoder_heads": 4, "augment": _Identity()}
    return Lamps(_encoder(), **{**defaults, **kwargs})


def _batch(geometry: LampsGeometry = GEOMETRY, samples: int = 2) -> dict[str, Tensor]:
    g, n = geometry, geometry.spatial_dims
    draw = torch.Generator().manual_seed(3)
    return {
        "image": torch.rand(samples, 1, *(g.region_size,) * n, generator=draw),
        "view_offset": torch.randint(0, g.region - g.view + 1, (samples, 2, n), generator=draw),
        "window_offset": torch.randint(0, g.view - g.window + 1, (samples, 2, n), generator=draw),
        "permutation": torch.stack([torch.randperm(g.tokens, generator=draw) for _ in range(samples)]),
        "seed": torch.arange(samples) + 11,
        "index": torch.arange(samples),
    }


def _view(batch: dict[str, Tensor], sample: int, view: int) -> Tensor:
    """A normalised view cut out by plain slicing, (1, 1, S, S)."""
    row, column = (batch["view_offset"][sample, view] * CELL).tolist()
    size = GEOMETRY.view * CELL
    return (batch["image"][sample : sample + 1, :, row : row + size, column : column + size] - 0.5056) / 0.252


def _at(step: int) -> Progress:
    return Progress.at(step, steps_per_epoch=1, total_epochs=12)


@pytest.mark.parametrize(
    ("epoch", "terms"),
    [
        (0, {"extrapolation"}),
        (1, {"order", "consistency"}),
        (2, {"composition", "decomposition"}),
        (3, {"extrapolation"}),
    ],
)
def test_published_curriculum_has_one_objective_an_epoch(epoch: int, terms: set[str]) -> None:
    assert set(_lamps()(_batch(), _at(epoch))) == terms


def test_joint_curriculum_is_the_mean_of_the_objectives() -> None:
    joint, method, batch = _lamps(curriculum=ALL), _lamps(), _batch()
    single = sum(sum(method(batch, _at(epoch)).values()) for epoch in range(3)) / 3
    torch.testing.assert_close(sum(joint(batch, _at(0)).values()), single)


def test_step_curriculum_changes_the_objective_every_step() -> None:
    method = _lamps(curriculum=lamps_curriculum("step"))
    seen = [set(method(_batch(), Progress.at(step, 100, 1))) for step in range(3)]
    assert seen == [{"extrapolation"}, {"order", "consistency"}, {"composition", "decomposition"}]


def test_extrapolation_equals_a_plain_computation() -> None:
    method, batch = _lamps().eval(), _batch(samples=1)
    term = method(batch, _at(0))["extrapolation"]
    losses = []
    for view in range(2):
        image = _view(batch, 0, view)
        row, column = batch["window_offset"][0, view].tolist()
        size = GEOMETRY.window
        crop = image[..., row * CELL : (row + size) * CELL, column * CELL : (column + size) * CELL]
        visible = method.student.encoder.embed(crop)[0][0]
        filled = method.decoder.mask_token[0, 0].repeat(GEOMETRY.view, GEOMETRY.view, 1)
        filled[row : row + size, column : column + size] = visible.unflatten(0, (size, size))
        predicted = method.decoder(filled.flatten(0, 1)[None])[0]
        target = method.encoder.embed(image)[0][0]
        hidden = torch.ones(GEOMETRY.view, GEOMETRY.view)
        hidden[row : row + size, column : column + size] = 0
        elementwise = F.smooth_l1_loss(predicted, target, reduction="none").mean(-1)
        losses.append((elementwise * hidden.flatten()).mean())
    torch.testing.assert_close(term, torch.stack(losses).mean())


def test_shuffle_terms_equal_a_plain_computation() -> None:
    method, batch = _lamps().eval(), _batch()
    terms = method(batch, _at(1))
    order, consistency = [], []
    for sample in range(2):
        permutation = batch["permutation"][sample].tolist()
        for view in range(2):
            image, shuffled = _view(batch, sample, view), torch.empty(1, 1, 48, 48)
            for j, p in enumerate(permutation):
                (r, c), (pr, pc) = divmod(j, 6), divmod(p, 6)
                shuffled[..., r * 8 : r * 8 + 8, c * 8 : c * 8 + 8] = image[
                    ..., pr * 8 : pr * 8 + 8, pc * 8 : pc * 8 + 8
                ]
            tokens = method.student.encoder.embed(shuffled)[0][0]
            order.append(F.cross_entropy(method.order_head(tokens[None])[0], torch.tensor(permutation)))
            target = method.encoder.embed(image)[0][0]
            consistency.append(F.mse_loss(tokens, target[permutation]))
    torch.testing.assert_close(terms["order"], 0.1 * torch.stack(order).mean())
    torch.testing.assert_close(terms["consistency"], torch.stack(consistency).mean())


def test_hierarchy_terms_equal_a_plain_computation() -> None:
    method, batch = _lamps().eval(), _batch()
    terms, half = method(batch, _at(2)), GEOMETRY.view * CELL // 2
    corners = [(0, 0), (half, 0), (0, half), (half, half)]  # TL, BL, TR, BR
    student, teacher = method.student.encoder, method.encoder
    composition, decomposition = [], []
    for sample in range(2):
        for view in range(2):
            image = _view(batch, sample, view)
            parts = [image[..., r : r + half, c : c + half] for r, c in corners]
            composed = method.composer(torch.stack([student.embed(part)[1] for part in parts], dim=1))
            composition.append(F.smooth_l1_loss(composed, teacher.embed(image)[1]))
            split = method.decomposer(student.embed(image)[1])[0]
            targets = [teacher.embed(part)[1][0] for part in parts]
            decomposition.append(torch.stack([F.smooth_l1_loss(s, t) for s, t in zip(split, targets)]).mean())
    torch.testing.assert_close(terms["composition"], torch.stack(composition).mean())
    torch.testing.assert_close(terms["decomposition"], torch.stack(decomposition).mean())


@pytest.mark.parametrize("epoch", [0, 1])
def test_inactive_objectives_make_no_crops(epoch: int) -> None:
    _lamps(augment=_Forbidden())(_batch(), _at(epoch))
    with pytest.raises(AssertionError, match="inactive"):
        _lamps(augment=_Forbidden())(_batch(), _at(2))


def test_gradients_reach_the_student_and_the_active_heads_only() -> None:
    method = _lamps()
    sum(method(_batch(), _at(1)).values()).backward()
    with_grad = {name.split(".")[0] for name, p in method.named_parameters() if p.grad is not None}
    assert with_grad == {"student", "order_head"}
    assert not any(p.requires_grad for p in method.teacher.parameters())


def test_heads_of_unnamed_objectives_are_not_built() -> None:
    method = _lamps(curriculum=Curriculum([{"order": 1.0}]))
    assert not any(hasattr(method, name) for name in ("decoder", "composer", "decomposer"))
    assert method.student.cross_view is None


def test_teacher_follows_the_student_by_the_scheduled_momentum() -> None:
    method = _lamps()
    before = next(method.teacher.parameters()).clone()
    with torch.no_grad():
        for p in method.student.parameters():
            p.add_(1.0)
    method.after_step(_at(0))
    torch.testing.assert_close(next(method.teacher.parameters()), before + (1 - 0.996))


def test_released_consistency_differs_from_the_aligned_one() -> None:
    batch = _batch()
    aligned = _lamps()(batch, _at(1))["consistency"]
    released = _lamps(consistency_loss=ReleasedTokenConsistencyLoss())(batch, _at(1))["consistency"]
    assert not torch.allclose(aligned, released)


def test_cross_view_objective_trains_and_moves_its_centre() -> None:
    method = _lamps(curriculum=lamps_curriculum("epoch", cross_view=True), prototypes=32)
    terms = method(_batch(), _at(3))
    assert set(terms) == {"global_view", "local_view"}
    sum(terms.values()).backward()
    centre = method.cross_view.global_loss.center.clone()
    method.after_step(_at(3))
    assert not torch.equal(centre, method.cross_view.global_loss.center)
    assert method.student.encoder.norm.weight.grad.abs().sum() > 0


def test_validation_leaves_no_trace_in_the_centre() -> None:
    method = _lamps(curriculum=lamps_curriculum("epoch", cross_view=True), prototypes=32)
    method.eval()
    method.readings(_batch())
    method.train()
    method(_batch(), _at(0))
    method.after_step(_at(0))
    assert not method.cross_view.global_loss.center.any()


def test_hierarchy_and_cross_view_share_one_pass_over_the_augmented_views() -> None:
    method = _lamps(curriculum=lamps_curriculum("joint", cross_view=True), prototypes=32)
    seen: list[int] = []
    method.student.encoder.norm.register_forward_hook(lambda module, inputs, output: seen.append(1))
    method(_batch(), _at(0))
    assert len(seen) == 4  # context, shuffled views, quadrants, augmented views


def test_prototypes_are_held_in_the_first_epoch() -> None:
    method = _lamps(curriculum=lamps_curriculum("joint", cross_view=True), prototypes=32)
    prototypes = method.student.cross_view.whole.last_layer.parametrizations.weight.original1
    for epoch, trained in ((0, False), (1, True)):
        method.zero_grad()
        sum(method(_batch(), _at(epoch)).values()).backward()
        assert (prototypes.grad is not None) == trained


def test_augmentation_of_a_sample_does_not_depend_on_its_batch() -> None:
    method, batch = Lamps(_encoder(), geometry=GEOMETRY, decoder_depth=1, decoder_heads=4), _batch()
    second = {name: value[1:] for name, value in batch.items()}
    torch.testing.assert_close(method.crops(batch).quadrants[8:], method.crops(second).quadrants)


def test_volumes_are_trained_with_octants() -> None:
    geometry = LampsGeometry(cell=8, region=5, view=4, window=3, spatial_dims=3)
    method = Lamps(_encoder(3), geometry, curriculum=ALL, decoder_depth=1, decoder_heads=4)
    terms = method(_batch(geometry, samples=1), _at(0))
    assert set(terms) == set(ALL.objectives)
    assert all(torch.isfinite(term) for term in terms.values())
    sum(terms.values()).backward()


def test_readings_and_pictures_describe_a_validation_batch() -> None:
    method, batch = _lamps().eval(), _batch()
    readings = method.readings(batch)
    assert set(readings) == {*ALL.objectives, "order_accuracy", "order_near_accuracy"}
    assert 0 <= float(readings["order_accuracy"]) <= 1
    pictures = method.pictures(batch)
    assert set(pictures) == {"views", "context", "quadrants", "order_map"}
    assert all(p.ndim == 3 and p.shape[0] in (1, 3) and p.min() >= 0 and p.max() <= 1 for p in pictures.values())


def test_order_map_of_perfect_answers_is_the_view_framed_in_green() -> None:
    view, permutation = torch.rand(1, 16, 16), torch.randperm(4)
    shuffled = torch.empty_like(view)
    for j, p in enumerate(permutation.tolist()):
        (r, c), (pr, pc) = divmod(j, 2), divmod(p, 2)
        shuffled[:, r * 8 : r * 8 + 8, c * 8 : c * 8 + 8] = view[:, pr * 8 : pr * 8 + 8, pc * 8 : pc * 8 + 8]
    drawn = order_map(shuffled, F.one_hot(permutation, 4).float(), permutation, 8)
    torch.testing.assert_close(drawn[:, 1:7, 1:7], view[:, 1:7, 1:7].expand(3, -1, -1))
    torch.testing.assert_close(drawn[:, 0, 0], torch.tensor([0.25, 0.85, 0.35]))
    wrong = order_map(shuffled, F.one_hot((permutation + 1) % 4, 4).float(), permutation, 8)
    torch.testing.assert_close(wrong[:, 0, 0], torch.tensor([0.9, 0.25, 0.2]))
    assert isinstance(_lamps(), Method)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="stride is 8 px but the geometry's cell is 4 px"):
        Lamps(_encoder(), geometry=LampsGeometry(cell=4))
    with pytest.raises(ValueError, match=r"unknown objectives \['jigsaw'\]"):
        _lamps(curriculum=Curriculum([{"jigsaw": 1.0}]))
    with pytest.raises(ValueError, match="unknown curriculum 'weekly', valid values are epoch, step, joint"):
        lamps_curriculum("weekly")

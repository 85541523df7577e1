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

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from monai_lamps.losses import DINOLoss


def reference(student: torch.Tensor, teacher: torch.Tensor, center: torch.Tensor, shared: int) -> torch.Tensor:
    terms = []
    for w in range(len(teacher)):
        for v in range(len(student)):
            if v != w or w >= shared:
                target = ((teacher[w] - center) / 0.04).exp()
                target = target / target.sum(-1, keepdim=True)
                scores = student[v] / 0.1
                log_probability = scores - scores.exp().sum(-1, keepdim=True).log()
                terms.append(-(target * log_probability).sum(-1).mean())
    return sum(terms) / len(terms)


@pytest.mark.parametrize(
    ("views", "teacher_views", "shared"),
    [(2, 2, None), (4, 2, None), (2, 1, None), (4, 2, 2), (4, 1, 0), (1, 1, 0), (2, 3, 0), (3, 2, 1), (1, 2, 1)],
)
def test_value_and_gradient_are_those_of_the_plain_cross_entropy(
    views: int, teacher_views: int, shared: int | None
) -> None:
    torch.manual_seed(0)
    loss = DINOLoss(6)
    loss.center.copy_(0.1 * torch.randn(1, 6))
    logits, teacher = torch.rand(views, 3, 6), torch.rand(teacher_views, 3, 6, requires_grad=True)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    value = loss(ours, teacher, shared)
    expected = reference(theirs, teacher.detach(), loss.center, teacher_views if shared is None else shared)
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert teacher.grad is None


def test_a_view_is_never_compared_with_itself() -> None:
    loss = DINOLoss(4)
    teacher = torch.stack([torch.eye(4)[:1], torch.eye(4)[1:2]])
    assert loss(teacher.flip(0), teacher) < 0.01 < 5 < loss(teacher, teacher)


def test_views_that_only_the_teacher_sees_are_compared_with_all_of_the_student() -> None:
    torch.manual_seed(0)
    loss, student, teacher = DINOLoss(5), torch.randn(3, 2, 5), torch.randn(1, 2, 5)
    assert torch.equal(loss(student, teacher, shared=0), loss(torch.cat([teacher, student]), teacher))
    assert not torch.equal(loss(student, teacher, shared=0), loss(student, teacher))


def test_the_teachers_temperature_may_be_moved_during_a_run() -> None:
    torch.manual_seed(0)
    student, teacher, loss = torch.randn(2, 3, 4), torch.randn(2, 3, 4), DINOLoss(4)
    before = loss(student, teacher)
    loss.teacher_temperature = 0.07
    assert torch.equal(loss(student, teacher), DINOLoss(4, teacher_temperature=0.07)(student, teacher))
    assert not torch.equal(loss(student, teacher), before)
    assert list(loss.state_dict()) == ["center"]


def test_the_centre_moves_only_when_told_and_is_saved() -> None:
    loss = DINOLoss(3)
    logits = torch.randn(2, 5, 3)
    loss(logits, logits)
    assert torch.equal(loss.center, torch.zeros(1, 3))
    loss.update_center(logits)
    torch.testing.assert_close(loss.center, 0.1 * logits.flatten(0, 1).mean(0, keepdim=True))
    loss.update_center(logits[0])
    expected = 0.9 * 0.1 * logits.flatten(0, 1).mean(0) + 0.1 * logits[0].mean(0)
    torch.testing.assert_close(loss.center[0], expected)
    assert loss.state_dict()["center"].shape == (1, 3)


def _move_center(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    loss = DINOLoss(3)
    loss.update_center(torch.full((1 + rank, 3), float(1 + rank)))  # 1 once, 2 twice
    torch.save(loss.center, f"{folder}/center{rank}.pt")
    dist.destroy_process_group()


def test_the_centre_is_the_mean_over_all_processes(tmp_path: Path) -> None:
    mp.start_processes(_move_center, args=(str(tmp_path),), nprocs=2, start_method="spawn")
    for rank in range(2):
        center = torch.load(tmp_path / f"center{rank}.pt", weights_only=True)
        torch.testing.assert_close(center, torch.full((1, 3), 0.1 * 5 / 3))


def test_bfloat16_logits_are_computed_in_float32() -> None:
    student, teacher = torch.randn(2, 3, 4).bfloat16(), torch.randn(2, 3, 4).bfloat16()
    loss = DINOLoss(4)
    value = loss(student, teacher)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(student.float(), teacher.float()))
    loss.update_center(teacher)
    assert loss.center.dtype == torch.float32


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        ((3, 4), (3, 4), r"student_logits \(V, B, K\) of shape \(\*, \*, 4\), got \(3, 4\)"),
        ((2, 3, 5), (2, 3, 4), r"student_logits .*\(\*, \*, 4\), got \(2, 3, 5\)"),
        ((2, 3, 4), (2, 2, 4), r"teacher_logits \(W, B, K\) of shape \(\*, 3, 4\), got \(2, 2, 4\)"),
        ((1, 3, 4), (1, 3, 4), "at least one pair of different views, got 1 of the student and 1 of .* 1 in common"),
        ((2, 3, 4), (3, 3, 4), "got 2 of the student and 3 of the teacher with 3 in common; pass shared=0"),
        ((0, 3, 4), (0, 3, 4), "got 0 of the student and 0 of the teacher"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(student: tuple, teacher: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DINOLoss(4)(torch.zeros(student), torch.zeros(teacher))


@pytest.mark.parametrize("shared", [-1, 3])
def test_an_impossible_number_of_shared_views_is_refused(shared: int) -> None:
    with pytest.raises(ValueError, match=f"got 2 of the student and 3 of the teacher with {shared} in common"):
        DINOLoss(4)(torch.zeros(2, 3, 4), torch.zeros(3, 3, 4), shared)


def test_other_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected teacher_logits \(..., 4\), got \(2, 5\)"):
        DINOLoss(4).update_center(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"temperatures must be positive, got 0.1 and 0"):
        DINOLoss(4, teacher_temperature=0)
    with pytest.raises(ValueError, match=r"center_momentum must lie in \[0, 1\], got 1.1"):
        DINOLoss(4, center_momentum=1.1)


def test_a_batch_that_is_not_finite_leaves_the_centre_alone() -> None:
    loss = DINOLoss(4)
    loss.update_center(torch.ones(2, 4))
    before = loss.center.clone()
    loss.update_center(torch.full((2, 4), float("nan")))
    assert torch.equal(loss.center, before)

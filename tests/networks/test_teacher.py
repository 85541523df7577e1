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
from monai.networks.blocks.transformerblock import TransformerBlock
from monai.networks.layers.drop_path import DropPath
from torch import nn

from monai_lamps.networks import DINOHead, EMATeacher, SwinEncoder


class Student(nn.Module):
    """Convolution, batch normalisation and dropout, plus a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) * self.scale


def pair() -> tuple[Student, EMATeacher]:
    torch.manual_seed(0)
    student = Student()
    teacher = EMATeacher(student)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter))
    return student, teacher


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.996, 1.0])
def test_the_update_is_the_moving_average(momentum: float) -> None:
    student, teacher = pair()
    before = [parameter.clone() for parameter in teacher.module.parameters()]
    teacher.update(student, momentum)
    for old, new, target in zip(before, teacher.module.parameters(), student.parameters()):
        torch.testing.assert_close(new, momentum * old + (1 - momentum) * target)
        if momentum == 1:
            assert torch.equal(new, old)
        if momentum == 0:
            assert torch.equal(new, target)


def test_momentum_one_keeps_the_teacher_even_from_a_broken_student() -> None:
    student, teacher = pair()
    with torch.no_grad():
        student.body[0].weight.fill_(float("nan"))
    teacher.update(student, 1.0)
    assert all(parameter.isfinite().all() for parameter in teacher.module.parameters())


def test_nothing_is_shared_with_the_student() -> None:
    student, teacher = pair()
    teacher.update(student, 0.0)
    ours = {t.untyped_storage().data_ptr() for t in (*teacher.parameters(), *teacher.buffers())}
    theirs = {t.untyped_storage().data_ptr() for t in (*student.parameters(), *student.buffers())}
    assert not ours & theirs
    before = teacher.module.body[0].weight.clone()
    with torch.no_grad():
        student.body[0].weight.add_(1)
    assert torch.equal(teacher.module.body[0].weight, before)


def test_no_gradient_and_no_dropout_even_while_training() -> None:
    student, teacher = pair()
    teacher.train()
    x = torch.randn(4, 1, 8, 8, requires_grad=True)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    out = teacher(x)
    assert not out.requires_grad
    assert torch.equal(out, teacher(x))
    assert student.body[2].p == 0.5


def test_stochastic_depth_and_attention_dropout_are_off_in_the_teacher_only() -> None:
    kwargs = {"embed_dim": 4, "depths": (2,), "num_heads": (2,), "window_size": 2, "patch_size": 2}
    student = SwinEncoder("toy", drop_path=0.5, **kwargs)
    teacher = EMATeacher(student).train()
    rates = [module.drop_prob for module in teacher.modules() if isinstance(module, DropPath)]
    assert rates == [0.0]
    assert [module.drop_prob for module in student.modules() if isinstance(module, DropPath)] == [0.5]
    x = torch.randn(8, 1, 8, 8)
    assert torch.equal(teacher(x), teacher(x))
    assert not torch.equal(student(x), student(x))
    block = EMATeacher(TransformerBlock(8, 8, 2, dropout_rate=0.5, use_flash_attention=True)).train()
    tokens = torch.randn(2, 3, 8)
    assert torch.equal(block(tokens), block(tokens))


def test_buffers_follow_the_student_but_running_statistics_come_from_own_passes() -> None:
    student, teacher = pair()
    student.scale.fill_(3.0)
    student(torch.randn(4, 1, 8, 8) + 5)
    teacher.update(student, 0.5)
    assert teacher.module.scale.item() == 3.0
    assert torch.equal(teacher.module.body[1].running_mean, torch.zeros(2))
    teacher(torch.randn(4, 1, 8, 8))
    own = teacher.module.body[1].running_mean.clone()
    assert not torch.equal(own, torch.zeros(2))
    teacher.update(student, 0.0)
    assert torch.equal(teacher.module.body[1].running_mean, own)
    assert teacher.module.body[1].num_batches_tracked == 1


def test_a_weight_normed_head_is_followed_too() -> None:
    student = DINOHead(4, out_dim=6, hidden_dim=4, bottleneck_dim=3)
    teacher = EMATeacher(student)
    with torch.no_grad():
        student.last_layer.parametrizations.weight.original1.add_(torch.randn(6, 3))
    x = torch.randn(2, 4)
    assert not torch.allclose(teacher(x), student(x))
    teacher.update(student, 0.0)
    torch.testing.assert_close(teacher(x), student(x))


def test_the_state_of_the_teacher_is_saved_with_the_module_that_holds_it() -> None:
    student, teacher = pair()
    holder = nn.ModuleDict({"student": student, "teacher": teacher})
    assert "teacher.module.body.0.weight" in holder.state_dict()
    other = EMATeacher(Student())
    other.load_state_dict(teacher.state_dict())
    assert torch.equal(other.module.body[0].weight, teacher.module.body[0].weight)


@pytest.mark.parametrize("momentum", [-0.1, 1.5, float("nan")])
def test_a_momentum_out_of_range_is_refused(momentum: float) -> None:
    student, teacher = pair()
    with pytest.raises(ValueError, match=rf"momentum must lie in \[0, 1\], got {momentum}"):
        teacher.update(student, momentum)


def test_another_student_is_refused() -> None:
    _, teacher = pair()
    with pytest.raises(ValueError, match=r"parameters are not the teacher's; first difference: '0.bias'"):
        teacher.update(nn.Sequential(nn.Linear(2, 2)), 0.9)
    other = Student()
    other.body[0] = nn.Conv2d(1, 2, 5)
    with pytest.raises(ValueError, match=r"first difference: 'body.0.weight'"):
        teacher.update(other, 0.9)
    other = Student()
    other.register_buffer("extra", torch.zeros(1))
    with pytest.raises(ValueError, match=r"buffers are not the teacher's; first difference: 'extra'.*wrapper"):
        teacher.update(other, 0.9)

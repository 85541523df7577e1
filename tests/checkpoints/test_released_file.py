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

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_lamps.checkpoints import open_released, read_released

Write = Callable[..., Path]
ONE, TWO = torch.ones(2), torch.full((2,), 2.0)


def same(state: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return state.keys() == expected.keys() and all(torch.equal(state[key], expected[key]) for key in expected)


def test_a_whole_released_checkpoint_is_understood(released: Path, network: Callable) -> None:
    file = open_released(released)
    assert list(file.networks) == ["teacher", "student"]
    assert same(file.networks["student"], network(1))
    assert same(file.networks["teacher"], network(2))
    assert file.epoch == 302
    assert file.arguments == {"arch": "swin_base", "epochs": 302, "lr": 5e-4, "crops": [0.05, 0.4]}
    assert torch.equal(file.losses["dino_loss"]["center"], torch.arange(16.0)[None])
    assert file.entries[:2] == ("student", "teacher")
    assert "optimizer" in file.entries


def test_the_teacher_is_read_unless_the_student_is_asked_for(released: Path, network: Callable) -> None:
    assert same(read_released(released), network(2))
    assert same(read_released(released, "teacher"), network(2))
    assert same(read_released(released, "student"), network(1))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"student": {"module.w": ONE}}, "student"),
        ({"model": {"module.w": ONE}, "optimizer": {}, "epoch": 3}, "model"),
        ({"state_dict": {"w": ONE}}, "model"),
        ({"module.w": ONE}, "model"),
        ({"module._orig_mod.module.w": ONE}, "model"),
        ({"w": ONE, "version": "2"}, "model"),
        ({"teacher.w": ONE}, "teacher"),
        ({"state_dict": {"module.student.module.w": ONE}}, "student"),
    ],
)
def test_wrappers_and_prefixes_are_taken_off(write: Write, content: dict[str, Any], name: str) -> None:
    file = open_released(write(content))
    assert list(file.networks) == [name]
    assert same(read_released(file.path), {"w": ONE})


def test_networks_told_by_the_prefix_of_their_keys_are_split(write: Write) -> None:
    file = open_released(write({"state_dict": {"student.w": ONE, "teacher.w": TWO, "center": ONE}}))
    assert list(file.networks) == ["teacher", "student"]
    assert same(file.networks["teacher"], {"w": TWO})


def test_keys_that_only_contain_a_wrapper_keep_it(write: Write) -> None:
    assert list(read_released(write({"my_module.w": ONE, "a.module.b": ONE}))) == ["my_module.w", "a.module.b"]


def test_an_epoch_that_is_no_number_is_left_out(write: Write) -> None:
    assert open_released(write({"model": {"w": ONE}, "epoch": "last"})).epoch is None


def test_a_network_that_is_not_in_the_file_is_named_with_those_that_are(write: Write) -> None:
    path = write({"teacher": {"w": ONE}})
    with pytest.raises(
        ValueError, match=r"released\.pth' holds no network 'student' but \['teacher'\]; take one of these"
    ):
        read_released(path, "student")


@pytest.mark.parametrize("content", [{}, {"epoch": 3, "optimizer": {"state": {}}}, {"model": {}}])
def test_a_file_without_a_state_dict_is_refused(write: Write, content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown layout in '.*released\.pth': no state dict among its entries \["):
        open_released(write(content))


@pytest.mark.parametrize(("content", "kind"), [([ONE], "list"), (ONE, "Tensor"), (3, "int")])
def test_a_file_that_holds_no_dictionary_is_refused(write: Write, content: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"released\.pth' holds a {kind}, expected a dictionary with a state dict"):
        open_released(write(content))

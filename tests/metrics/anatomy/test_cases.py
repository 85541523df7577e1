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

import numpy as np
import pytest
import torch

from monai_lamps.metrics import patients_of
from monai_lamps.metrics.anatomy import NO_GROUP, group_numbers, groups_of
from monai_lamps.metrics.anatomy.cases import mean_over_cases, share_above


def test_names_become_the_same_numbers_in_every_process() -> None:
    numbers = group_numbers(["p1", 7, "p1"], 3)
    assert numbers[0] == numbers[2] != numbers[1]
    assert numbers.tolist() == [4180916545568191396, 4166962095178261472, 4180916545568191396]


def test_integers_are_taken_as_they_are() -> None:
    assert group_numbers(torch.tensor([5, 2], dtype=torch.int32), 2).tolist() == [5, 2]


def test_a_case_without_a_patient_is_one_of_its_own_as_in_the_tables_of_cases() -> None:
    names = ["a", None, "", "a", "b"]
    dense = groups_of(names, 5)
    assert group_numbers(names, 5)[1:3].tolist() == [NO_GROUP, NO_GROUP]
    assert dense[0] == dense[3]
    assert sorted(set(dense.tolist())) == [0, 1, 2, 3]
    assert len(set(patients_of([{"patient": name} for name in names]))) == 4
    assert sorted(groups_of(None, 3).tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"], "groups must name the patient of each of the 2 cases, got 1"),
        (torch.tensor([0.5, 1.5]), r"groups must be integers \(N,\), got torch.float32 of shape \(2,\)"),
        (torch.zeros(2, 1, dtype=torch.int64), r"groups must be integers \(N,\), got torch.int64 of shape \(2, 1\)"),
    ],
)
def test_patients_that_do_not_fit_are_refused(groups: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_numbers(groups, 2)  # type: ignore[arg-type]


def test_a_mean_leaves_out_what_is_not_defined() -> None:
    values = torch.tensor([1.0, torch.nan, 4.0])
    assert mean_over_cases(values, np.array([2.0, 5.0, 1.0])) == 2
    assert np.isnan(mean_over_cases(values, np.array([0.0, 1.0, 0.0])))


def test_equal_to_the_control_counts_one_half() -> None:
    above = share_above(torch.tensor([1.0, 1.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 2.0, torch.nan]))
    assert above[:3].tolist() == [1, 0.5, 0]
    assert above[3].isnan()

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

from typing import Any

import numpy as np
import pytest

from monai_lamps.data.annotations import AnnotationError, decode_run_lengths


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    mask = decode_run_lengths({"size": [3, 4], "counts": [1, 2, 3, 1]}, "x")
    assert np.array_equal(mask, [[False, False, True, False], [True, False, False, False], [True, False, False, False]])


def test_counts_that_cover_all_and_none_are_allowed() -> None:
    assert decode_run_lengths({"size": [2, 3], "counts": [0, 6]}, "x").all()
    assert not decode_run_lengths({"size": [2, 3], "counts": []}, "x").any()


@pytest.mark.parametrize(
    "code",
    [
        {"size": [2, 3]},
        {"counts": [1]},
        {"size": [2], "counts": [1]},
        {"size": [2, 3], "counts": [1.5]},
        {"size": [2, 3], "counts": [-1, 2]},
        {"size": [2, 3], "counts": "abc"},
        {"size": [0, 3], "counts": []},
        "1 2",
    ],
)
def test_what_is_no_code_is_refused(code: Any) -> None:
    with pytest.raises(AnnotationError, match=r"run lengths of 'heart': expected .*'counts': .whole numbers from 0"):
        decode_run_lengths(code, "'heart'")


def test_counts_beyond_the_size_are_refused() -> None:
    with pytest.raises(
        AnnotationError, match=r"run lengths of 'heart': the counts cover 7 pixels, the size 2 x 3.*has 6"
    ):
        decode_run_lengths({"size": [2, 3], "counts": [3, 4]}, "'heart'")

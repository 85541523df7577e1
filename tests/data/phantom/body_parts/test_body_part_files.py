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

import numpy as np
import pytest
from PIL import Image

from monai_lamps.data import draw_body_part, write_body_parts


def test_each_part_has_a_folder_with_its_images(tmp_path: Path) -> None:
    paths = write_body_parts(tmp_path / "new", 2, 32, seed=5, parts=["hand", "jaw"])
    assert {part: [str(path.relative_to(tmp_path / "new")) for path in files] for part, files in paths.items()} == {
        "hand": ["hand/hand_00000.png", "hand/hand_00001.png"],
        "jaw": ["jaw/jaw_00000.png", "jaw/jaw_00001.png"],
    }
    with Image.open(paths["jaw"][1]) as picture:
        assert picture.mode == "L"
        grey = np.asarray(picture, dtype=np.float32) / 255
    assert np.abs(grey - draw_body_part("jaw", 1, 32, seed=5).image[0]).max() <= 0.5 / 255 + 1e-6


def test_a_second_call_draws_only_what_is_missing(tmp_path: Path) -> None:
    paths = write_body_parts(tmp_path, 2, 32, parts=["hand"])["hand"]
    content, times = paths[0].read_bytes(), [path.stat().st_mtime_ns for path in paths]
    paths[0].unlink()
    assert write_body_parts(tmp_path, 2, 32, parts=["hand"])["hand"] == paths
    assert paths[0].read_bytes() == content
    assert paths[1].stat().st_mtime_ns == times[1]


def test_a_folder_of_other_body_parts_is_refused(tmp_path: Path) -> None:
    write_body_parts(tmp_path, 1, 32, seed=1, parts=["hand"])
    with pytest.raises(
        ValueError, match=r"holds body parts of .*'seed': 1.*expected .*'seed': 2.*give an empty folder"
    ):
        write_body_parts(tmp_path, 1, 32, seed=2, parts=["hand"])
    with pytest.raises(ValueError, match=r"holds body parts of .*\['hand'\].*expected .*\['foot', 'hand'\]"):
        write_body_parts(tmp_path, 1, 32, seed=1, parts=["hand", "foot"])
    record = tmp_path / ".body_parts.json"
    record.write_text("{ half")
    with pytest.raises(ValueError, match="holds body parts of unknown arguments"):
        write_body_parts(tmp_path, 1, 32, seed=1, parts=["hand"])
    record.unlink()
    with pytest.raises(ValueError, match=r"holds body parts of unknown arguments \(hand\)"):
        write_body_parts(tmp_path, 1, 32, seed=1, parts=["hand"])


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"n": 0}, ValueError, "n must be at least 1 image of at least one part, got 0"),
        ({"n": 1, "parts": []}, ValueError, r"n must be at least 1 image of at least one part, got 1 of \[\]"),
        ({"n": "3"}, TypeError, "n must be an integer, got '3' of type str"),
        ({"n": 1, "size": 8}, ValueError, "size must be at least 32"),
        ({"n": 1, "parts": ["liver"]}, ValueError, "body part got 'liver'"),
    ],
)
def test_bad_arguments_write_nothing(tmp_path: Path, kwargs: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        write_body_parts(tmp_path / "new", **kwargs)
    assert not (tmp_path / "new").exists()

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
from PIL import Image

from monai_lamps.data.phantom import (
    draw_thorax,
    write_phantoms,
)


def test_written_files_hold_the_images_in_eight_bits(tmp_path):
    paths = write_phantoms(tmp_path / "new" / "folder", 3, size=40, seed=5)
    assert [p.name for p in paths] == ["thorax_00000.png", "thorax_00001.png", "thorax_00002.png"]
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            assert picture.mode == "L"
            grey = np.asarray(picture, dtype=np.float32) / 255
        assert np.abs(grey - draw_thorax(index, 40, seed=5)[0]).max() <= 0.5 / 255 + 1e-6


def test_writing_again_touches_nothing_and_completes_what_is_missing(tmp_path):
    paths = write_phantoms(tmp_path, 3, size=32)
    content = [p.read_bytes() for p in paths]
    times = [p.stat().st_mtime_ns for p in paths]
    assert write_phantoms(tmp_path, 3, size=32) == paths
    assert [p.stat().st_mtime_ns for p in paths] == times
    paths[1].unlink()
    more = write_phantoms(tmp_path, 4, size=32)
    assert [p.read_bytes() for p in more[:3]] == content
    assert [more[k].stat().st_mtime_ns for k in (0, 2)] == [times[0], times[2]]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".phantoms.json", *(p.name for p in more)]


def test_writing_refuses_a_folder_of_other_phantoms(tmp_path):
    write_phantoms(tmp_path, 2, size=32, seed=1)
    with pytest.raises(ValueError, match=r"holds phantoms of .*'seed': 1.*expected .*'seed': 2.*give an empty folder"):
        write_phantoms(tmp_path, 2, size=32, seed=2)
    with pytest.raises(ValueError, match=r"holds 1 phantoms beyond the 1 asked for, such as thorax_00001.png"):
        write_phantoms(tmp_path, 1, size=32, seed=1)
    (tmp_path / ".phantoms.json").write_text("{ half")
    with pytest.raises(ValueError, match="holds phantoms of unknown arguments"):
        write_phantoms(tmp_path, 2, size=32, seed=1)


def test_writing_refuses_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="n must be at least 1 image, got 0"):
        write_phantoms(tmp_path, 0)
    with pytest.raises(TypeError, match="n must be an integer, got '3' of type str"):
        write_phantoms(tmp_path, "3")
    with pytest.raises(ValueError, match="size must be at least 32"):
        write_phantoms(tmp_path, 1, size=8)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, expected a folder"):
        write_phantoms(tmp_path / "file", 1, size=32)

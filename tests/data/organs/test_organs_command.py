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

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monai_lamps.data import load_datalist, save_datalist
from monai_lamps.data.__main__ import main
from monai_lamps.data.organs import FolderOrgans, add_organs


def test_the_command_writes_what_the_headers_say(
    tmp_path: Path, save_dicom: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "films").mkdir()
    stated = {"a": ("HAND", "L"), "b": ("KNEE", ""), "c": ("HANDS", "R")}
    for name, (part, side) in stated.items():
        save_dicom(
            tmp_path / "films" / f"{name}.dcm", np.zeros((4, 4), np.uint8), BodyPartExamined=part, Laterality=side
        )
    sections = {"training": [{"image": "films/a.dcm", "patient": "1"}, {"image": "films/b.dcm"}], "validation": []}
    sections["validation"].append({"image": "films/c.dcm"})
    old = save_datalist(tmp_path / "old.json", sections, name="films")
    caplog.set_level("INFO")
    assert main(["organs", str(old), "--from", "dicom", "--out", str(tmp_path / "new" / "new.json")]) == 0
    content = json.loads((tmp_path / "new" / "new.json").read_text())
    assert content == {
        "name": "films",
        "training": [
            {"image": "../films/a.dcm", "patient": "1", "organ": "hand", "laterality": "L"},
            {"image": "../films/b.dcm", "organ": "knee"},
        ],
        "validation": [{"image": "../films/c.dcm", "organ": "hand", "laterality": "R"}],
    }
    assert "2 hand, 1 knee -> " in caplog.text


def test_folders_name_organs_and_masks_stay_where_they_are(tmp_path: Path) -> None:
    item = {"image": "hand/left/a.png", "masks": {"bone": "masks/a.png"}, "organ": "old"}
    datalist = save_datalist(tmp_path / "list.json", {"training": [item, {"image": "other/b.png", "organ": "foot"}]})
    assert add_organs(datalist, datalist, FolderOrgans()) == {"hand": 1}
    first, second = load_datalist(datalist)
    assert first == {
        "image": str(tmp_path / "hand/left/a.png"),
        "masks": {"bone": str(tmp_path / "masks/a.png")},
        "organ": "hand",
        "laterality": "L",
    }
    assert second["organ"] == "foot"


def test_errors_of_use_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datalist = save_datalist(tmp_path / "list.json", {"training": [{"image": "hand/a.png"}]})
    out = ["--out", str(tmp_path / "new.json")]
    assert main(["organs", str(datalist), "--from", "dicom", "--level", "1", *out]) == 2
    assert "error: --level got 1, which belongs to --from folder; leave it out." in capsys.readouterr().err
    assert main(["organs", str(datalist), "--from", "folder", "--level", "2", *out]) == 2
    assert "has a known organ in the names of the folders" in capsys.readouterr().err
    assert not (tmp_path / "new.json").exists()
    assert main(["organs", str(datalist), "--from", "folder", "--level", "1", *out]) == 0

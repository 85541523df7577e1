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
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.bundle import (
    classes_in,
    labelled_datalist,
    labelled_sections,
    section_items,
    structures_in,
)

Item = dict[str, Any]


def _items(count: int, **entries: Any) -> list[Item]:
    return [{"image": f"{number}.png", "patient": f"p{number // 2}", **entries} for number in range(count)]


def _write(path: Path, **sections: Any) -> Path:
    path.write_text(json.dumps(sections))
    return path


def test_a_datalist_must_be_given_and_exist(tmp_path: Path) -> None:
    path = _write(tmp_path / "list.json", training=_items(2))
    assert labelled_datalist(path) == path
    with pytest.raises(ValueError, match="no labelled data: give --datalist FILE"):
        labelled_datalist("")
    with pytest.raises(FileNotFoundError, match=r"'nowhere.json' does not exist"):
        labelled_datalist("nowhere.json")
    with pytest.raises(FileNotFoundError, match="dataset_dir 'nowhere' is not a folder"):
        labelled_datalist(path, "nowhere")


def test_sections_are_taken_as_they_are(tmp_path: Path) -> None:
    path = _write(tmp_path / "list.json", training=_items(4), validation=_items(2), test=_items(1))
    sections = labelled_sections(path, tmp_path / "other")
    assert {name: len(items) for name, items in sections.items()} == {"training": 4, "validation": 2, "test": 1}
    assert sections["training"][0]["image"] == str(tmp_path / "other" / "0.png")


def test_without_validation_some_patients_of_training_are_taken(tmp_path: Path) -> None:
    path = _write(tmp_path / "list.json", training=_items(40), test=_items(1))
    sections = labelled_sections(path, validation_share=0.25)
    patients = [{item["patient"] for item in sections[name]} for name in ("training", "validation")]
    assert patients[0].isdisjoint(patients[1])
    assert 0 < len(sections["validation"]) < 20
    assert len(sections["training"]) + len(sections["validation"]) == 40
    assert len(sections["test"]) == 1
    assert section_items(path, "validation", validation_share=0.25) == sections["validation"]


def test_a_datalist_without_training_or_validation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no training image"):
        labelled_sections(_write(tmp_path / "a.json", training=[]))
    with pytest.raises(ValueError, match="has no validation images, and 1 training images"):
        labelled_sections(_write(tmp_path / "b.json", training=_items(1)))


def test_a_section_to_judge_by_must_be_known_and_hold_images(tmp_path: Path) -> None:
    path = _write(tmp_path / "list.json", training=_items(3))
    assert len(section_items(path, "training")) == 3
    with pytest.raises(ValueError, match="section got 'tests', expected one of training, validation, test"):
        section_items(path, "tests")
    with pytest.raises(ValueError, match="no image in section 'test' \\(it has 3 training, 0 validation, 0 test\\)"):
        section_items(path, "test")


def test_names_come_from_the_training_images(tmp_path: Path) -> None:
    masks = {"heart": "h.png", "lung": None}
    path = _write(tmp_path / "list.json", training=_items(2, masks=masks, labels={"Edema": 1, "Mass": -1}))
    assert structures_in(path) == ["heart", "lung"]
    assert classes_in(path) == ["Edema", "Mass"]
    assert structures_in("", ["heart"]) == ["heart"]
    assert classes_in("", "", ("Edema",)) == ["Edema"]
    bare = _write(tmp_path / "bare.json", training=_items(2))
    with pytest.raises(ValueError, match=r"no training image of datalist .* has a mask"):
        structures_in(bare)
    with pytest.raises(ValueError, match=r"no training image of datalist .* has 'labels'"):
        classes_in(bare)


def test_a_label_map_has_the_structures_that_the_datalist_states(tmp_path: Path) -> None:
    path = _write(tmp_path / "list.json", training=_items(1, label="map.png"), structures={"heart": 1})
    assert structures_in(path) == ["heart"]

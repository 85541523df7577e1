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

import numpy as np
import pytest
import torch

from monai_lamps.bundle import annotated_phantoms
from monai_lamps.data import RejectLog, load_datalist
from monai_lamps.data.landmarks import LandmarkFile, MaskLandmarks, save_phantom_landmarks
from monai_lamps.data.organs import OrganLabel
from monai_lamps.engines.anatomy import Case, CaseReader, check_annotations, read_cases
from monai_lamps.engines.anatomy.case import resize


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """Items of four small phantoms, and the file of their landmarks."""
    folder = tmp_path_factory.mktemp("phantoms")
    items = load_datalist(annotated_phantoms(folder, 8, 64))
    return items, save_phantom_landmarks(folder / "landmarks.json", 8, 64)


def test_image_points_and_masks_come_into_one_frame(phantoms: tuple[list[dict[str, Any]], Path]) -> None:
    items, landmarks = phantoms
    case = CaseReader(96, LandmarkFile(landmarks))(items[0])
    assert case.image.shape == (1, 96, 96)
    assert case.patient == items[0]["patient"]
    assert set(case.masks) == {"right_lung", "left_lung", "heart"}
    rows, columns = torch.nonzero(case.masks["heart"], as_tuple=True)
    middle = ((rows + 0.5).mean() / 96, (columns + 0.5).mean() / 96)
    points = [point for name, point in case.points.items() if name.startswith("heart")]
    np.testing.assert_allclose(np.mean(points, axis=0), middle, atol=0.04)
    from_masks = CaseReader(96, MaskLandmarks())(items[0])
    np.testing.assert_allclose(from_masks.points["heart 1"], middle, atol=0.01)


def test_only_the_structures_asked_for_are_read(phantoms: tuple[list[dict[str, Any]], Path]) -> None:
    assert set(CaseReader(64, structures=["heart"])(phantoms[0][0]).masks) == {"heart"}
    bare = CaseReader(64, structures=[])(phantoms[0][0])
    assert (bare.masks, bare.points) == ({}, {})


def test_points_outside_the_image_are_left_out(phantoms: tuple[list[dict[str, Any]], Path]) -> None:
    def outside(item: Any, masks: Any) -> dict[str, tuple[float, float]]:
        return {"in": (0.0, 63.0), "below": (64.0, 3.0), "left": (3.0, -1.0)}

    assert list(CaseReader(64, outside)(phantoms[0][0]).points) == ["in"]


def test_what_a_radiograph_shows_stands_in_its_columns_unless_asked_otherwise(
    phantoms: tuple[list[dict[str, Any]], Path],
) -> None:
    item = {**phantoms[0][0], "organ": "THORAX", "view": "pa"}
    read = CaseReader(64, structures=[])
    assert (read(item).organ.organ, read(item).organ.view) == ("chest", "PA")
    assert read(phantoms[0][0]).organ.organ == ""
    elsewhere = CaseReader(64, structures=[], organs=lambda item: OrganLabel("hand", "L"))
    assert elsewhere(item).organ == OrganLabel("hand", "L")
    assert (read(item).source, read({**item, "source": "jsrt"}).source) == ("", "jsrt")
    assert CaseReader(64, structures=[], source="view")(item).source == "pa"


def test_the_image_is_read_by_the_reader_that_is_given() -> None:
    def dark(path: Any) -> tuple[Any, dict[str, Any]]:
        return np.full((40, 50), 0.25, np.float32), {"path": path, "patient": "a"}

    case = CaseReader(64, structures=[], reader=dark)({"image": "nowhere.png"})
    assert (case.patient, case.image.shape) == ("a", (1, 64, 64))
    torch.testing.assert_close(case.image, torch.full((1, 64, 64), 0.25))


def test_a_frame_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 px, got 16"):
        CaseReader(16)


def test_what_cannot_be_used_is_set_aside(phantoms: tuple[list[dict[str, Any]], Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    items = [*phantoms[0], {"image": str(tmp_path / "broken.png")}]
    rejects = RejectLog(tmp_path / "rejected.csv")
    cases = read_cases(items, CaseReader(64), rejects)
    assert [case.name for case in cases] == [Path(item["image"]).name for item in phantoms[0]]
    assert "broken.png" in (tmp_path / "rejected.csv").read_text()
    with pytest.raises(RuntimeError, match=r"1 of 5 radiographs cannot be used.*broken.png.*raise max_reject"):
        read_cases(items, CaseReader(64))
    with pytest.raises(RuntimeError, match=r"2 of 6 radiographs cannot be used, more than max_reject=5\.0%"):
        read_cases([*items, items[-1]], CaseReader(64), rejects)
    with pytest.raises(ValueError, match="at least 2; got 1"):
        read_cases(items[:1], CaseReader(64))


def test_annotations_that_are_nowhere_are_refused(phantoms: tuple[list[dict[str, Any]], Path], tmp_path: Path) -> None:
    cases = read_cases(phantoms[0], CaseReader(64))
    (tmp_path / "other.json").write_text(json.dumps({"other.png": {"heart": [[1, 2]]}}))
    with pytest.raises(ValueError, match=r"other.json' list none of the 4 radiographs, such as thorax_00000.png"):
        check_annotations(cases, tmp_path / "other.json")
    with pytest.raises(ValueError, match="structures got 'hart', which no radiograph has; they have right_lung, left"):
        check_annotations(cases, "none", ["heart", "hart"])
    check_annotations(cases, "none", ["heart"])
    check_annotations([Case("a", "a", torch.zeros(1, 32, 32))], "masks")


def test_resizing_keeps_what_has_the_size_and_the_mean_of_the_rest() -> None:
    image = torch.rand(1, 32, 48, generator=torch.Generator().manual_seed(0))
    assert resize(image[..., :32], 32) is not None
    assert torch.equal(resize(image[..., :32], 32), image[..., :32])
    ramp = torch.linspace(0, 1, 64).expand(2, 1, 64, 64)
    torch.testing.assert_close(resize(ramp, 16).mean(), ramp.mean())
    assert resize(image, 16).shape == (1, 16, 16)

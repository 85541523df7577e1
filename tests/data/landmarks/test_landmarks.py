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

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_lamps.data.annotations import AnnotationError, read_binary_mask
from monai_lamps.data.landmarks import (
    LandmarkFile,
    MaskLandmarks,
    NoLandmarks,
    landmark_source,
    mask_points,
    named_points,
    read_landmarks,
    save_landmarks,
    save_phantom_landmarks,
)


def _positions(count: int) -> np.ndarray:
    return np.stack([np.arange(count), 10 + np.arange(count)], 1).astype(np.float32)


def test_points_are_counted_from_one_and_single_ones_are_not_counted() -> None:
    points = named_points({"heart": _positions(3), "carina": _positions(1)})
    assert points == {"heart 1": (0, 10), "heart 2": (1, 11), "heart 3": (2, 12), "carina": (0, 10)}


def test_points_that_are_not_known_are_left_out() -> None:
    positions = _positions(3)
    positions[1] = np.nan
    assert list(named_points({"heart": positions})) == ["heart 1", "heart 3"]


@given(count=st.integers(1, 60), wanted=st.integers(1, 70))
def test_as_many_different_points_are_taken_as_asked_for_and_they_are_spread(count: int, wanted: int) -> None:
    rows = sorted(row for row, _ in named_points({"a": _positions(count)}, wanted).values())
    assert len(rows) == len(set(rows)) == min(count, wanted)
    steps = np.diff([*rows, rows[0] + count])
    assert steps.max() - steps.min() <= 1


def test_a_negative_number_of_points_is_refused() -> None:
    with pytest.raises(ValueError, match=r"per_structure must be 0 \(all\) or more, got -1"):
        named_points({}, -1)
    with pytest.raises(ValueError, match="points_per_structure must be 0"):
        landmark_source("masks", -1)


def test_a_file_is_read_as_columns_and_rows_and_written_the_same(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.json"
    path.write_text(json.dumps({"images/a.png": {"heart": [[1.5, 2], None]}}))
    found = read_landmarks(path)["images/a.png"]["heart"]
    np.testing.assert_array_equal(found, np.array([[2, 1.5], [np.nan, np.nan]], np.float32))
    again = save_landmarks(tmp_path / "again.json", read_landmarks(path))
    assert json.loads(again.read_text()) == json.loads(path.read_text())


def test_csv_and_json_hold_the_same(tmp_path: Path) -> None:
    rows = ["file,structure,x,y", "a.png,heart,1,2", "a.png,heart,,", "a.png,carina,5,6", "b.png,carina,7,8"]
    (tmp_path / "landmarks.csv").write_text("\n".join(rows) + "\n")
    found = read_landmarks(tmp_path / "landmarks.csv")
    expected = read_landmarks(save_landmarks(tmp_path / "landmarks.json", found))
    assert list(found) == list(expected) == ["a.png", "b.png"]
    for image, structures in expected.items():
        for name, positions in structures.items():
            np.testing.assert_array_equal(found[image][name], positions)
    assert found["a.png"]["heart"][0].tolist() == [2, 1]


def test_an_image_is_found_by_the_end_of_its_path_the_longest_first(tmp_path: Path) -> None:
    path = save_landmarks(tmp_path / "l.json", {"a.png": {"c": [[1, 1]]}, "x/a.png": {"c": [[2, 2]]}})
    source = LandmarkFile(path)
    assert source({"image": "/data/x/a.png"}, {}) == {"c": (2, 2)}
    assert source({"image": "/data/y/a.png"}, {}) == {"c": (1, 1)}
    assert source({"image": "/data/ya.png"}, {}) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are not valid JSON"),
        ("[]", "name no image"),
        ('{"a.png": [[1, 2]]}', "'a.png' holds a list"),
        ('{"a.png": {"heart": "1 2"}}', r"must be a list of \[x, y\], got '1 2'"),
        ('{"a.png": {"heart": [[1, 2, 3]]}}', r"point 1 must be \[x, y\] in px, got \[1, 2, 3\]"),
        ('{"a.png": {"heart": [[1, NaN]]}}', "null if unknown"),
        ('{"a.png": {"h": [[1, 2]]}, "b.png": {"h": []}}', "'h' has 0 points in 'b.png' and 1 in 'a.png'"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "landmarks.json").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_landmarks(tmp_path / "landmarks.json")


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "landmarks.csv").write_text("file,x,y\na.png,1,2\n")
    with pytest.raises(AnnotationError, match="lack the column 'structure'"):
        read_landmarks(tmp_path / "landmarks.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.json' do not exist; give a JSON or CSV file, 'masks' or"):
        landmark_source(tmp_path / "nowhere.json")


def test_a_mask_has_a_middle_and_four_extremes() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:7, 3:10] = True
    expected = [(4, 6), (2, 6), (6, 6), (4, 3), (4, 9)]
    assert [tuple(point) for point in mask_points(mask).tolist()] == expected
    assert np.isnan(mask_points(np.zeros((4, 4), dtype=bool))).all()
    points = MaskLandmarks(per_structure=1)({}, {"heart": mask})
    assert points == {"heart 1": (4, 6)}


def test_sources_are_chosen_by_name() -> None:
    assert isinstance(landmark_source("masks"), MaskLandmarks)
    assert isinstance(landmark_source("none"), NoLandmarks)
    assert landmark_source("none")({}, {}) == {}


def test_landmarks_of_phantoms_lie_on_their_masks(tmp_path: Path) -> None:
    from monai_lamps.bundle import annotated_phantoms
    from monai_lamps.data import load_datalist

    datalist = annotated_phantoms(tmp_path, 4, 64)
    source = LandmarkFile(save_phantom_landmarks(tmp_path / "landmarks.json", 4, 64))
    for item in load_datalist(datalist):
        heart = read_binary_mask(item["masks"]["heart"])
        rows, columns = np.nonzero(heart)
        points = {name: point for name, point in source(item, {}).items() if name.startswith("heart")}
        assert len(points) == 12
        middle = np.mean(list(points.values()), axis=0)
        np.testing.assert_allclose(middle, (rows.mean(), columns.mean()), atol=3)


@pytest.mark.parametrize("name", ["jsrt", "montgomery", "shenzhen", "aasce_spine"])
def test_real_landmark_files_are_read(shared: Path, name: str) -> None:
    table = read_landmarks(shared / "data" / "annotations" / f"landmarks_{name}.json")
    image, structures = next(iter(table.items()))
    found = LandmarkFile(shared / "data" / "annotations" / f"landmarks_{name}.json", 2)(
        {"image": str(shared / "data" / image)}, {}
    )
    assert len(found) == 2 * len(structures)

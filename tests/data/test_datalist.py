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
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.data.datalist import load_datalist, save_datalist, split_by_patient


def items(*names: str, **facts: Any) -> list[dict[str, Any]]:
    return [{"image": name, **facts} for name in names]


def test_a_datalist_comes_back_as_it_was_saved_with_absolute_paths(tmp_path: Path) -> None:
    sections = {
        "training": [{"image": "a.png", "patient": "P1", "label": [0, 1.5]}, {"image": "../b b.png"}],
        "validation": [{"image": "/abs/c.png", "patient": "ü"}],
        "test": [],
    }
    path = save_datalist(tmp_path / "sub" / "list.json", sections, name="set", seed=3)
    training = load_datalist(path)
    assert training == [
        {"image": str(tmp_path / "sub" / "a.png"), "patient": "P1", "label": [0, 1.5]},
        {"image": str(tmp_path / "b b.png")},
    ]
    assert load_datalist(path, "validation") == [{"image": "/abs/c.png", "patient": "ü"}]
    assert load_datalist(path, "test") == load_datalist(path, "unknown") == []
    content = json.loads(path.read_text())
    assert (content["name"], content["seed"], list(content)) == ("set", 3, ["name", "seed", *sections])
    assert sum('"image"' in line for line in path.read_text().splitlines()) == 3


def test_a_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    name = os.fsdecode(b"r\xf6ntgen.png")
    path = save_datalist(tmp_path / "list.json", {"training": items(name)})
    assert load_datalist(path)[0]["image"] == str(tmp_path / name)


def test_relative_paths_follow_base_dir_or_the_datalist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "list.json"
    path.write_text('{"training": ["a.png", {"image": "sub/../b.png"}]}')
    assert [item["image"] for item in load_datalist(path, base_dir="/films")] == ["/films/a.png", "/films/b.png"]
    monkeypatch.chdir(tmp_path)
    assert load_datalist("here/list.json")[0]["image"] == str(tmp_path / "here" / "a.png")
    assert load_datalist("here/list.json", base_dir="x")[0]["image"] == str(tmp_path / "x" / "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"\xff\xfe\x00", "is not valid JSON"),
        (b"[]", "has no section 'training'; expected"),
        (b'{"train": []}', "has no section 'training'; expected"),
        (b'{"training": "a.png"}', "'training' must be a list of items, got str"),
        (b'{"training": null}', "'training' must be a list of items, got NoneType"),
        (b'{"training": ["a", {"label": 1}]}', r"training\[1\]: expected a path or {'image': PATH}, got {'label': 1}"),
        (b'{"training": [{"image": ""}]}', r"training\[0\]: expected a path"),
        (b'{"training": [3]}', r"training\[0\]: expected a path .* got 3"),
    ],
)
def test_what_is_no_datalist_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_datalist(tmp_path / "list.json")
    assert str(tmp_path / "list.json") in str(caught.value)


def test_a_list_for_evaluation_needs_no_training_section(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('{"test": ["a.png"]}')
    assert [item["image"] for item in load_datalist(path, "test")] == [str(tmp_path / "a.png")]
    with pytest.raises(ValueError, match="no section 'validation', only test; add the section, or give --section test"):
        load_datalist(path, "validation")
    with pytest.raises(ValueError, match=r"has no section 'training', only test; add the section\.$"):
        load_datalist(path)


def test_a_missing_datalist_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"none.json' does not exist; make one: python -m monai_lamps.data index"
    ):
        load_datalist(tmp_path / "none.json")


def test_a_failed_write_leaves_the_old_datalist(tmp_path: Path) -> None:
    path = save_datalist(tmp_path / "list.json", {"training": items("a.png")})
    with pytest.raises(TypeError):
        save_datalist(path, {"training": [{"image": object()}]})
    assert load_datalist(path)[0]["image"] == str(tmp_path / "a.png")


def patients_of(section: list[Any]) -> set[str]:
    return {item["patient"] for item in section}


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(st.integers(0, 60), min_size=1, max_size=80),
    validation=st.floats(0, 0.5),
    test=st.floats(0, 0.45),
    seed=st.integers(0, 99),
)
def test_a_patient_is_in_one_section_and_no_image_is_lost(
    ids: list[int], validation: float, test: float, seed: int
) -> None:
    data = [{"image": f"{n}.png", "patient": f"p{i}"} for n, i in enumerate(ids)]
    sections = split_by_patient(data, validation, test, seed)
    groups = [patients_of(section) for section in sections.values()]
    assert sum(len(group) for group in groups) == len(set(ids))
    assert sorted(item["image"] for section in sections.values() for item in section) == sorted(
        i["image"] for i in data
    )
    assert sections["training"]
    if len(set(ids)) > 3:
        assert bool(sections["validation"]) == (validation > 0)
        assert bool(sections.get("test")) == (test > 0)


@settings(max_examples=40, deadline=None)
@given(new=st.sets(st.integers(1000, 1500), max_size=60), seed=st.integers(0, 20))
def test_new_images_never_move_the_others(new: set[int], seed: int) -> None:
    old = [{"image": f"{n}.png", "patient": f"p{n // 3}"} for n in range(400)]
    before = split_by_patient(old, 0.1, 0.1, seed)
    more = [{"image": f"{n}.png", "patient": f"p{n // 5}"} for n in new]
    after = split_by_patient(more + old, 0.1, 0.1, seed)
    names = {item["image"] for item in old}
    for name, section in before.items():
        assert section == [item for item in after[name] if item["image"] in names]


def test_the_shares_and_the_seed_count() -> None:
    data = items(*(f"{n}.png" for n in range(3000)))
    sections = split_by_patient(data, 0.2, 0.1, 1)
    assert len(sections["validation"]) == pytest.approx(600, abs=70)
    assert len(sections["test"]) == pytest.approx(300, abs=60)
    assert split_by_patient(data, 0.2, 0.1, 1) == sections
    assert split_by_patient(data, 0.2, 0.1, 2) != sections
    assert list(split_by_patient(data, 0.2)) == ["training", "validation"]


@pytest.mark.parametrize(("count", "expected"), [(1, [1, 0, 0]), (2, None), (3, [1, 1, 1]), (4, None)])
@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.9, 0.05), (0.05, 0.9), (0.5, 0.49)])
def test_a_handful_of_patients_still_leaves_something_to_train_on(
    count: int, expected: list[int] | None, shares: tuple[float, float]
) -> None:
    for seed in range(20):
        sections = split_by_patient(items(*(f"{n}.png" for n in range(count))), *shares, seed)
        sizes = [len(section) for section in sections.values()]
        assert sizes[0] >= 1
        assert sum(sizes) == count
        assert expected is None or sizes == expected


def test_given_splits_are_obeyed_and_the_rest_of_the_patient_follows() -> None:
    data = [
        {"image": "a", "patient": "P1", "split": "test"},
        {"image": "b", "patient": "P1"},
        {"image": "c", "split": "val"},
        {"image": "d", "split": "train"},
        {"image": "e", "patient": "P2", "split": ""},
    ]
    sections = split_by_patient(data, 0.0, 0.0)
    assert {name: [item["image"] for item in rows] for name, rows in sections.items()} == {
        "training": ["d", "e"], "validation": ["c"], "test": ["a", "b"],
    }  # fmt: skip
    assert not any(item.get("split") for rows in sections.values() for item in rows)


def test_bad_shares_and_splits_are_refused() -> None:
    for shares in ((1.0, 0.0), (-0.1, 0.0), (0.6, 0.4), (0.0, 1.5), (float("nan"), 0.0)):
        with pytest.raises(ValueError, match=r"must be shares with a sum below 1, got"):
            split_by_patient(items("a"), *shares)
    with pytest.raises(ValueError, match=r"'a' has the split 'dev', expected one of training, validation, test"):
        split_by_patient(items("a", split="dev"))
    both = [{"image": "a", "patient": "P", "split": "train"}, {"image": "b", "patient": "P", "split": "test"}]
    with pytest.raises(ValueError, match=r"patient 'P' has images in training and, with 'b', in test; give all images"):
        split_by_patient(both)

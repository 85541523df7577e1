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

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monai_lamps.engines.anatomy import (
    AnatomyEvaluation,
    Case,
    Examination,
    Finding,
    Note,
    NotJudgedError,
    Probe,
    Subject,
    mean_of,
)
from monai_lamps.metrics import Bootstrap


class Brightness(Probe):
    name, about = "brightness", "Mean of the features."
    notes = {"mean": Note("more", "the mean.")}

    def __call__(self, examination: Examination) -> Finding:
        rows = [{"mean": float(maps.mean())} for maps in examination.maps]
        values = np.array([row["mean"] for row in rows])
        return Finding(mean_of(rows), {"mean": values}, {"mean": values / 2}, {"dot": Image.new("RGB", (2, 2))})


class Never(Probe):
    name, about, notes = "never", "What no encoder can.", {}

    def __call__(self, examination: Examination) -> Finding:
        raise NotJudgedError("it is impossible.")


def _cases() -> list[Case]:
    return [Case(f"{n}.png", n // 2, torch.full((1, 32, 32), n / 10)) for n in range(6)]


def _subjects() -> list[Subject]:
    return [Subject("floor", lambda images: images, about={"encoder": "none"}), Subject("twice", lambda x: 2 * x)]


def _evaluation(folder: Path, reference: str = "") -> AnatomyEvaluation:
    return AnatomyEvaluation(
        _subjects(), _cases(), [Brightness(), Never()], folder, 32, reference, Bootstrap(50), {"section": "test"}
    )


def test_figures_intervals_and_differences_are_written(tmp_path: Path) -> None:
    report = _evaluation(tmp_path).run()
    assert json.loads((tmp_path / "metrics.json").read_text()) == report
    assert (report["images"], report["patients"], report["section"]) == (6, 3, "test")
    assert report["encoders"]["floor"] == {"encoder": "none"}
    assert report["not judged"] == {"never": {"floor": "it is impossible.", "twice": "it is impossible."}}
    assert report["better"] == {"brightness/mean": "more"}
    floor, twice = (report["figures"]["brightness/mean"][name] for name in ("floor", "twice"))
    assert floor["value"] == pytest.approx(0.25)
    assert (floor["difference"], floor["difference_lower"]) == (None, None)
    assert twice["lower"] == pytest.approx(2 * floor["lower"])
    assert twice["difference"] == pytest.approx(0.25)
    # of the same patients: the difference of doubled features is what the floor has
    assert twice["difference_lower"] == pytest.approx(floor["lower"])
    assert floor["lower"] < 0.25 < floor["upper"]


def test_tables_report_and_pictures_hold_them_too(tmp_path: Path) -> None:
    _evaluation(tmp_path, reference="twice").run()
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["encoder"], row["figure"]) for row in rows] == [
        ("floor", "brightness/mean"),
        ("twice", "brightness/mean"),
    ]
    assert float(rows[0]["difference"]) == pytest.approx(-0.25)
    assert "| brightness/mean | more |" in (tmp_path / "table.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "Not judged for floor: it is impossible." in page
    assert page.count("<img") == 4
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {
        "brightness_figures.png",
        "brightness_mean.png",
        "brightness_floor_dot.png",
        "brightness_twice_dot.png",
    }


def test_a_figure_that_is_not_defined_is_null(tmp_path: Path) -> None:
    class Nothing(Brightness):
        def __call__(self, examination: Examination) -> Finding:
            return Finding(mean_of([{"mean": math.nan}] * 6))

    report = AnatomyEvaluation(_subjects(), _cases(), [Nothing()], tmp_path, 32, bootstrap=Bootstrap(10)).run()
    assert set(report["figures"]["brightness/mean"]["twice"].values()) == {None}


def test_an_evaluation_that_compares_nothing_is_refused(tmp_path: Path) -> None:
    twice = [_subjects()[0], _subjects()[0]]
    for subjects, probes in (([], [Never()]), (_subjects(), []), (twice, [Never()])):
        with pytest.raises(ValueError, match="encoders of different names and probes"):
            AnatomyEvaluation(subjects, _cases(), probes, tmp_path, 32)
    with pytest.raises(ValueError, match="reference got 'flor', expected one of the encoders floor, twice"):
        _evaluation(tmp_path, "flor")

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

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_lamps.data.organs import OrganLabel
from monai_lamps.engines.anatomy import Case, Examination, NotJudgedError, OrganProbe, Subject, check_organs

ORGANS = ["chest", "hand", "knee"]
SIDES = ["L", "R"]


def level_maps(images: Tensor) -> Tensor:
    """An encoder of the grey level alone, as a direction."""
    level = images.mean((2, 3), keepdim=True) * torch.pi / 2
    return torch.cat([level.cos(), level.sin()], 1)


def shown(organ: str, number: int, side: str = "", view: str = "") -> Case:
    """A radiograph whose grey level tells the organ, and a little the side."""
    level = 0.1 + 0.3 * ORGANS.index(organ) + (0.05 * SIDES.index(side) if side else 0) + 0.002 * number
    return Case(f"{organ}_{number}.png", number, torch.full((1, 32, 32), level), organ=OrganLabel(organ, side, view))


@pytest.fixture
def radiographs() -> list[Case]:
    """Of four patients chest, left hand, right hand and knee; chests from front and side."""
    cases = []
    for number in range(4):
        cases += [shown("chest", number, view=["PA", "LL"][number % 2]), shown("knee", number)]
        cases += [shown("hand", number, side) for side in SIDES]
    return cases


def figures(cases: list[Case], probe: OrganProbe | None = None, name: str = "level") -> dict[str, float]:
    maps = {"level": level_maps, "constant": lambda images: torch.ones(len(images), 3, 2, 2)}[name]
    finding = (probe or OrganProbe(neighbours=3))(Examination(Subject(name, maps), cases, 32))
    return finding.statistic(np.ones(len(cases)))


def test_an_encoder_that_tells_organs_apart_finds_them(radiographs: list[Case]) -> None:
    found = figures(radiographs)
    assert found["precision_1"] == found["map"] == found["knn_accuracy"] == 1
    assert {name for name in found if name.startswith("knn_accuracy/")} == {f"knn_accuracy/{o}" for o in ORGANS}
    assert found["silhouette"] > 0.7
    assert found["cosine_gap"] > 0.05


def test_a_constant_encoder_is_at_chance(radiographs: list[Case]) -> None:
    found = figures(radiographs, name="constant")
    assert found["precision_1"] == pytest.approx(found["chance"])
    assert found["hit_5"] == pytest.approx(found["hit_5_chance"])
    assert (found["silhouette"], found["cosine_gap"]) == (0, pytest.approx(0, abs=1e-9))


def test_sides_and_views_are_judged_inside_the_organs_that_have_them(radiographs: list[Case]) -> None:
    found = figures(radiographs)
    assert found["laterality_knn_accuracy"] == found["laterality_knn_accuracy/hand"] == 1
    assert found["laterality_silhouette"] > 0.5
    assert found["view_silhouette/chest"] < 0.3  # the encoder does not see the view
    assert found["view_knn_chance"] == 0.5
    assert not {name for name in found if name.endswith(("laterality_silhouette/chest", "view_silhouette/hand"))}
    without = figures([replace(case, organ=OrganLabel(case.organ.organ)) for case in radiographs])
    assert not [name for name in without if name.startswith(("laterality", "view"))]


def test_unseen_organs_are_judged_apart(radiographs: list[Case]) -> None:
    found = figures(radiographs, OrganProbe(["knee"], ks=(1, 3), neighbours=3))
    assert found["unseen_knn_accuracy"] == found["knn_accuracy/knee"]
    assert found["unseen_chance"] == pytest.approx(3 / 12)  # of the twelve radiographs of others, three show a knee
    assert {name for name in found if name.startswith("unseen")} == {
        f"unseen_{name}" for name in ("precision_1", "precision_3", "map", "chance", "knn_accuracy")
    }
    assert figures(radiographs, OrganProbe("knee", (1, 3), 3)) == found
    assert not [name for name in figures(radiographs) if name.startswith("unseen")]


def test_among_other_sources_the_looks_of_a_source_do_not_help(radiographs: list[Case]) -> None:
    """An encoder that sees the source and nothing else finds every organ that has a source of its own."""
    levels = {"a": 0.2, "b": 0.5, "c": 0.7}

    def of_source(case: Case, source: str) -> Case:
        return replace(case, image=torch.full((1, 32, 32), levels[source] + case.patient / 1000), source=source)

    chests = [of_source(case, "ab"[case.patient % 2]) for case in radiographs if case.organ.organ == "chest"]
    knees = [of_source(case, "c") for case in radiographs if case.organ.organ == "knee"]
    assert "across_sources_map" not in figures(chests[::2] + knees)  # a source for each
    found = figures(chests + knees)
    assert found["precision_1"] == 1
    assert found["across_sources_precision_1"] < 0.6  # chests of b are nearer to the knees
    assert found["across_sources_chance"] == pytest.approx(2 / 6)
    nameless = [*chests, replace(knees[0], source=""), *knees[1:]]
    assert "across_sources_map" not in figures(nameless)


def test_radiographs_whose_organ_is_not_known_are_left_out(radiographs: list[Case]) -> None:
    strangers = [replace(shown("hand", number), organ=OrganLabel(spelling="hoof")) for number in range(3)]
    probe = OrganProbe(neighbours=3)
    examination = Examination(Subject("level", level_maps), [*strangers, *radiographs], 32)
    finding = probe(examination)
    assert finding.statistic(np.ones(len(examination.cases))) == figures(radiographs)
    only = np.zeros(len(examination.cases))
    only[:3] = 1
    assert np.isnan(list(finding.statistic(only).values())).all()


def test_the_embeddings_are_shown_by_organ(radiographs: list[Case]) -> None:
    finding = OrganProbe()(Examination(Subject("level", level_maps), radiographs, 32))
    assert set(finding.pictures) >= {"organs (PCA)"}
    assert all(picture.size[0] > 300 for picture in finding.pictures.values())


@pytest.mark.parametrize(
    ("organs", "message"),
    [
        (["", ""], "needs two organs of two patients each .*--organs.*, got none"),
        (["hand", "hand"], "got hand of 2"),
        (["hand", "hand", "knee"], "got hand of 2, knee of 1"),
    ],
)
def test_what_is_missing_is_said(organs: list[str], message: str) -> None:
    cases = [replace(shown("hand", number), organ=OrganLabel(organ)) for number, organ in enumerate(organs)]
    with pytest.raises(NotJudgedError, match=message):
        figures(cases)


def test_an_unseen_organ_that_no_radiograph_shows_is_refused(radiographs: list[Case]) -> None:
    check_organs(radiographs, ["knee", "hand"])
    check_organs(radiographs)
    with pytest.raises(ValueError, match="unseen got 'jaw', an organ that no radiograph shows; they show chest, hand"):
        check_organs(radiographs, "jaw")
    with pytest.raises(ValueError, match="they show none"):
        check_organs([replace(radiographs[0], organ=OrganLabel())], ["jaw"])

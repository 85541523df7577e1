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

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_lamps.engines.anatomy import (
    Case,
    CompositionalityProbe,
    DecomposabilityProbe,
    Examination,
    LandmarkTransferProbe,
    LocalityProbe,
    MaskTransferProbe,
    NotJudgedError,
    OrganProbe,
    PositionProbe,
    Probe,
    RegistrationProbe,
    ScaleProbe,
    Subject,
    SymmetryProbe,
    WarpProbe,
    mean_of,
    on_cases,
)
from monai_lamps.transforms.known_warp import RandKnownWarp

STILL = RandKnownWarp(rotation=0, scaling=0, translation=0, bend=0)
PROBES = [
    LocalityProbe(16, 0.25),
    CompositionalityProbe(16),
    SymmetryProbe(16),
    ScaleProbe(16),
    PositionProbe(16),
    WarpProbe(grid=4, thresholds=(4, 8)),
    LandmarkTransferProbe(2, thresholds=(4, 8)),
    MaskTransferProbe(2),
    RegistrationProbe(2),
    OrganProbe(unseen="knee"),
]


def figures(probe: Probe, examination: Examination) -> dict[str, float]:
    return probe(examination).statistic(np.ones(len(examination.cases)))


def bare(cases: list[Case]) -> list[Case]:
    return [replace(case, points={}, masks={}) for case in cases]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_every_figure_says_how_it_is_read(probe: Probe, place: Examination) -> None:
    found = figures(probe, place)
    assert found
    for figure in found:
        assert probe.note(figure).meaning, figure
        assert probe.note(figure).better in ("more", "less", "")


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_the_same_encoder_gets_the_same_figures(probe: Probe, place: Examination) -> None:
    again = Examination(place.subject, place.cases, place.image_size)
    np.testing.assert_equal(figures(probe, place), figures(probe, again))


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_draw_without_some_patients_is_a_figure_or_nan(probe: Probe, place: Examination) -> None:
    statistic = probe(place).statistic
    names = list(statistic(np.ones(len(place.cases))))
    for weights in np.eye(len(place.cases)) * 3:
        assert list(statistic(weights)) == names


def test_a_constant_encoder_has_no_gaps_and_reaches_chance(constant: Examination) -> None:
    locality = figures(LocalityProbe(16, 0.25), constant)
    assert locality["cosine_gap"] == pytest.approx(0, abs=1e-9)
    assert locality["knn_chance"] == 0.5
    parts = figures(CompositionalityProbe(16), constant)
    for count in (2, 3, 4):
        assert parts[f"mean_{count}"] == pytest.approx(1)
        assert parts[f"gap_{count}"] == pytest.approx(0, abs=1e-9)
        assert parts[f"above_control_{count}"] == 0.5
    assert figures(SymmetryProbe(16), constant)["gap"] == pytest.approx(0, abs=1e-9)
    scale = figures(ScaleProbe(16), constant)
    assert scale["cosine 1 and 1/2"] == pytest.approx(1)
    assert scale["retrieval"] == pytest.approx(scale["chance"])


def test_sums_of_pixels_make_the_whole(cases: list[Case]) -> None:
    def mean_and_one(images: Tensor) -> Tensor:
        return torch.cat([images.mean((2, 3), keepdim=True) - 0.5, torch.full((len(images), 1, 1, 1), 0.01)], 1)

    lit = [replace(case, image=case.image * 0.2 + 0.8 * (case.patient % 2)) for case in cases]
    found = figures(CompositionalityProbe(16), Examination(Subject("mean", mean_and_one), lit, 64))
    for count in (2, 3, 4):
        assert found[f"mean_{count}"] > 0.99
        assert found[f"gap_{count}"] > 0.2


def test_an_encoder_of_the_grey_level_reads_position_in_a_ramp(cases: list[Case]) -> None:
    axis = (torch.arange(64.0) + 0.5) / 64
    ramps = [replace(case, image=(axis[:, None] * 0.5 + axis * 0.25).expand(1, 64, 64)) for case in cases]

    def gradient_and_level(images: Tensor) -> Tensor:
        level = images.mean((2, 3), keepdim=True)
        return torch.cat([level, 1 - level], 1)

    found = figures(PositionProbe(16, per_case=12), Examination(Subject("level", gradient_and_level), ramps, 64))
    assert found["r2_y"] > 0.6  # of the row, which moves the level most
    assert found["error"] < found["error_chance"]


def test_an_encoder_of_places_carries_landmarks_and_masks_to_patients_of_the_same_build(place: Examination) -> None:
    landmarks = figures(LandmarkTransferProbe(2, thresholds=(4, 8)), place)
    assert landmarks["error_px"] < 4  # half a cell
    assert landmarks["copied_px"] == pytest.approx(0, abs=1e-4)
    assert landmarks["pck_8px"] == 1
    masks = figures(MaskTransferProbe(2), place)
    assert masks["dice/organ"] > 0.8
    assert masks["copied/organ"] == 1


def test_alignment_of_patients_of_the_same_build_leaves_them_as_they_are(place: Examination) -> None:
    found = figures(RegistrationProbe(2), place)
    assert found["dice before"] == 1
    for name in ("affine", "deformable"):
        assert found[f"dice {name}"] > 0.95
        assert found[f"gain {name}"] == pytest.approx(found[f"dice {name}"] - 1)
        assert found[f"failed {name}"] == 0


def test_pixels_are_found_where_nothing_was_warped(pixels: Examination) -> None:
    found = figures(WarpProbe(STILL, grid=8, thresholds=(4, 8)), pixels)
    assert found["stay_px"] == pytest.approx(0, abs=1e-4)
    assert found["error_px"] < 4
    assert found["mutual_share"] == 1


def test_an_encoder_of_places_answers_the_same_place_whatever_was_warped(place: Examination) -> None:
    found = figures(WarpProbe(RandKnownWarp(translation=0.2), grid=4, thresholds=(4, 8)), place)
    assert found["error_px"] == pytest.approx(found["stay_px"], abs=2.5)
    assert found["stay_px"] > 4


def test_a_decomposer_that_knows_the_parts_finds_them(cases: list[Case]) -> None:
    def levels(images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images - 0.5, 8).flatten(2).transpose(1, 2)[..., None]

    probe, size = DecomposabilityProbe(16), 16
    subject = Subject("levels", levels)
    with pytest.raises(NotJudgedError, match="it has no decomposer"):
        probe(Examination(subject, cases, 64))

    asked: list[Tensor] = []

    def embed(images: Tensor) -> Tensor:
        asked.append(images)
        return levels(images)

    # the parts are those of the patches that the probe has cut, in its order: what a perfect decomposer would say
    def perfect(whole: Tensor) -> Tensor:
        quarters = torch.cat(asked)[len(whole) :]
        assert quarters.shape == (4 * len(whole), 1, size, size)
        return levels(quarters).mean((2, 3)).unflatten(0, (len(whole), 4))

    found = figures(probe, Examination(Subject("levels", embed, decompose=perfect, batch_size=1000), cases, 64))
    assert (found["retrieval"], found["chance"]) == (1, 0.25)
    same = Subject("same", levels, decompose=lambda whole: whole[:, None].expand(-1, 4, -1))
    assert figures(probe, Examination(same, cases, 64))["retrieval"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (LocalityProbe(16), "two landmarks in two patients, got 0 landmarks"),
        (LandmarkTransferProbe(), r"needs landmarks \(--landmarks\) in two patients, got 0"),
        (MaskTransferProbe(), "needs masks in two patients, got 0"),
        (RegistrationProbe(), "masks of the same structure in two patients"),
    ],
)
def test_what_is_missing_is_said(probe: Probe, message: str, place: Examination) -> None:
    with pytest.raises(NotJudgedError, match=message):
        probe(Examination(place.subject, bare(place.cases), 64))


def test_one_patient_is_not_enough_to_read_positions(place: Examination) -> None:
    one = [replace(case, patient="p") for case in place.cases]
    with pytest.raises(NotJudgedError, match="two patients, got one"):
        PositionProbe(16)(Examination(place.subject, one, 64))


def test_templates_without_a_common_structure_are_said(place: Examination) -> None:
    renamed = [replace(case, masks={str(number): case.masks["organ"]}) for number, case in enumerate(place.cases)]
    with pytest.raises(NotJudgedError, match="no structure in common"):
        MaskTransferProbe(2)(Examination(place.subject, renamed, 64))


def test_annotations_are_never_carried_within_a_patient(place: Examination) -> None:
    twins = [replace(case, patient=case.patient // 2) for case in place.cases]
    finding = LandmarkTransferProbe(1)(Examination(place.subject, twins, 64))
    weights = np.zeros(len(twins))
    weights[:2] = 1  # the patient whose first image is the template
    assert all(math.isnan(value) for value in finding.statistic(weights).values())


def test_means_are_over_the_cases_that_show_a_figure() -> None:
    statistic = mean_of([{"a": 1.0, "b": math.nan}, {"a": 4.0}, {}])
    assert statistic(np.array([1.0, 2.0, 5.0]))["a"] == pytest.approx(3)
    assert math.isnan(statistic(np.ones(3))["b"])


def test_weights_of_radiographs_become_those_of_their_patches() -> None:
    seen = []

    def statistic(weights: np.ndarray) -> dict[str, float]:
        seen.append(weights.tolist())
        return {"sum": float(weights.sum())}

    weighted = on_cases(statistic, [0, 0, 2])
    assert weighted(np.array([2.0, 5.0, 1.0])) == {"sum": 5.0}
    assert seen[-1] == [2, 2, 1]
    assert math.isnan(weighted(np.array([0.0, 1.0, 0.0]))["sum"])

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

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_lamps.data.organs import CODA_ORGANS, ORGAN_NAMES, OrganLabel, OrganNames
from monai_lamps.data.organs.spellings import words_of


def test_the_23_organs_of_coda_are_known_by_their_names() -> None:
    published = (
        "abdomen ankle calcaneus chest clavicle elbow facial-bones femur finger foot forearm hand hip humerus knee "
        "neck patella pelvis shoulder skull spine thumb wrist"
    )
    assert [name.replace("_", "-") for name in CODA_ORGANS] == published.split()
    assert [ORGAN_NAMES.read(name).organ for name in published.split()] == list(CODA_ORGANS)


@pytest.mark.parametrize(
    ("text", "organ", "laterality", "view"),
    [
        ("HAND", "hand", "", ""),
        ("HANDS", "hand", "", ""),
        ("L HAND", "hand", "L", ""),
        ("RHAND", "hand", "R", ""),
        ("leftHand", "hand", "L", ""),
        ("C SPINE", "spine", "", ""),
        ("CSPINE", "spine", "", ""),
        ("L-SPINE LAT", "spine", "", "LATERAL"),
        ("LSPINE", "spine", "", ""),
        ("TSPINE", "spine", "", ""),
        ("THORAX", "chest", "", ""),
        ("CHEST PA", "chest", "", "PA"),
        ("XR CHEST 2 VIEWS PA AND LATERAL", "chest", "", ""),
        ("KNEE_LT", "knee", "L", ""),
        ("KNEE LT RT", "knee", "B", ""),
        ("BOTH FEET", "foot", "B", ""),
        ("XR_ELBOW", "elbow", "", ""),
        ("H\u00fcfte re", "hip", "R", ""),
        ("Fu\u00df links", "foot", "L", ""),
        ("main droite", "", "R", ""),
        ("genou gauche", "knee", "L", ""),
        ("Tobillo izquierdo", "ankle", "L", ""),
        ("OPG", "jaw", "", "PANORAMIC"),
        ("TIB/FIB", "lower_leg", "", ""),
        ("[LOWER LEG         ]", "lower_leg", "", ""),
        ("face", "facial_bones", "", ""),
        ("HAND WRIST", "", "", ""),
        ("EXTREMITY", "", "", ""),
        ("", "", "", ""),
    ],
)
def test_spellings_that_occur_in_practice_are_read(text: str, organ: str, laterality: str, view: str) -> None:
    assert ORGAN_NAMES.read(text) == OrganLabel(organ, laterality, view, text.strip())


@given(
    st.sampled_from(ORGAN_NAMES.organs),
    st.sampled_from(["", "Lt ", "left_", "R-"]),
    st.sampled_from(["", " PA", " 2 views", "_AP"]),
    st.sampled_from([str.upper, str.lower, str.title]),
)
def test_side_view_and_case_never_hide_an_organ(organ: str, before: str, after: str, case) -> None:
    label = ORGAN_NAMES.read(case(before + organ + after))
    assert label.organ == organ
    assert label.laterality == before[:1].upper()


@given(st.text(max_size=30))
def test_any_text_can_be_read(text: str) -> None:
    label = ORGAN_NAMES.read(text)
    assert label.organ in ("", *ORGAN_NAMES.organs)
    assert ORGAN_NAMES.nearest(text) in ("", *ORGAN_NAMES.organs)
    assert label.spelling == text.strip()


@pytest.mark.parametrize(("text", "near"), [("kne", "knee"), ("L sholder", "shoulder"), ("torso", ""), ("L", "")])
def test_the_nearest_known_organ_of_a_misspelling(text: str, near: str) -> None:
    assert ORGAN_NAMES.read(text).organ == ""
    assert ORGAN_NAMES.nearest(text) == near


def test_organs_of_ones_own_are_added_and_the_known_ones_stay() -> None:
    names = ORGAN_NAMES.also({"hoof": ["FRONT HOOF"], "knee": ["STIFLE"]})
    assert [names.read(text).organ for text in ("left front hoof", "stifle", "Knees")] == ["hoof", "knee", "knee"]
    assert ORGAN_NAMES.read("hoof").organ == ""


def test_ambiguous_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'Lung' is given as a spelling of respiratory and of chest; leave"):
        ORGAN_NAMES.also({"respiratory": ["Lung"]})
    with pytest.raises(ValueError, match=r"spellings got no organ, expected some, such as \{'hand'"):
        OrganNames({})


def test_what_a_label_lacks_another_one_fills() -> None:
    label = OrganLabel("hand", "", "PA", "HAND").or_else(OrganLabel("knee", "L", "AP", "L KNEE"))
    assert label == OrganLabel("hand", "L", "PA", "HAND")
    assert label.columns == {"organ": "hand", "laterality": "L", "view": "PA"}
    assert OrganLabel(spelling="x").columns == {}


def test_words_are_parted_at_signs_and_capitals() -> None:
    assert words_of("Left_Hand-pa.2Views") == ["LEFT", "HAND", "PA", "2VIEWS"]

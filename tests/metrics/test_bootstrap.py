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

from typing import Any

import numpy as np
import pytest

from monai_lamps.metrics import Bootstrap, Ranking, patients_of

VALUES = np.random.default_rng(0).normal(size=80)


def mean(values: np.ndarray) -> Any:
    return lambda weights: {"mean": float((weights * values).sum() / weights.sum())}


def test_the_interval_of_a_mean_is_near_that_of_the_textbook_and_the_seed_decides() -> None:
    bootstrap = Bootstrap(draws=2000)
    low, high = bootstrap.intervals(mean(VALUES), range(80))["mean"]
    half = 1.96 * VALUES.std() / 80**0.5
    assert (low, high) == pytest.approx((VALUES.mean() - half, VALUES.mean() + half), abs=0.03)
    assert bootstrap.intervals(mean(VALUES), range(80))["mean"] == (low, high)
    assert Bootstrap(draws=2000, seed=1).intervals(mean(VALUES), range(80))["mean"] != (low, high)


def test_images_of_a_patient_are_drawn_together() -> None:
    patients = [f"p{number // 4}" for number in range(80)]
    alike = np.repeat(VALUES[:20], 4)
    grouped = Bootstrap().intervals(mean(alike), patients)["mean"]
    single = Bootstrap().intervals(mean(VALUES[:20]), range(20))["mean"]
    assert grouped == pytest.approx(single)
    naive = Bootstrap().intervals(mean(alike), range(80))["mean"]
    assert naive[1] - naive[0] < 0.7 * (grouped[1] - grouped[0])


def test_draws_that_do_not_define_a_figure_are_left_out() -> None:
    ranking = Ranking([0.9, 0.8, 0.1, 0.2], [True, False, False, False])
    low, high = Bootstrap(draws=200).intervals(lambda w: {"auroc": ranking.roc_auc(w), "never": np.nan}, range(4))[
        "auroc"
    ]
    assert low == high == 1
    assert np.isnan(Bootstrap(draws=5).intervals(lambda w: {"never": np.nan}, range(4))["never"]).all()


def test_a_single_patient_has_no_interval() -> None:
    assert np.isnan(Bootstrap().intervals(mean(VALUES), ["p"] * 80)["mean"]).all()


def test_a_wider_confidence_is_a_wider_interval() -> None:
    narrow, wide = (Bootstrap(confidence=c).intervals(mean(VALUES), range(80))["mean"] for c in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_case_without_a_patient_is_one_of_its_own() -> None:
    rows = [{"patient": "a"}, {"patient": None}, {}, {"patient": ""}, {"patient": "a"}]
    patients = patients_of(rows)
    assert patients[0] == patients[4] == "a"
    assert len(set(patients)) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"confidence": 95}, "confidence must lie between 0 and 1, got 95; e.g. 0.95"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bootstrap(**arguments)


def test_no_case_is_an_error() -> None:
    with pytest.raises(ValueError, match="the bootstrap got no case"):
        Bootstrap().intervals(mean(VALUES), [])

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

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from monai_lamps.metrics import SegmentationFigures


def square(top: int, left: int, side: int, size: int = 24) -> Tensor:
    mask = torch.zeros(size, size)
    mask[top : top + side, left : left + side] = 1
    return mask


def edges(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask)


def distances(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """From every edge pixel of one mask to the nearest of the other, both ways."""
    one, other = edges(a), edges(b)
    return (
        distance_transform_edt(~other, sampling=spacing)[one],
        distance_transform_edt(~one, sampling=spacing)[other],
    )


PREDICTED, TRUE = square(4, 5, 10), square(6, 5, 12)


@pytest.fixture
def batch() -> dict[str, Any]:
    """Two images, two structures: both there; the second image has no heart, and its lung is not annotated."""
    label = torch.stack([torch.stack([TRUE, square(0, 0, 5)]), torch.zeros(2, 24, 24)])
    return {"label": label, "annotated": torch.tensor([[True, True], [True, False]])}


def answers() -> Tensor:
    return torch.stack([torch.stack([PREDICTED, square(0, 0, 5)]), torch.stack([square(1, 1, 3), square(1, 1, 3)])])


def test_every_figure_is_what_a_plain_reference_gives(batch: dict[str, Any]) -> None:
    batch["spacing"] = torch.tensor([[0.5, 0.2], [float("nan"), 0.2]])
    row = SegmentationFigures(["heart", "lung"]).rows(0.9 * answers(), batch)[0]
    p, t = PREDICTED.numpy() > 0, TRUE.numpy() > 0
    both, either = (p & t).sum(), (p | t).sum()
    assert row["dice/heart"] == pytest.approx(2 * both / (p.sum() + t.sum()))
    assert row["iou/heart"] == pytest.approx(both / either)
    for unit, spacing in (("px", (1.0, 1.0)), ("mm", (0.5, 0.2))):
        there, back = distances(p, t, spacing)
        expected = max(np.percentile(there, 95), np.percentile(back, 95))
        assert row[f"hd95_{unit}/heart"] == pytest.approx(expected, rel=1e-5)
        expected = np.concatenate([there, back]).mean()
        assert row[f"surface_distance_{unit}/heart"] == pytest.approx(expected, rel=1e-5)
    assert row["dice/lung"] == row["iou/lung"] == 1
    assert row["hd95_px/lung"] == row["surface_distance_mm/lung"] == 0


def test_figures_are_made_without_a_warning(batch: dict[str, Any], recwarn: pytest.WarningsRecorder) -> None:
    SegmentationFigures(["lung", "heart"]).rows(answers(), batch)
    assert not [str(warning.message) for warning in recwarn]


def test_what_is_not_annotated_or_not_there_is_left_out_and_false_alarms_are_counted(batch: dict[str, Any]) -> None:
    figures = SegmentationFigures(["heart", "lung"])
    rows = figures.rows(answers(), batch)
    assert rows[1]["present/heart"] == 0
    assert rows[1]["found/heart"] == 1
    assert np.isnan([value for name, value in rows[1].items() if name.endswith("lung")]).all()
    assert np.isnan(rows[1]["dice/heart"])
    assert np.isnan(rows[1]["hd95_px/heart"])
    found = figures.summary(rows)
    assert found["dice/heart"] == rows[0]["dice/heart"]
    assert found["dice"] == pytest.approx((rows[0]["dice/heart"] + 1) / 2)
    assert found["false_alarm/heart"] == found["false_alarm"] == 1
    assert np.isnan(found["false_alarm/lung"])
    assert found["missed"] == found["missed/heart"] == 0
    assert not any("mm" in name for name in found)


def test_a_missed_structure_has_no_overlap_and_the_greatest_distance(batch: dict[str, Any]) -> None:
    batch["spacing"] = torch.full((2, 2), 0.5)
    figures = SegmentationFigures(["heart", "lung"])
    rows = figures.rows(torch.zeros(2, 2, 24, 24), batch)
    assert rows[0]["dice/heart"] == rows[0]["iou/heart"] == 0
    assert rows[0]["hd95_px/heart"] == rows[0]["surface_distance_px/heart"] == pytest.approx(24 * 2**0.5)
    assert rows[0]["hd95_mm/heart"] == pytest.approx(12 * 2**0.5)
    found = figures.summary(rows)
    assert found["missed"] == found["missed/lung"] == 1
    assert found["false_alarm/heart"] == 0
    assert found["hd95_mm"] == pytest.approx(12 * 2**0.5)


def test_millimetres_are_means_over_the_images_whose_pixel_size_is_known() -> None:
    figures = SegmentationFigures(["heart"])
    label = torch.stack([TRUE, TRUE])[:, None]
    spacing = torch.tensor([[2.0, 2.0], [float("nan")] * 2])
    found = figures.summary(figures.rows(torch.stack([PREDICTED, TRUE])[:, None], {"label": label, "spacing": spacing}))
    assert found["hd95_mm"] == pytest.approx(2 * 2 * found["hd95_px"])


def test_empty_masks_count_as_the_overlap_that_is_passed_says(batch: dict[str, Any]) -> None:
    kaggle = SegmentationFigures(
        ["heart", "lung"], overlaps={"dice": partial(compute_dice, ignore_empty=False)}, distances={}
    )
    nothing = torch.zeros(2, 2, 24, 24)
    assert kaggle.rows(answers(), batch)[1]["dice/heart"] == 0
    rows = kaggle.rows(nothing, batch)
    assert rows[1]["dice/heart"] == 1
    assert kaggle.summary(rows)["dice/heart"] == 0.5
    assert set(kaggle.summary(rows)) == {
        f"{figure}{name}" for figure in ("dice", "missed", "false_alarm") for name in ("", "/heart", "/lung")
    }


def test_a_structure_that_no_case_shows_is_nan_is_warned_of_once_and_left_out_of_the_mean(
    batch: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    batch["label"][:, 0] = 0
    figures = SegmentationFigures(["heart", "lung"])
    for _ in range(2):
        found = figures.summary(figures.rows(answers(), batch))
    assert np.isnan(found["dice/heart"])
    assert found["dice"] == found["dice/lung"] == 1
    assert caplog.messages == [
        "the overlap of masks is not defined for 1 of 2 (heart): none of 2 cases shows the structure. It is NaN there "
        "and left out of the mean."
    ]


def test_a_pixel_belongs_to_a_structure_from_the_threshold_on() -> None:
    label = torch.ones(1, 1, 4, 4)
    row = SegmentationFigures(["heart"], threshold=0.25).rows(torch.full_like(label, 0.25), {"label": label})[0]
    assert row["dice/heart"] == 1


def test_volumes_are_judged_likewise() -> None:
    label = torch.zeros(1, 1, 8, 8, 8)
    label[..., 2:6, 2:6, 2:6] = 1
    shifted = label.roll(1, dims=2)
    row = SegmentationFigures(["heart"]).rows(shifted, {"label": label})[0]
    assert row["dice/heart"] == 0.75
    assert row["hd95_px/heart"] == 1


def test_weights_are_how_often_each_case_counts(batch: dict[str, Any]) -> None:
    figures = SegmentationFigures(["heart", "lung"])
    rows = figures.rows(answers(), {"label": batch["label"]})
    other = figures.rows(torch.stack([torch.stack([TRUE, TRUE])]), {"label": batch["label"][:1]})
    weighted = figures.statistic([*rows, *other])(np.array([1.0, 2.0, 3.0]))
    repeated = figures.summary([rows[0], rows[1], rows[1], *other, *other, *other])
    assert weighted == pytest.approx(repeated, nan_ok=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"structures": []}, r"names must be a list of different names, got \[\]"),
        ({"structures": ["a", "a"]}, r"different names, got \['a', 'a'\]"),
        ({"structures": "heart"}, "different names, got 'heart'"),
        ({"structures": ["a"], "threshold": 0.0}, "threshold must be a probability above 0 and at most 1, got 0.0"),
    ],
)
def test_ill_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationFigures(**arguments)


def test_shapes_that_do_not_fit_are_named() -> None:
    figures = SegmentationFigures(["heart"])
    with pytest.raises(ValueError, match=r"\(B, 1, H, W\) for the structures \['heart'\], got \(2, 2, 4, 4\) and"):
        figures.rows(torch.zeros(2, 2, 4, 4), {"label": torch.zeros(2, 2, 4, 4)})
    with pytest.raises(ValueError, match=r"spacing must be \(2, 2\), mm a pixel.*got \(2,\)"):
        figures.rows(torch.zeros(2, 1, 4, 4), {"label": torch.zeros(2, 1, 4, 4), "spacing": torch.ones(2)})
    with pytest.raises(ValueError, match="SegmentationFigures got no case to judge"):
        figures.summary([])


def test_postprocessed_masks_are_what_is_judged(batch: dict[str, Any]) -> None:
    def first_half(masks: Tensor) -> Tensor:
        assert masks.shape == (2, 24, 24)
        assert masks.dtype == torch.bool
        return masks & (torch.arange(24) < 12)

    figures = SegmentationFigures(["lung", "heart"], postprocessing=first_half)
    rows, plain = figures.rows(answers(), batch), SegmentationFigures(["lung", "heart"])
    halved = answers() * (torch.arange(24) < 12)
    assert torch.equal(figures.masks(answers()), halved > 0.5)
    for row, expected in zip(rows, plain.rows(halved, batch), strict=True):
        assert row == pytest.approx(expected, nan_ok=True)
    assert rows[0]["dice/lung"] != plain.rows(answers(), batch)[0]["dice/lung"]

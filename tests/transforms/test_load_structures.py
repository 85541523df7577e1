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

import logging
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, set_track_meta
from monai.transforms import Compose, RandFlipd
from PIL import Image

from monai_lamps.data.annotations import AnnotationError
from monai_lamps.transforms.load_radiograph import LoadRadiographd
from monai_lamps.transforms.load_structures import LoadStructures, LoadStructuresD, LoadStructuresd, LoadStructuresDict

SIZE = (40, 56)


def block(rows: slice, columns: slice, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    mask = np.zeros(size, dtype=np.uint8)
    mask[rows, columns] = 255
    return mask


def save(path: Path, pixels: npt.NDArray[Any]) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def masks(tmp_path: Path) -> dict[str, Any]:
    """Lungs, a clavicle that overlaps one of them, and no heart."""
    return {
        "left lung": save(tmp_path / "left.png", block(slice(5, 35), slice(30, 50))),
        "right lung": save(tmp_path / "right.gif", block(slice(6, 34), slice(4, 24))),
        "clavicle": save(tmp_path / "clavicle.png", block(slice(3, 8), slice(26, 50))),
        "heart": None,
    }


def test_structures_come_in_their_order_and_overlap_is_kept(masks: dict[str, Any]) -> None:
    mask, annotated = LoadStructures(["clavicle", "left lung", "heart"])({"masks": masks}, SIZE)
    assert mask.shape == (3, *SIZE)
    assert mask.dtype == torch.float32
    assert annotated.tolist() == [True] * 3
    assert np.array_equal(mask[0].numpy() * 255, block(slice(3, 8), slice(26, 50)))
    assert np.array_equal(mask[1].numpy() * 255, block(slice(5, 35), slice(30, 50)))
    assert (mask[0] * mask[1]).sum() == 3 * 20
    assert mask[2].sum() == 0


def test_several_files_of_a_structure_are_united(masks: dict[str, Any]) -> None:
    item = {"masks": {"lungs": [masks["left lung"], masks["right lung"]], "heart": []}}
    mask, _ = LoadStructures(["lungs", "heart"], dtype=torch.uint8)(item, SIZE)
    assert mask.dtype == torch.uint8
    assert mask[0].sum() == 30 * 20 + 28 * 20
    assert mask[1].sum() == 0


def test_a_channel_may_be_the_union_of_structures(masks: dict[str, Any]) -> None:
    loader = LoadStructures({"lungs": ["left lung", "right lung"], "bone": "clavicle"})
    assert loader.structures == ("lungs", "bone")
    mask, annotated = loader({"masks": masks}, SIZE)
    assert mask[0].sum() == 30 * 20 + 28 * 20
    assert mask[1].sum() == 5 * 24
    assert annotated.tolist() == [True, True]


def test_a_union_is_annotated_only_when_all_its_parts_are(masks: dict[str, Any]) -> None:
    del masks["left lung"]
    loader = LoadStructures({"lungs": ["left lung", "right lung"], "bone": "clavicle"}, missing="ignore")
    mask, annotated = loader({"masks": masks}, SIZE)
    assert annotated.tolist() == [False, True]
    assert mask[0].sum() == 0


def test_a_label_map_is_taken_apart_by_its_values(tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[2, 3:7], labels[5, :2], labels[6, :3] = 1, 2, 3
    item = {"label": save(tmp_path / "map.png", labels)}
    mask, annotated = LoadStructures(["lungs", "heart", "liver"], {"heart": 1, "lungs": [2, 3], "liver": 4})(item, SIZE)
    assert mask.sum(dim=(1, 2)).tolist() == [5, 4, 0]
    assert annotated.all()
    assert mask[1, 2, 3:7].all()


def test_polygons_and_run_lengths_are_drawn(masks: dict[str, Any]) -> None:
    item = {
        "masks": {"left lung": masks["left lung"]},
        "polygons": {"rib": [[[2, 1], [5, 1], [5, 4], [2, 4]]], "mass": []},
        "rle": {"pneumothorax": [{"size": list(SIZE), "counts": [41, 3]}], "effusion": None},
    }
    names = ["left lung", "rib", "mass", "pneumothorax", "effusion"]
    mask, annotated = LoadStructures(names)(item, SIZE)
    assert mask.sum(dim=(1, 2)).tolist() == [600, 9, 0, 3, 0]
    assert annotated.all()
    assert mask[1, 1:4, 2:5].all()
    assert mask[3, 1:4, 1].all()


def test_masks_of_a_stated_scale_are_repeated(tmp_path: Path) -> None:
    half = block(slice(2, 4), slice(3, 6), (20, 28))
    item = {"masks": {"heart": save(tmp_path / "h.png", half)}, "mask_scale": 2}
    mask, _ = LoadStructures(["heart"])(item, SIZE)
    assert np.array_equal(mask[0].numpy() * 255, block(slice(4, 8), slice(6, 12)))


def test_a_structure_without_annotation_is_an_error_unless_it_is_to_be_ignored(masks: dict[str, Any]) -> None:
    item = {"image": "x.png", "masks": masks}
    with pytest.raises(
        AnnotationError,
        match=r"image 'x.png' has no annotation of 'rib 1'; it has left lung, right lung, clavicle, heart. Annotate it",
    ):
        LoadStructures(["heart", "rib 1"])(item, SIZE)
    mask, annotated = LoadStructures(["heart", "rib 1"], missing="ignore")(item, SIZE)
    assert annotated.tolist() == [True, False]
    assert annotated.dtype == torch.bool
    assert mask.sum() == 0


def test_an_item_without_any_annotation_says_so() -> None:
    with pytest.raises(
        AnnotationError, match=r"has no annotation of 'heart'; it has no annotation at all .none of label"
    ):
        LoadStructures(["heart"])({"image": "x.png"}, SIZE)


def test_empty_masks_are_counted_and_logged_once(
    tmp_path: Path, masks: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    loader = LoadStructures(["clavicle", "heart"])
    masks["clavicle"] = save(tmp_path / "empty.png", np.zeros(SIZE, np.uint8))
    for _ in range(3):
        mask, annotated = loader({"image": "x.png", "masks": masks}, SIZE)
    assert mask.sum() == 0
    assert annotated.all()
    assert loader.empty == {"clavicle": 3, "heart": 3}
    assert [record.message for record in caplog.records] == [
        f"'{name}' is empty in image 'x.png': taken as not there. Later ones: no log." for name in ("clavicle", "heart")
    ]


def test_a_mask_of_another_size_is_refused_with_both_files_and_sizes(tmp_path: Path) -> None:
    path = save(tmp_path / "h.png", np.zeros((20, 28), np.uint8))
    with pytest.raises(
        AnnotationError,
        match=r"mask '.*h.png' has 28 x 20 pixels and its image 'x.png' 56 x 40 \(width x height\); resize one",
    ):
        LoadStructures(["heart"])({"image": "x.png", "masks": {"heart": path}}, SIZE)


def test_a_mask_that_is_turned_is_refused_as_such(tmp_path: Path) -> None:
    path = save(tmp_path / "h.png", np.zeros((56, 40), np.uint8))
    with pytest.raises(AnnotationError, match=r"40 x 56 pixels and its image 'x.png' 56 x 40 .*one of them is turned"):
        LoadStructures(["heart"])({"image": "x.png", "masks": {"heart": path}}, SIZE)


def test_a_label_map_of_another_size_and_a_wrong_scale_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "map.png", np.zeros((20, 28), np.uint8))
    with pytest.raises(AnnotationError, match=r"mask '.*map.png', enlarged 3 times .*has 84 x 60 pixels"):
        LoadStructures(["heart"], {"heart": 1})({"label": path, "mask_scale": 3}, SIZE)
    for scale in (0, 1.5, "2", True):
        with pytest.raises(AnnotationError, match=r"'mask_scale' must be a whole number of at least 1"):
            LoadStructures(["heart"], {"heart": 1})({"label": path, "mask_scale": scale}, SIZE)


def test_run_lengths_of_another_size_are_refused() -> None:
    item = {"image": "x.dcm", "rle": {"heart": {"size": [20, 28], "counts": []}}}
    with pytest.raises(
        AnnotationError, match=r"the run-length mask of 'heart' has 28 x 20 pixels and its image 'x.dcm'"
    ):
        LoadStructures(["heart"])(item, SIZE)


def test_an_unknown_value_of_a_label_map_is_named_with_the_known_ones(tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[0, :3] = 1, 7, 9
    item = {"label": save(tmp_path / "map.png", labels)}
    with pytest.raises(
        AnnotationError,
        match=r"label map '.*map.png' holds 7, 9, which no structure has; known are 0 \(outside\), 1 \(heart\), "
        r"2/3 \(lungs\)",
    ):
        LoadStructures(["heart"], {"heart": 1, "lungs": [2, 3]})(item, SIZE)


def test_a_label_map_needs_values(tmp_path: Path) -> None:
    with pytest.raises(
        AnnotationError, match=r"nothing says which value of the label map 'map.png' is which structure"
    ):
        LoadStructures(["heart"])({"label": "map.png"}, SIZE)


def test_a_structure_in_two_forms_is_refused(masks: dict[str, Any]) -> None:
    item = {"image": "x.png", "masks": masks, "polygons": {"heart": []}}
    with pytest.raises(
        AnnotationError, match=r"image 'x.png': 'heart' is given in 'masks' and in 'polygons'; remove one"
    ):
        LoadStructures(["heart"])(item, SIZE)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"masks": ["a.png"]}, "'masks' must be a mapping from structures, got"),
        ({"label": [1, 0]}, "'label' must be the path of a label map, got"),
        ({"masks": {"heart": 3}}, "the mask of 'heart' must be a path, a list of paths or null, got 3"),
        ({"masks": {"heart": "nowhere.png"}}, "mask 'nowhere.png' does not exist"),
        ({"polygons": {"heart": [[[0, 0], [5, 5], [500, 5]]]}}, r"polygon 0 of 'heart' of image 'x.png': its vertex"),
    ],
)
def test_an_entry_that_is_not_of_its_form_is_refused(item: dict[str, Any], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        LoadStructures(["heart"], {"heart": 1} if "label" in item else None)({"image": "x.png", **item}, SIZE)


@pytest.mark.parametrize("structures", [[], "heart", ["heart", "heart"], {}])
def test_structures_have_to_be_different_names(structures: Any) -> None:
    with pytest.raises(ValueError, match=r"structures must be a list of different names"):
        LoadStructures(structures)


def test_a_union_of_nothing_and_an_unknown_rule_are_refused() -> None:
    with pytest.raises(ValueError, match=r"structures: 'lungs' is a union of nothing"):
        LoadStructures({"lungs": []})
    with pytest.raises(ValueError, match=r"missing must be one of error, ignore, got 'skip'"):
        LoadStructures(["heart"], missing="skip")


@pytest.fixture
def image(tmp_path: Path) -> str:
    return save(tmp_path / "x.png", np.random.default_rng(0).integers(0, 255, SIZE, dtype=np.uint8))


def test_the_dictionary_version_leaves_entries_that_collate(image: str, masks: dict[str, Any]) -> None:
    items = [
        {"image": image, "patient": "a", "masks": masks},
        {"image": image, "patient": "b", "polygons": {"heart": [[[0, 0], [9, 0], [9, 9]]]}, "mask_scale": 1},
    ]
    load = Compose([LoadRadiographd("image"), LoadStructuresd("label", ["heart", "left lung"], missing="ignore")])
    batch = next(iter(DataLoader(Dataset(items, load), batch_size=2)))
    assert set(batch) == {"image", "patient", "label", "annotated"}
    assert batch["label"].shape == (2, 2, *SIZE)
    assert batch["annotated"].tolist() == [[True, True], [True, False]]
    assert LoadStructuresD is LoadStructuresDict is LoadStructuresd


def test_mask_and_image_are_flipped_together(image: str, masks: dict[str, Any]) -> None:
    load = Compose([LoadRadiographd("image"), LoadStructuresd("label", ["left lung"])])
    flip = RandFlipd(["image", "label"], prob=1.0, spatial_axis=1)
    item = load({"image": image, "masks": masks})
    assert isinstance(item["label"], MetaTensor)
    assert item["label"].meta["filename_or_obj"] == image
    flipped = flip(item)
    assert torch.equal(flipped["label"].as_tensor(), item["label"].as_tensor().flip(2))
    assert torch.equal(flipped["image"].as_tensor(), item["image"].as_tensor().flip(2))


def test_without_meta_data_the_mask_is_a_plain_tensor(image: str, masks: dict[str, Any]) -> None:
    set_track_meta(False)
    try:
        load = Compose([LoadRadiographd("image"), LoadStructuresd("label", ["left lung"])])
        label = load({"image": image, "masks": masks})["label"]
    finally:
        set_track_meta(True)
    assert type(label) is torch.Tensor
    assert label.sum() == 600


def test_the_image_has_to_be_loaded_before(masks: dict[str, Any]) -> None:
    with pytest.raises(
        AnnotationError, match=r"'image' is 'x.png', expected the loaded image; put LoadRadiographd before"
    ):
        LoadStructuresd("label", ["heart"])({"image": "x.png", "masks": masks})
    with pytest.raises(ValueError, match=r"keys must be one key, where the mask goes"):
        LoadStructuresd(["label", "mask"], ["heart"])


def test_a_nifti_mask_of_another_orientation_than_its_image_is_refused(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, SIZE[::-1]).astype(np.int16)
    nib.save(nib.Nifti1Image(pixels, np.diag([1.0, -1.0, 1.0, 1.0])), tmp_path / "image.nii")
    nib.save(nib.Nifti1Image((pixels > 100).astype(np.int16), np.eye(4)), tmp_path / "mask.nii")
    item = LoadRadiographd("image")({"image": str(tmp_path / "image.nii")})
    with pytest.raises(
        AnnotationError, match=r"mask '.*mask.nii' .axes RA. and image '.*image.nii' .axes RP. are turned"
    ):
        LoadStructuresd("label", ["heart"])({**item, "masks": {"heart": str(tmp_path / "mask.nii")}})

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

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from monai_lamps.data.annotations import AnnotationError, check_orientation, read_binary_mask, read_label_map
from monai_lamps.data.radiograph import read_radiograph

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def block() -> npt.NDArray[np.bool_]:
    """A mask that every flip and turn changes."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[4:10, 34:46] = True
    mask[30, 2] = True
    return mask


def save(path: Path, pixels: npt.NDArray[Any], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("value", [1, 127, 255])
@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_the_one_other_value_is_inside_in_every_picture_format(
    tmp_path: Path, block: npt.NDArray[np.bool_], suffix: str, value: int
) -> None:
    path = save(tmp_path / f"m.{suffix}", np.uint8(value) * block)
    assert np.array_equal(read_binary_mask(path), block)


@pytest.mark.parametrize("mode", ["1", "RGB", "RGBA", "LA", "I;16"])
def test_every_mode_of_picture_gives_the_same_mask(tmp_path: Path, block: npt.NDArray[np.bool_], mode: str) -> None:
    picture = Image.fromarray(np.uint16(255) * block) if mode == "I;16" else Image.fromarray(block).convert(mode)
    assert picture.mode == mode
    picture.save(tmp_path / "m.png")
    assert np.array_equal(read_binary_mask(tmp_path / "m.png"), block)


def test_a_mask_with_an_inverted_palette_counts_as_it_is_shown(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    picture = Image.fromarray(np.where(block, 0, 1).astype(np.uint8), mode="P")
    picture.putpalette([255, 0, 0, 0, 0, 0])  # index 0 is shown red, index 1 black
    picture.save(tmp_path / "m.png")
    assert np.array_equal(read_binary_mask(tmp_path / "m.png"), block)


def test_an_empty_mask_is_a_mask(tmp_path: Path) -> None:
    assert not read_binary_mask(save(tmp_path / "m.png", np.zeros((3, 4), np.uint8))).any()


def test_the_exif_orientation_turns_mask_and_image_alike(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    exif = Image.Exif()
    exif[274] = 6
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    noise[block] = 255
    mask = read_binary_mask(save(tmp_path / "m.png", np.uint8(255) * block, exif=exif))
    image, _ = read_radiograph(save(tmp_path / "i.png", noise, exif=exif))
    assert mask.shape == image.shape == (WIDTH, HEIGHT)
    assert (image[mask] == 1).all()
    assert mask.sum() == block.sum()


@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (-1, 1), (1, -1)])
@pytest.mark.parametrize("gzipped", [False, True])
def test_a_nifti_mask_lies_on_the_nifti_image_of_the_same_affine(
    tmp_path: Path, block: npt.NDArray[np.bool_], signs: tuple[int, int], gzipped: bool
) -> None:
    affine = np.diag([signs[0] * 0.2, signs[1] * 0.2, 1.0, 1.0])
    noise = np.random.default_rng(0).integers(0, 250, (HEIGHT, WIDTH)).astype(np.int16)
    noise[block] = 255
    suffix = ".nii.gz" if gzipped else ".nii"
    nib.save(nib.Nifti1Image(noise.T[..., None], affine), tmp_path / f"i{suffix}")
    nib.save(nib.Nifti1Image(block.T[..., None].astype(np.float32), affine), tmp_path / f"m{suffix}")
    mask, (image, _) = read_binary_mask(tmp_path / f"m{suffix}"), read_radiograph(tmp_path / f"i{suffix}")
    assert mask.sum() == block.sum()
    assert (image[mask] == 1).all()
    check_orientation(tmp_path / f"m{suffix}", tmp_path / f"i{suffix}")


def test_a_nifti_mask_that_lost_its_affine_is_refused(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    plane = block.T.astype(np.int16)
    nib.save(nib.Nifti1Image(plane, np.diag([1.0, -1.0, 1.0, 1.0])), tmp_path / "image.nii")
    nib.save(nib.Nifti1Image(plane, np.eye(4)), tmp_path / "mask.nii")
    with pytest.raises(
        AnnotationError,
        match=r"mask '.*mask.nii' \(axes RA\) and image '.*image.nii' \(axes RP\) are turned differently.*same affine",
    ):
        check_orientation(tmp_path / "mask.nii", tmp_path / "image.nii")


def test_only_pairs_of_nifti_files_are_compared(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    nib.save(nib.Nifti1Image(block.T.astype(np.int16), np.diag([1.0, -1.0, 1.0, 1.0])), tmp_path / "m.nii")
    check_orientation(tmp_path / "m.nii", save(tmp_path / "i.png", np.uint8(255) * block))
    check_orientation(tmp_path / "m.nii", "loaded from nowhere")


def test_a_label_map_keeps_its_numbers(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [5, 0, 300]], dtype=np.uint16)
    assert np.array_equal(read_label_map(save(tmp_path / "m.png", labels)), labels)
    nib.save(nib.Nifti1Image(labels.T.astype(np.float64), np.eye(4)), tmp_path / "m.nii")
    assert np.array_equal(read_label_map(tmp_path / "m.nii"), labels)


def test_the_labels_of_a_palette_picture_are_its_indices(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 0, 1]], dtype=np.uint8)
    picture = Image.fromarray(labels, mode="P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(tmp_path / "m.png")
    assert np.array_equal(read_label_map(tmp_path / "m.png"), labels)


def test_a_grey_label_map_in_three_channels_is_read(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 0, 1]], dtype=np.uint8)
    assert np.array_equal(read_label_map(save(tmp_path / "m.png", np.stack([labels] * 3, axis=-1))), labels)


def test_a_coloured_label_map_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.eye(3, dtype=np.uint8)[None] * 255)
    with pytest.raises(AnnotationError, match=r"label map '.*m.png' is a colour picture; expected one number a pixel"):
        read_label_map(path)


def test_a_mask_with_more_than_one_value_beside_0_is_refused_and_its_values_named(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.arange(0, 60, 2, dtype=np.uint8).reshape(5, 6))
    with pytest.raises(
        AnnotationError,
        match=r"mask '.*m.png' holds the values 0, 2, 4, 6, 8, 10, 12, 14, \.\.\. \(30 in all\); expected 0 and one",
    ):
        read_binary_mask(path)


def test_a_jpeg_mask_is_refused_with_its_mend(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    path = save(tmp_path / "m.jpg", np.uint8(255) * block, quality=60)
    with pytest.raises(AnnotationError, match=r"threshold an interpolated or JPEG mask at half"):
        read_binary_mask(path)


def test_two_colours_are_two_values(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[[0, 0, 0], [255, 0, 0], [0, 255, 0]]], dtype=np.uint8))
    with pytest.raises(AnnotationError, match=r"expected 0 and one other"):
        read_binary_mask(path)


def test_a_mask_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"mask '.*heart.png' does not exist; mend its path in the datalist"):
        read_binary_mask(tmp_path / "heart.png")


def test_a_damaged_mask_is_named(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    path = save(tmp_path / "m.png", np.uint8(255) * block)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(AnnotationError, match=r"mask '.*m.png' cannot be decoded .*copy it again"):
        read_binary_mask(path)
    path.write_bytes(b"")
    with pytest.raises(AnnotationError, match=r"mask '.*m.png': empty file"):
        read_binary_mask(path)


def test_a_dicom_mask_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 300)
    with pytest.raises(
        AnnotationError, match=r"mask '.*m.dcm' is a DICOM file; expected a picture or NIfTI: export it"
    ):
        read_binary_mask(path)


def test_transparent_parts_are_refused(tmp_path: Path, block: npt.NDArray[np.bool_]) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., 3] = np.uint8(255) * block
    with pytest.raises(
        AnnotationError, match=r"mask '.*m.png' has transparent parts; save it without an alpha channel"
    ):
        read_binary_mask(save(tmp_path / "m.png", pixels))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (0, 255)]
    frames[0].save(tmp_path / "m.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(AnnotationError, match=r"mask '.*m.gif' has 2 frames; expected one"):
        read_binary_mask(tmp_path / "m.gif")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, 0.5], [1, 0]]), "holds values that are not whole; save labels as integers"),
        (np.array([[0, np.nan], [1, 0]]), "holds values that are not whole"),
        (np.array([[0, -1], [1, 0]], np.int16), "holds -1; expected 0 for outside and positive labels"),
        (np.zeros((4, 4, 4), np.int16), r"is a NIfTI of shape \(4, 4, 4\); expected one number a pixel on two axes"),
    ],
)
def test_values_that_are_no_labels_are_refused(tmp_path: Path, values: npt.NDArray[Any], message: str) -> None:
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "m.nii")
    with pytest.raises(AnnotationError, match=rf"mask '.*m.nii' {message}"):
        read_label_map(tmp_path / "m.nii")

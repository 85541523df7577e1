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

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from monai_lamps.data import read_radiograph
from monai_lamps.data.annotations import read_binary_mask
from monai_lamps.data.mask_output import write_mask

MASK = np.zeros((40, 36), dtype=bool)
MASK[3:11, 20:33] = True
IMAGE = np.where(MASK, 200, 50).astype(np.uint8)


def _png(folder: Path) -> Path:
    Image.fromarray(IMAGE).save(folder / "image.png")
    return folder / "image.png"


@pytest.mark.parametrize(("form", "suffix"), [("auto", ".png"), ("png", ".png"), ("nifti", ".nii.gz")])
def test_the_mask_of_a_picture_reads_back(tmp_path: Path, form: str, suffix: str) -> None:
    path = write_mask(tmp_path / "deep" / "mask", MASK, _png(tmp_path), form)
    assert path == tmp_path / "deep" / f"mask{suffix}"
    np.testing.assert_array_equal(read_binary_mask(path), MASK)


@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    thin=st.sampled_from([0, 1, 2]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_the_mask_of_a_nifti_lies_on_it_whatever_its_orientation(
    tmp_path: Path, order: list[int], signs: tuple[float, ...], thin: int
) -> None:
    affine = np.zeros((4, 4))
    affine[order, [0, 1, 2]] = np.array(signs) * [0.5, 0.75, 2.0]
    affine[:, 3] = [5, -3, 7, 1]
    values = np.expand_dims(IMAGE.astype(np.int16), thin)
    image = tmp_path / "image.nii.gz"
    nib.save(nib.Nifti1Image(values, affine), image)
    seen = read_radiograph(image)[0]
    path = write_mask(tmp_path / "mask", seen > 0.1 + seen.min(), image)
    written = nib.load(path)
    assert written.shape == values.shape
    np.testing.assert_allclose(written.affine, affine)
    np.testing.assert_array_equal(np.asarray(written.dataobj).squeeze(), MASK)
    np.testing.assert_array_equal(read_binary_mask(path), seen > 0.1 + seen.min())


def test_a_nifti_may_get_a_picture(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(IMAGE.T[..., None].astype(np.int16), np.eye(4)), tmp_path / "image.nii")
    path = write_mask(tmp_path / "mask", MASK, tmp_path / "image.nii", "png")
    assert np.asarray(Image.open(path)).tolist() == np.where(MASK, 255, 0).tolist()


def test_scaled_values_of_the_image_do_not_scale_its_mask(tmp_path: Path) -> None:
    image = nib.Nifti1Image(IMAGE.T[..., None].astype(np.int16), np.eye(4))
    image.header.set_slope_inter(3.0, -7.0)
    nib.save(image, tmp_path / "image.nii")
    mask = nib.load(write_mask(tmp_path / "mask", MASK, tmp_path / "image.nii"))
    assert set(np.unique(np.asarray(mask.dataobj))) == {0, 1}


def test_a_mask_of_another_size_or_an_unknown_form_is_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(IMAGE[..., None].astype(np.int16), np.eye(4)), tmp_path / "image.nii")
    with pytest.raises(ValueError, match=r"mask is \(40, 36\) and its image .* \(36, 40\)"):
        write_mask(tmp_path / "mask", MASK, tmp_path / "image.nii")
    with pytest.raises(ValueError, match="mask_format got 'jpeg', expected auto, png or nifti"):
        write_mask(tmp_path / "mask", MASK, tmp_path / "image.nii", "jpeg")

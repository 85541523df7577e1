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

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from monai_lamps.data import read_radiograph
from monai_lamps.data.cache import encode
from monai_lamps.data.cache.encode import decode_pixels, encode_image, reduce_short_side

Make = Callable[..., Any]


def decoded(stored: Any) -> Any:
    return decode_pixels(stored.tobytes(), *stored.shape, stored.dtype.itemsize)


@pytest.mark.parametrize("dtype", ["auto", "uint8", "uint16"])
def test_8_bits_survive_exactly_in_8_and_in_16(tmp_path: Path, make_film: Make, dtype: str) -> None:
    file = str(make_film(tmp_path / "a.png", 0))
    stored = encode_image(file, 64, dtype)
    assert stored.dtype == ("uint16" if dtype == "uint16" else "uint8")
    np.testing.assert_array_equal(decoded(stored), read_radiograph(file)[0])


@pytest.mark.parametrize("largest", [4095, 65535])
def test_more_than_8_bits_get_16(tmp_path: Path, make_film: Make, largest: int) -> None:
    file = str(make_film(tmp_path / "a.png", 0, largest=largest))
    stored = encode_image(file, 64)
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(decoded(stored), read_radiograph(file)[0], atol=0.5 / 65535 + 1e-7, rtol=0)
    coarse = encode_image(file, 64, "uint8")
    np.testing.assert_allclose(decoded(coarse), read_radiograph(file)[0], atol=0.5 / 255 + 1e-7, rtol=0)


def test_8_bits_in_a_16_bit_file_get_8(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (40, 48)).astype(np.uint16)
    values[0, 0] = 255
    Image.fromarray(values * 257).save(tmp_path / "a.png")
    stored = encode_image(str(tmp_path / "a.png"), 64)
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, values)


@pytest.mark.parametrize(
    ("shape", "expected"), [((200, 100), (80, 40)), ((100, 203), (40, 81)), ((39, 400), (39, 400))]
)
def test_the_short_side_is_reduced_and_the_aspect_kept(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    reduced = reduce_short_side(pixels, 40)
    assert reduced.shape == expected
    assert reduced.dtype == np.float32
    assert (reduced is pixels) == (min(shape) <= 40)


def test_reducing_is_antialiased_and_the_filter_of_the_views() -> None:
    pixels = np.random.default_rng(0).random((90, 120), dtype=np.float32)
    reduced = reduce_short_side(pixels, 30)
    views = F.interpolate(torch.from_numpy(pixels)[None, None], size=(30, 40), mode="bicubic", antialias=True)
    np.testing.assert_allclose(reduced, views[0, 0].numpy(), atol=1e-5)
    stripes = np.tile(np.array([0, 1], dtype=np.float32), (90, 60))
    assert np.ptp(reduce_short_side(stripes, 30)[:, 3:-3]) < 0.2


def test_reducing_invents_no_values() -> None:
    edge = np.repeat(np.array([0.2, 0.9], dtype=np.float32), 50)[None].repeat(100, axis=0)
    reduced = reduce_short_side(edge, 40)
    assert (reduced.min(), reduced.max()) == (edge.min(), edge.max())


def test_a_file_that_cannot_be_used_becomes_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert encode_image(str(tmp_path / "a.png"), 40) == "empty file (0 bytes); copy it again from its source"

    def too_large(path: str, **limits: float) -> None:
        raise MemoryError

    monkeypatch.setattr(encode, "read_radiograph", too_large)
    assert str(encode_image("a.png", 40)).startswith("does not fit into memory; its header may be damaged")


def test_a_volume_is_not_cached(tmp_path: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((40, 40, 5), dtype=np.int16), np.eye(4)), tmp_path / "v.nii.gz")
    assert "expected two axes longer than 1" in str(encode_image(str(tmp_path / "v.nii.gz"), 40))

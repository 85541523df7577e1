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

import numpy as np
import pytest

from monai_lamps.data.errors import RadiographError
from monai_lamps.data.jsrt_raw import JSRT_SIZE, is_jsrt_raw, read_jsrt_raw


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Dark (4095) above the diagonal's start, a bright (0) block in the third row, fifth and sixth column."""
    stored = np.full(JSRT_SIZE, 4095, dtype=">u2")
    stored[2, 4:6] = 0
    stored[7, 9] = 1024
    path = tmp_path / "JPCLN001.IMG"
    stored.tofile(path)
    return path


def test_a_raw_film_is_big_endian_and_inverted(film: Path) -> None:
    pixels, meta = read_jsrt_raw(film)
    assert pixels.shape == JSRT_SIZE
    assert pixels.dtype == np.float32
    assert pixels[2, 4] == pixels[2, 5] == 1.0
    assert pixels[0, 0] == 0.0
    assert pixels[7, 9] == pytest.approx((4095 - 1024) / 4095)
    assert pixels.sum() == pytest.approx(2 + pixels[7, 9])
    assert meta["bits"] == 12
    assert meta["spacing"] == [0.175, 0.175]


def test_a_raw_film_is_known_by_its_suffix_and_its_length(film: Path, tmp_path: Path) -> None:
    assert is_jsrt_raw(film)
    other = tmp_path / "JPCLN001.bin"
    film.rename(other)
    assert not is_jsrt_raw(other)
    short = tmp_path / "short.IMG"
    short.write_bytes(b"\0" * 100)
    assert not is_jsrt_raw(short)


def test_a_truncated_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "JPCLN001.IMG"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(RadiographError, match=r"JPCLN001.IMG: 100 bytes, a raw JSRT film has 8388608; copy it again"):
        read_jsrt_raw(path)


def test_another_byte_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "JPCLN001.IMG"
    np.full(JSRT_SIZE, 4095, dtype="<u2").tofile(path)
    with pytest.raises(RadiographError, match=r"raw values up to 65295, a JSRT film has 12 bits.*check the byte order"):
        read_jsrt_raw(path)

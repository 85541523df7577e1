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

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.data.keys import derive_seed


def test_the_hash_is_pinned_so_that_old_runs_stay_resumable() -> None:
    assert derive_seed(0) == 520810605562734633
    assert derive_seed(0, 3, 17) == 592630003933720187


def test_it_is_the_blake2b_hash_of_the_parts_as_16_byte_integers() -> None:
    message = b"".join(part.to_bytes(16, "little", signed=True) for part in (7, -1, 2**70))
    digest = hashlib.blake2b(message, digest_size=8).digest()
    assert derive_seed(7, -1, 2**70) == int.from_bytes(digest, "little") // 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**64), 2**64), min_size=1, max_size=4))
def test_seeds_are_63_bit_and_numpy_integers_count_as_integers(parts: list[int]) -> None:
    assert 0 <= derive_seed(*parts) < 2**63
    small = [part % 1000 for part in parts]
    assert derive_seed(*small) == derive_seed(*(np.int64(part) for part in small))


def test_order_number_and_sign_of_the_parts_matter() -> None:
    keys = [(0,), (0, 0), (1, 2), (2, 1), (12,), (-1,), (1,), (256,), (1, 0)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_no_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="got no integers, expected at least one"):
        derive_seed()


@pytest.mark.parametrize("part", [1.0, "1", None])
def test_a_part_that_is_no_integer_is_refused(part: object) -> None:
    with pytest.raises(TypeError, match="expected an integer: convert it with int"):
        derive_seed(0, part)  # type: ignore[arg-type]


def test_a_part_beyond_128_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 128 bits"):
        derive_seed(2**127)

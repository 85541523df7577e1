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

"""Integer keys for randomness: who draws what is a function of (run seed, epoch, sample, ...), not of workers or "
"ranks."""

from __future__ import annotations

import hashlib
from operator import index

__all__ = ["derive_seed"]

_PART_BYTES = 16


def derive_seed(*parts: int) -> int:
    """
    Hash integers to one seed, the same on every machine, Python version and process.

    Every random draw of a run is keyed this way (run seed, epoch, sample, attempt, ...), so that a resumed run, another
    number of workers or another number of ranks draws the same numbers.

    Args:
        parts: at least one integer (Python or numpy), each within the signed 128-bit range. Order and number matter.

    Returns:
        An integer in [0, 2**63), the first 63 bits of a BLAKE2b digest.

    Raises:
        ValueError: When no part is given, or a part exceeds 128 bits.
        TypeError: When a part is not an integer.

    Example:
        >>> derive_seed(0, 3, 17) == derive_seed(0, 3, 17)
        True
    """
    if not parts:
        raise ValueError("derive_seed got no integers, expected at least one, e.g. derive_seed(seed, epoch, sample).")
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        try:
            digest.update(index(part).to_bytes(_PART_BYTES, "little", signed=True))
        except TypeError as e:
            raise TypeError(
                f"derive_seed got {part!r} of type {type(part).__name__}, expected an integer: convert it with int()."
            ) from e
        except OverflowError as e:
            raise ValueError(
                f"derive_seed got {part!r}, expected an integer of at most 128 bits: use a smaller one."
            ) from e
    return int.from_bytes(digest.digest(), "little") >> 1

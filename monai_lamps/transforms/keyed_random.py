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

"""Counter-based random numbers: a pure function of (key, stream, position), the same on every device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["keyed_uniform"]

_MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: odd, so that a multiple of it visits every 32-bit word once
_SEEDS = (0x243F6A88, 0x85A308D3)  # two 32-bit states make one 64-bit state of (key, stream)


def keyed_uniform(key: Tensor, stream: int, size: Sequence[int] = ()) -> Tensor:
    """Uniform random numbers that depend on nothing but the key, the stream and their place in the result.

    No generator, no state: sample b gets the same numbers whatever batch, worker, rank or device it is drawn on, bit
    for bit. A key and a stream are hashed to two 32-bit words, which two rounds of a 32-bit integer mixer (both
    multipliers below 2^31, so that int64 never overflows) combine with the position. Good for augmentation, not for
    cryptography.

    Args:
        key: (B,) int64, one per sample.
        stream: number of the random quantity, in [0, 2^32); different quantities take different streams.
        size: shape of the numbers of one sample; fewer than 2^31 of them. A number's position is its index in C order.

    Returns:
        (B, *size) float32 in [0, 1), multiples of 2^-24, on the device of ``key``.

    Raises:
        TypeError: when the keys are not int64.
        ValueError: when the keys are not (B,) or the stream is out of range.
    """
    if key.dtype != torch.int64:
        raise TypeError(f"key must be an int64 tensor, got {key.dtype}; convert it with key.long().")
    if key.ndim != 1:
        raise ValueError(f"key must be (B,), one per sample, got shape {tuple(key.shape)}.")
    if not 0 <= stream <= _MASK:
        raise ValueError(f"stream must lie in [0, 2^32), got {stream}.")
    shape = torch.Size(size)
    position = torch.arange(shape.numel(), device=key.device) * _GOLDEN
    first, second = (_hash_key(key, stream, seed)[:, None] for seed in _SEEDS)
    word = _mix(_mix((position + first) & _MASK) ^ second)
    return ((word >> 8).to(torch.float32) * 2.0**-24).view(len(key), *shape)


def _hash_key(key: Tensor, stream: int, seed: int) -> Tensor:
    word = _mix(((key & _MASK) ^ seed) + _GOLDEN & _MASK)
    word = _mix((word ^ (key >> 32 & _MASK)) + _GOLDEN & _MASK)
    return _mix((word ^ stream) + _GOLDEN & _MASK)


def _mix(word: Tensor) -> Tensor:
    """A bijection of 32-bit words (held in int64) in which each input bit flips each output bit about half the time.

    In place, as most of the time goes to memory.
    """
    word ^= word >> 16
    word *= 0x21F0AAAD
    word &= _MASK
    word ^= word >> 15
    word *= 0x735A2D97
    word &= _MASK
    word ^= word >> 15
    return word

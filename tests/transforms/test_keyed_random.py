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

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.transforms import keyed_uniform

KEYS = st.integers(0, 2**63 - 1)


def reference(key: int, stream: int, position: int) -> float:
    """The same recipe in plain Python integers of any length."""
    word32 = 2**32

    def mix(x: int) -> int:
        x = (x ^ x >> 16) * 0x21F0AAAD % word32
        x = (x ^ x >> 15) * 0x735A2D97 % word32
        return x ^ x >> 15

    states = []
    for state in (0x243F6A88, 0x85A308D3):
        for part in (key % word32, key // word32 % word32, stream):
            state = mix(((state ^ part) + 0x9E3779B9) % word32)
        states.append(state)
    word = mix(mix((position * 0x9E3779B9 + states[0]) % word32) ^ states[1])
    return (word >> 8) / 2**24


@settings(max_examples=25, deadline=None)
@given(keys=st.lists(KEYS, min_size=1, max_size=4), stream=st.integers(0, 2**32 - 1))
def test_the_numbers_are_those_of_the_recipe_without_overflow(keys: list[int], stream: int) -> None:
    out = keyed_uniform(torch.tensor(keys), stream, (2, 3))
    assert out.shape == (len(keys), 2, 3)
    assert out.dtype == torch.float32
    assert out.flatten(1).tolist() == [[reference(key, stream, p) for p in range(6)] for key in keys]


@settings(max_examples=25, deadline=None)
@given(keys=st.lists(KEYS, min_size=2, max_size=6), stream=st.integers(0, 100))
def test_a_sample_gets_the_same_numbers_in_any_batch(keys: list[int], stream: int) -> None:
    together = keyed_uniform(torch.tensor(keys), stream, (5,))
    for key, row in zip(keys, together, strict=True):
        assert torch.equal(keyed_uniform(torch.tensor([key]), stream, (5,))[0], row)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    keyed_uniform(torch.arange(3), 0, (4,))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_numbers_are_uniform_along_positions_keys_and_streams() -> None:
    draws = {
        "positions": keyed_uniform(torch.tensor([5]), 0, (40000,)).flatten(),
        "consecutive keys": keyed_uniform(torch.arange(40000), 0, ()),
        "consecutive high words": keyed_uniform(torch.arange(40000) << 32, 0),
        "keys in steps of 64": keyed_uniform(torch.arange(40000) * 64, 3),
        "streams": torch.cat([keyed_uniform(torch.tensor([7]), s, (10,)).flatten() for s in range(4000)]),
    }
    for name, x in draws.items():
        assert float(x.min()) >= 0, name
        assert float(x.max()) < 1, name
        assert abs(float(x.mean()) - 0.5) < 4 / np.sqrt(12 * len(x)), name
        assert float(x.var()) == pytest.approx(1 / 12, rel=0.02), name
        counts = torch.histc(x, 64, 0, 1)
        chi2 = float(((counts - len(x) / 64) ** 2 / (len(x) / 64)).sum())
        assert 25 < chi2 < 120, (name, chi2)  # 63 degrees of freedom: mean 63, sd 11


def test_neighbouring_keys_streams_and_positions_are_uncorrelated() -> None:
    keys = torch.arange(200)
    base = keyed_uniform(keys, 0, (500,))
    others = {
        "next key": keyed_uniform(keys + 1, 0, (500,)),
        "next stream": keyed_uniform(keys, 1, (500,)),
        "key and stream swapped": torch.cat([keyed_uniform(torch.tensor([0]), int(k), (500,)) for k in keys]),
        "next position": base.roll(1, 1),
        "next high word": keyed_uniform(keys + 2**32, 0, (500,)),
    }
    for name, other in others.items():
        pair = torch.stack([base.flatten(), other.flatten()])
        if name == "key and stream swapped":
            pair = pair[:, 500:]  # key 0 with stream 0 is the same in both
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 5 / np.sqrt(pair.shape[1]), name
    rows = torch.corrcoef(base)
    assert float((rows - torch.eye(200)).abs().max()) < 6 / np.sqrt(500)


def test_wrong_keys_and_streams_are_refused() -> None:
    with pytest.raises(TypeError, match="key must be an int64 tensor"):
        keyed_uniform(torch.zeros(2), 0)
    with pytest.raises(ValueError, match=r"key must be \(B,\)"):
        keyed_uniform(torch.zeros(2, 2, dtype=torch.int64), 0)
    for stream in (-1, 2**32):
        with pytest.raises(ValueError, match="stream must lie in"):
            keyed_uniform(torch.zeros(2, dtype=torch.int64), stream)

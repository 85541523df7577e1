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
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.data.phantom import (
    LANDMARKS,
    ThoraxPhantom,
    draw_annotated_thorax,
    draw_thorax,
)


def test_image_is_a_pure_function_of_seed_and_index():
    forward = [draw_thorax(i, 48, seed=7) for i in range(4)]
    np.random.seed(0)
    torch.manual_seed(0)
    backward = [draw_thorax(i, 48, seed=7) for i in reversed(range(4))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward))


def test_drawing_leaves_the_global_generators_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    draw_annotated_thorax(0, 48, opacities=1.0)
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_image_does_not_depend_on_process_or_number_of_threads(root):
    program = (
        "import hashlib; from monai_lamps.data.phantom import draw_thorax;"
        "print(hashlib.sha1(b''.join(draw_thorax(i, 256, 1).tobytes() for i in range(3))).hexdigest())"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}  # one thread here, see conftest
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=root, capture_output=True, text=True, check=True
    )
    here = hashlib.sha1(b"".join(draw_thorax(i, 256, 1).tobytes() for i in range(3))).hexdigest()
    assert done.stdout.split()[-1] == here


def test_other_indexes_and_other_seeds_give_other_patients():
    images = [draw_thorax(i, 48, seed=s) for s in (0, 1) for i in range(6)]
    masks = [draw_annotated_thorax(i, 48, seed=s).masks for s in (0, 1) for i in range(6)]
    for a in range(len(images)):
        for b in range(a):
            assert np.abs(images[a] - images[b]).mean() > 0.01
            assert (masks[a] != masks[b]).any()


@settings(max_examples=25, deadline=None)
@given(index=st.integers(0, 2**31), size=st.integers(32, 90), seed=st.integers(0, 2**31))
def test_image_has_shape_type_range_and_contrast_at_every_size(index, size, seed):
    image = draw_thorax(index, size, seed, opacities=0.5)
    assert image.shape == (1, size, size)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert image.min() >= 0.0
    assert image.max() <= 1.0
    assert image.std() > 0.08


@pytest.mark.parametrize("index", [0, 5, 9])
def test_same_patient_is_seen_at_every_size(index):
    small, large = draw_annotated_thorax(index, 64), draw_annotated_thorax(index, 128)
    reduced = large.image.reshape(64, 2, 64, 2).mean((1, 3))
    same = np.corrcoef(small.image.ravel(), reduced.ravel())[0, 1]
    other = np.corrcoef(draw_thorax(index + 1, 64).ravel(), reduced.ravel())[0, 1]
    assert same > 0.97
    assert same > other
    for name in LANDMARKS:
        np.testing.assert_allclose(small.landmarks[name] + 0.5, (large.landmarks[name] + 0.5) / 2, atol=1e-3)
    np.testing.assert_allclose(small.masks.mean((1, 2)), large.masks.mean((1, 2)), atol=0.006)


def test_drawing_refuses_a_negative_index():
    with pytest.raises(ValueError, match="index must not be negative, got -2"):
        draw_thorax(-2, 32)
    with pytest.raises(ValueError, match="index must not be negative, got -1"):
        ThoraxPhantom(length=2, size=32).draw(-1)

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

import pytest
import torch

from monai_lamps.registration import AffineFit, AffineMap, RegistrationError

TRUTH = AffineMap(torch.tensor([[1.1, 0.2], [-0.1, 0.9]]).double(), torch.tensor([5.0, -8.0]).double())


def matches(right: int, wrong: int, noise: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Matches of which some are right but for a little noise, the others anywhere."""
    generator = torch.Generator().manual_seed(0)
    fixed = torch.rand(right + wrong, 2, generator=generator, dtype=torch.float64) * 200
    moving = TRUTH(fixed) + noise * torch.randn(right + wrong, 2, generator=generator, dtype=torch.float64)
    moving[right:] = torch.rand(wrong, 2, generator=generator, dtype=torch.float64) * 200
    return fixed, moving


def test_without_noise_the_map_is_exact() -> None:
    found = AffineFit()(*matches(20, 0, noise=0), 1.0)
    assert torch.allclose(found.matrix, TRUTH.matrix, atol=1e-9)
    assert torch.allclose(found.offset, TRUTH.offset, atol=1e-7)


def test_two_thirds_of_wrong_matches_do_no_harm() -> None:
    fixed, moving = matches(30, 60)
    found = AffineFit()(fixed, moving, 3.0)
    assert (found(fixed) - TRUTH(fixed)).norm(dim=1).max() < 1.5


def test_all_that_agree_have_a_say() -> None:
    fixed, moving = matches(200, 0)
    design = torch.cat([fixed, torch.ones(200, 1, dtype=torch.float64)], 1)
    expected = torch.linalg.lstsq(design, moving).solution
    found = AffineFit()(fixed, moving, 10.0)
    assert torch.allclose(torch.cat([found.matrix, found.offset[None]]), expected, atol=1e-9)


def test_the_seed_decides() -> None:
    fixed, moving = matches(40, 0, noise=3)
    first, again, other = (AffineFit(trials=3, seed=seed)(fixed, moving, 2.0) for seed in (1, 1, 2))
    assert torch.allclose(first.matrix, again.matrix, atol=1e-12)
    assert not torch.allclose(first.matrix, other.matrix, atol=1e-3)


def test_it_works_in_three_dimensions() -> None:
    truth = AffineMap(torch.eye(3, dtype=torch.float64) * 1.2, torch.tensor([1.0, 2, 3]).double())
    fixed = torch.rand(30, 3, dtype=torch.float64) * 50
    found = AffineFit()(fixed, truth(fixed), 1.0)
    assert torch.allclose(found.matrix, truth.matrix, atol=1e-9)


def test_a_mirrored_or_collapsed_patient_is_no_alignment() -> None:
    fixed, _ = matches(20, 0)
    for matrix in ([[1.0, 0], [0, -1]], [[0.1, 0], [0, 0.1]], [[3.0, 0], [0, 1]]):
        with pytest.raises(RegistrationError, match=r"no possible affine map agrees with more than . of 20 matches"):
            AffineFit()(fixed, fixed @ torch.tensor(matrix, dtype=torch.float64), 0.5)


def test_too_few_matches_are_refused() -> None:
    with pytest.raises(RegistrationError, match="needs at least 3 matches, got 2; use finer feature maps"):
        AffineFit()(torch.rand(2, 2), torch.rand(2, 2), 1.0)
    line = torch.arange(9.0)[:, None].expand(9, 2)
    with pytest.raises(RegistrationError, match="no possible affine map"):
        AffineFit()(line, line, 1.0)


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="trials must be at least 1, got 0"):
        AffineFit(trials=0)
    with pytest.raises(ValueError, match=r"largest_scale must be at least 1, got 0.5"):
        AffineFit(largest_scale=0.5)

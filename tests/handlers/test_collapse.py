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

from monai_lamps.handlers import collapse_figures


def test_directions_that_fill_the_sphere_have_full_rank_and_unit_spread() -> None:
    figures = collapse_figures(torch.randn(4000, 16, generator=torch.Generator().manual_seed(0)))
    assert figures["effective_rank"] == pytest.approx(16, rel=0.01)
    assert figures["effective_rank_share"] == pytest.approx(1, rel=0.01)
    assert figures["feature_std"] == pytest.approx(1, rel=0.02)


def test_the_rank_is_the_exponential_of_the_entropy_of_the_singular_values() -> None:
    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(1)) @ torch.diag(torch.tensor([9.0, 3, 1, 1, 0.1]))
    values = torch.linalg.svdvals(rows - rows.mean(0))
    share = values / values.sum()
    expected = float(torch.exp(-(share * share.log()).sum()))
    figures = collapse_figures(rows)
    assert figures["effective_rank"] == pytest.approx(expected, rel=1e-4)
    assert figures["effective_rank_share"] == pytest.approx(expected / 5, rel=1e-4)


def test_equal_embeddings_have_neither_rank_nor_spread() -> None:
    figures = collapse_figures(torch.full((10, 4), 0.5))
    assert figures == {"effective_rank": 0.0, "effective_rank_share": 0.0, "feature_std": 0.0}


def test_embeddings_on_a_line_have_rank_one() -> None:
    figures = collapse_figures(torch.linspace(-1, 1, 20)[:, None] * torch.tensor([1.0, 2.0, 3.0]))
    assert figures["effective_rank"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 3, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"embeddings must be \(N, D\) with at least 2 rows, got shape \("):
        collapse_figures(torch.zeros(shape))


def test_values_that_are_not_finite_are_refused() -> None:
    rows = torch.zeros(4, 2)
    rows[1, 0], rows[2] = torch.nan, torch.inf
    with pytest.raises(ValueError, match="embeddings must be finite, got 2 of 4 rows with NaN or Inf"):
        collapse_figures(rows)

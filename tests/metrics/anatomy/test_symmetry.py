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

from monai_lamps.metrics import Bootstrap
from monai_lamps.metrics.anatomy import Symmetry, symmetry

LEFT = torch.randn(40, 4, 4, generator=torch.Generator().manual_seed(0))  # patches; the other side is their mirror


def seen(by) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # what an encoder makes of left, right, right flipped
    right = LEFT.flip(-1)
    return by(LEFT), by(right), by(right.flip(-1))


def test_an_encoder_that_sees_the_mirror_is_perfect() -> None:
    figures = symmetry(*seen(lambda patch: patch.flatten(1)))
    assert (figures["flipped_cosine"], figures["above_unflipped"]) == (1, 1)
    assert abs(figures["unflipped_cosine"]) < 0.15
    assert figures["gap"] == figures["flipped_cosine"] - figures["unflipped_cosine"]


@pytest.mark.parametrize("blind", [lambda patch: patch.mean(-1), lambda patch: torch.ones(len(patch), 3)])
def test_one_that_flips_do_not_change_and_a_constant_one_gain_nothing(blind) -> None:
    figures = symmetry(*seen(blind))
    assert figures["flipped_cosine"] == 1
    assert (figures["gap"], figures["above_unflipped"]) == (pytest.approx(0, abs=1e-9), 0.5)


def test_a_random_encoder_gains_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    figures = symmetry(*(torch.randn(400, 32, generator=generator) for _ in range(3)))
    assert abs(figures["gap"]) < 0.05
    assert figures["above_unflipped"] == pytest.approx(0.5, abs=0.1)


def test_the_metric_gathers_batches() -> None:
    metric, (left, right, flipped) = Symmetry(), seen(lambda patch: patch.flatten(1) + 0.5)
    gains = [metric(left[b], right[b], flipped[b], b.tolist()) for b in torch.arange(40).split(15)]
    assert float(torch.cat(gains).mean()) == pytest.approx(symmetry(left, right, flipped)["gap"])
    assert metric.aggregate() == symmetry(left, right, flipped)
    low, high = metric.intervals(Bootstrap(draws=50))["gap"]
    assert 0 < low < metric.aggregate()["gap"] < high


@pytest.mark.parametrize("wrong", [1, 2])
def test_shapes_that_differ_are_refused(wrong: int) -> None:
    tensors = [torch.ones(3, 4) for _ in range(3)]
    tensors[wrong] = torch.ones(2, 4)
    with pytest.raises(ValueError, match=r"expected right(_flipped)? \(N, D\) of shape \(3, 4\), got \(2, 4\)"):
        symmetry(*tensors)

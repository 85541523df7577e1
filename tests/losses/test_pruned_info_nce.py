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

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monai_lamps.losses import PrunedInfoNCELoss, contrast_figures, pruned_share

Vectors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
drawn = given(batch=st.integers(1, 5), memory=st.integers(1, 9), dim=st.integers(1, 4), seed=st.integers(0, 10_000))
few = settings(max_examples=40, deadline=None)


def draw(batch: int, memory: int, dim: int, seed: int) -> Vectors:
    generator = torch.Generator().manual_seed(seed)
    query, key, negatives = (torch.randn(n, dim, generator=generator) for n in (batch, batch, memory))
    return query, key, negatives


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a / a.norm()) @ (b / b.norm())


def reference(query: torch.Tensor, key: torch.Tensor, negatives: torch.Tensor, threshold: float) -> torch.Tensor:
    """The paper's equation, one anchor after the other, in float64."""
    losses = []
    for q, k in zip(query.double(), key.double()):
        kept = [n for n in negatives.double() if cosine(q, n) < threshold]
        positive = (cosine(q, k) / 0.2).exp()
        losses.append(-(positive / (positive + sum((cosine(q, n) / 0.2).exp() for n in kept))).log())
    return torch.stack(losses).mean().float()


def assume_no_tie(query: torch.Tensor, negatives: torch.Tensor, *thresholds: float) -> None:
    """No cosine so near the threshold that rounding decides."""
    cosines = torch.stack([cosine(q, n) for q in query for n in negatives])
    assume(all((cosines - threshold).abs().min() > 1e-5 for threshold in thresholds))


@few
@drawn
def test_value_and_gradient_are_those_of_the_equation_with_the_pruned_negatives_left_out(
    batch: int, memory: int, dim: int, seed: int
) -> None:
    query, key, negatives = draw(batch, memory, dim, seed)
    assume(query.norm(dim=1).min() > 0.1)  # the gradient grows as 1 / length
    for threshold in (0.8, 0.2):
        assume_no_tie(query, negatives, threshold)
        ours, theirs = query.clone().requires_grad_(), query.clone().requires_grad_()
        value = PrunedInfoNCELoss(threshold=threshold)(ours, key, negatives)
        expected = reference(theirs, key, negatives, threshold)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
        value.backward()
        expected.backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


@few
@drawn
def test_pruning_more_never_raises_the_loss(batch: int, memory: int, dim: int, seed: int) -> None:
    vectors = draw(batch, memory, dim, seed)
    losses = [PrunedInfoNCELoss(threshold=threshold)(*vectors) for threshold in (None, 0.9, 0.5, 0.0, -0.5)]
    assert all(less <= more + 1e-5 for more, less in pairwise(losses))
    assert losses[-1] >= 0


@few
@drawn
def test_neither_the_order_of_the_negatives_nor_any_length_matters(
    batch: int, memory: int, dim: int, seed: int
) -> None:
    query, key, negatives = draw(batch, memory, dim, seed)
    assume_no_tie(query, negatives, 0.8)
    loss, order = PrunedInfoNCELoss(), torch.randperm(memory, generator=torch.Generator().manual_seed(seed))
    expected = loss(query, key, negatives)
    torch.testing.assert_close(loss(query, key, negatives[order]), expected)
    torch.testing.assert_close(loss(3 * query, 0.1 * key, 7 * negatives), expected, rtol=1e-4, atol=1e-5)


def test_an_anchor_with_everything_pruned_has_exactly_no_loss_and_no_gradient() -> None:
    query = torch.tensor([[1.0, 0.2, 0.0], [-0.3, 1.0, 2.0]], requires_grad=True)
    key, negatives = query.detach().flip(1), query.detach()[:1] * torch.tensor([[1.0], [2.0], [3.0]])
    loss = PrunedInfoNCELoss()(query, key, negatives)
    loss.backward()
    assert torch.equal(query.grad[0], torch.zeros(3))
    assert query.grad[1].any()
    torch.testing.assert_close(loss, PrunedInfoNCELoss()(query[1:], key[1:], negatives) / 2)
    assert PrunedInfoNCELoss()(query[:1], key[:1], negatives) == 0


def test_the_own_key_among_the_negatives_is_left_out() -> None:
    query, key, negatives = draw(3, 4, 5, 1)
    own = torch.eye(3, 7, dtype=torch.bool)
    together = torch.cat([key, negatives])
    expected = [
        PrunedInfoNCELoss(threshold=None)(query[i : i + 1], key[i : i + 1], together[~own[i]]) for i in range(3)
    ]
    loss = PrunedInfoNCELoss(threshold=None)(query, key, together, own)
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    with pytest.raises(ValueError, match=r"expected own \(B, K\) of shape \(3, 7\), got \(3, 4\)"):
        PrunedInfoNCELoss()(query, key, together, own[:, :4])


def test_the_threshold_itself_is_pruned() -> None:
    anchor, across = torch.eye(2).split(1)
    assert pruned_share(anchor, across, 0.0) == 1
    assert pruned_share(anchor, anchor, 1.0) == 1
    assert PrunedInfoNCELoss(threshold=0.0)(anchor, anchor, across) == 0
    assert PrunedInfoNCELoss(threshold=1e-3)(anchor, anchor, across) > 0


def test_an_encoder_that_gives_the_same_for_every_image_knows_nothing_unless_all_is_pruned() -> None:
    same = torch.ones(3, 4)
    negatives = torch.ones(7, 4)
    torch.testing.assert_close(PrunedInfoNCELoss(threshold=None)(same, same, negatives), torch.tensor(math.log(8)))
    assert PrunedInfoNCELoss()(same, same, negatives) == 0


def test_no_gradient_flows_into_keys_and_negatives() -> None:
    query, key, negatives = (vectors.requires_grad_() for vectors in draw(2, 3, 4, 0))
    PrunedInfoNCELoss()(query, key, negatives).backward()
    assert query.grad is not None
    assert key.grad is None
    assert negatives.grad is None


def test_bfloat16_embeddings_are_computed_in_float32_also_under_autocast() -> None:
    vectors = [vectors.bfloat16() for vectors in draw(4, 5, 16, 0)]
    expected = PrunedInfoNCELoss()(*(vectors.float() for vectors in vectors))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = PrunedInfoNCELoss()(*vectors)
        figures = contrast_figures(*vectors)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert figures == contrast_figures(*(vectors.float() for vectors in vectors))


def test_figures_of_a_case_worked_out_by_hand() -> None:
    query = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    key = torch.tensor([[3.0, 4.0], [4.0, 3.0], [-1.0, 0.0]])  # cosines 0.6, 0.6, 1
    negatives = torch.tensor([[1.0, 0.0], [0.8, 0.6]])  # cosines 1 and 0.8; 0 and 0.6; -1 and -0.8
    figures = contrast_figures(query, key, negatives, 0.7)
    expected = {
        "positive_cosine": 2.2 / 3,
        "negative_cosine": 0.6 / 6,
        "pruned_share": 2 / 6,
        "contrast_accuracy": 1 / 3,  # nothing is left for the first, a tie for the second
    }
    assert {name: figure.item() for name, figure in figures.items()} == pytest.approx(expected)
    assert pruned_share(query, negatives, 0.7) == figures["pruned_share"]
    assert pruned_share(query, negatives, None) == 0
    assert contrast_figures(query, key, negatives, 0.5)["contrast_accuracy"] == pytest.approx(2 / 3)
    assert contrast_figures(query, key, negatives, None)["contrast_accuracy"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("threshold", [0.8, None])
def test_an_encoder_that_gives_the_same_for_every_image_tells_nothing_apart(threshold: float | None) -> None:
    figures = contrast_figures(torch.ones(3, 4), torch.ones(3, 4), torch.ones(7, 4), threshold)
    assert figures["contrast_accuracy"] == 0
    assert figures["pruned_share"] == (threshold is not None)


def test_figures_carry_no_gradient() -> None:
    query, key, negatives = draw(2, 3, 4, 0)
    query.requires_grad_()
    assert not any(figure.requires_grad for figure in contrast_figures(query, key, negatives).values())
    assert not pruned_share(query, negatives).requires_grad


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4, 1), (2, 4), (3, 4)), r"query \(B, D\) of shape \(\*, \*\), got \(2, 4, 1\)"),
        (((2, 4), (1, 4), (3, 4)), r"key \(B, D\) of shape \(2, 4\), got \(1, 4\)"),
        (((2, 4), (2, 4), (3, 5)), r"negatives \(K, D\) of shape \(\*, 4\), got \(3, 5\)"),
        (((2, 4), (2, 4), (0, 4)), "expected at least one negative, got none"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: tuple, message: str) -> None:
    query, key, negatives = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        PrunedInfoNCELoss()(query, key, negatives)
    with pytest.raises(ValueError, match=message):
        contrast_figures(query, key, negatives)


@pytest.mark.parametrize("threshold", [-1.0, 1.1])
def test_a_threshold_that_is_no_cosine_is_refused(threshold: float) -> None:
    message = rf"threshold must be a cosine in \(-1, 1\], or None to prune nothing, got {threshold}"
    with pytest.raises(ValueError, match=message):
        PrunedInfoNCELoss(threshold=threshold)
    with pytest.raises(ValueError, match=message):
        pruned_share(torch.ones(1, 2), torch.ones(1, 2), threshold)
    with pytest.raises(ValueError, match=message):
        contrast_figures(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 2), threshold)


def test_a_temperature_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        PrunedInfoNCELoss(temperature=0)

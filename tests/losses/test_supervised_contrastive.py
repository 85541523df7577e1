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
import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monai_lamps.losses import SupervisedContrastiveLoss, all_keys_denominator, negatives_denominator
from monai_lamps.networks import gather_ranks

Case = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
denominators = pytest.mark.parametrize("denominator", [all_keys_denominator, negatives_denominator])
few = settings(max_examples=40, deadline=None)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Anchors, their labels (-1 unknown), keys and their labels."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    dim, sizes = draw(st.integers(2, 4)), (draw(st.integers(1, 5)), draw(st.integers(1, 7)))
    anchors, keys = (torch.randn(size, dim, generator=generator) for size in sizes)
    labels, key_labels = (torch.randint(-1, 3, (size,), generator=generator) for size in sizes)
    assume(min(anchors.norm(dim=1).min(), keys.norm(dim=1).min()) > 0.1)  # gradients grow as 1 / length
    return anchors, labels, keys, key_labels


def logit(a: torch.Tensor, b: torch.Tensor, temperature: float) -> torch.Tensor:
    return (a / a.norm()) @ (b / b.norm()) / temperature


def reference(
    case: Case, own: torch.Tensor | None = None, temperature: float = 0.1, all_keys: bool = True
) -> torch.Tensor:
    """The equation, one anchor and one positive after the other, in float64."""
    anchors, labels, keys, key_labels = case
    losses = []
    for i, (anchor, label) in enumerate(zip(anchors.double(), labels.tolist(), strict=True)):
        positives, negatives = [], []
        for j, (key, key_label) in enumerate(zip(keys.double(), key_labels.tolist(), strict=True)):
            if label >= 0 and key_label >= 0 and not (own is not None and own[i, j]):
                (positives if key_label == label else negatives).append(logit(anchor, key, temperature))
        summed = positives + negatives if all_keys else negatives
        if positives and summed:
            denominator = torch.stack(summed).exp().sum()
            losses.append(-torch.stack([(p.exp() / denominator).log() for p in positives]).mean())
    return torch.stack(losses).mean().float() if losses else 0 * anchors.sum()


def assert_same_value_and_gradient(
    loss: SupervisedContrastiveLoss, case: Case, own: torch.Tensor | None, all_keys: bool
) -> None:
    made = []
    for compute in (lambda c: loss(*c, own), lambda c: reference(c, own, loss.temperature, all_keys)):
        anchors, keys = (vectors.clone().requires_grad_() for vectors in (case[0], case[2]))
        value = compute((anchors, case[1], keys, case[3]))
        value.backward()
        made.append((value.detach(), anchors.grad, torch.zeros_like(keys) if keys.grad is None else keys.grad))
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-4)


@few
@given(case=cases(), temperature=st.sampled_from([0.1, 0.5]), all_keys=st.booleans(), masked=st.booleans())
def test_value_and_gradient_are_those_of_the_equation(
    case: Case, temperature: float, all_keys: bool, masked: bool
) -> None:
    own = torch.rand(len(case[0]), len(case[2]), generator=torch.Generator().manual_seed(0)) < 0.3 if masked else None
    denominator = all_keys_denominator if all_keys else negatives_denominator
    assert_same_value_and_gradient(SupervisedContrastiveLoss(temperature, denominator), case, own, all_keys)


@pytest.mark.parametrize("all_keys", [True, False])
def test_two_views_of_a_batch_in_one_network_give_the_loss_of_khosla(all_keys: bool) -> None:
    views, labels = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 2] * 2)
    loss = SupervisedContrastiveLoss(0.1, all_keys_denominator if all_keys else negatives_denominator)
    itself = torch.eye(8, dtype=torch.bool)
    assert_same_value_and_gradient(loss, (views, labels, views, labels), itself, all_keys)


@few
@given(case=cases())
def test_the_loss_is_never_negative_and_neither_lengths_nor_the_order_of_keys_nor_the_names_of_labels_matter(
    case: Case,
) -> None:
    anchors, labels, keys, key_labels = case
    expected = SupervisedContrastiveLoss()(*case)
    assert expected >= 0
    order = torch.randperm(len(keys), generator=torch.Generator().manual_seed(0))
    names = torch.tensor([7, 0, 3, -5])  # of 0, 1, 2 and unknown
    other = SupervisedContrastiveLoss()(3 * anchors, names[labels], 0.1 * keys[order], names[key_labels[order]])
    torch.testing.assert_close(other, expected, rtol=1e-4, atol=1e-5)


@few
@given(case=cases())
def test_unknown_anchors_and_keys_are_as_if_they_were_not_there(case: Case) -> None:
    anchors, labels, keys, key_labels = case
    known, known_keys = labels >= 0, key_labels >= 0
    kept = anchors[known], labels[known], keys[known_keys], key_labels[known_keys]
    for denominator in (all_keys_denominator, negatives_denominator):
        loss = SupervisedContrastiveLoss(denominator=denominator)
        torch.testing.assert_close(loss(*case), loss(*kept))


def test_a_case_worked_out_by_hand() -> None:
    anchors, keys = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    labels, key_labels = torch.tensor([4]), torch.tensor([4, 4, 1])
    powers = [math.exp(1), math.exp(0), math.exp(-1)]
    standard, printed = (
        SupervisedContrastiveLoss(1.0, denominator)(anchors, labels, keys, key_labels).item()
        for denominator in (all_keys_denominator, negatives_denominator)
    )
    assert standard == pytest.approx(math.log(sum(powers)) - 0.5)
    assert printed == pytest.approx(-1 - 0.5)


@denominators
def test_where_all_anchors_are_skipped_loss_and_gradient_are_exactly_zero(denominator: object) -> None:
    loss = SupervisedContrastiveLoss(denominator=denominator)  # type: ignore[arg-type]
    keys = torch.randn(3, 4)
    for labels, key_labels in (([-1, -1], [0, -1, 1]), ([0, 1], [2, 2, -1]), ([0, 1], [-1, -1, -1])):
        anchors = torch.randn(2, 4, requires_grad=True)
        value = loss(anchors, torch.tensor(labels), keys, torch.tensor(key_labels))
        value.backward()
        assert value == 0
        assert torch.equal(anchors.grad, torch.zeros(2, 4))
    assert loss(torch.randn(2, 4), torch.tensor([0, 1]), torch.empty(0, 4), torch.empty(0, dtype=torch.long)) == 0
    assert loss(torch.empty(0, 4), torch.empty(0, dtype=torch.long), keys, torch.tensor([0, 0, 1])) == 0


def test_one_organ_alone_is_told_apart_key_from_key_or_skipped_where_negatives_alone_are_summed() -> None:
    case = (torch.ones(2, 3, requires_grad=True), torch.zeros(2), torch.ones(5, 3), torch.zeros(5))
    torch.testing.assert_close(SupervisedContrastiveLoss()(*case), torch.tensor(math.log(5)))
    value = SupervisedContrastiveLoss(denominator=negatives_denominator)(*case)
    value.backward()
    assert value == 0
    assert torch.equal(case[0].grad, torch.zeros(2, 3))


def test_the_printed_denominator_goes_below_zero_down_to_minus_two_by_temperature() -> None:
    anchors, keys = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    loss = SupervisedContrastiveLoss(0.1, negatives_denominator)
    assert loss(anchors, torch.tensor([0]), keys, torch.tensor([0, 1])).item() == pytest.approx(-20)


@denominators
def test_an_embedding_that_is_not_finite_is_not_hidden(denominator: object) -> None:
    anchors = torch.tensor([[1.0, 0.0], [float("nan"), 1.0]])
    loss = SupervisedContrastiveLoss(denominator=denominator)  # type: ignore[arg-type]
    assert loss(anchors, torch.tensor([0, 1]), torch.eye(2), torch.tensor([0, 1])).isnan()


def test_bfloat16_embeddings_are_computed_in_float32_also_under_autocast() -> None:
    torch.manual_seed(0)
    anchors, keys = torch.randn(4, 16).bfloat16(), torch.randn(6, 16).bfloat16()
    labels, key_labels = torch.tensor([0, 1, 2, -1]), torch.tensor([0, 1, 2, 0, -1, 1])
    expected = SupervisedContrastiveLoss()(anchors.float(), labels, keys.float(), key_labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = SupervisedContrastiveLoss()(anchors, labels, keys, key_labels)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)


def _whole_batch() -> Case:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    anchors, keys = (torch.randn(6, 4, generator=generator) for _ in range(2))
    return anchors, labels, keys, labels


def _share(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    anchors, labels, keys, _ = (tensor[3 * rank : 3 * rank + 3] for tensor in _whole_batch())
    anchors = anchors.clone().requires_grad_()
    value = SupervisedContrastiveLoss()(anchors, labels, gather_ranks(keys), gather_ranks(labels))
    value.backward()
    torch.save({"value": value.detach(), "gradient": anchors.grad}, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_with_keys_of_all_processes_the_mean_over_them_is_the_loss_of_the_whole_batch(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_share, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]
    made = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    anchors, labels, keys, key_labels = _whole_batch()
    anchors.requires_grad_()
    expected = SupervisedContrastiveLoss()(anchors, labels, keys, key_labels)
    expected.backward()
    torch.testing.assert_close(torch.stack([part["value"] for part in made]).mean(), expected.detach())
    torch.testing.assert_close(torch.cat([part["gradient"] for part in made]) / 2, anchors.grad)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 4, 1), (2,), (3, 4), (3,), (2, 3)), r"anchors \(B, D\) of shape \(\*, \*\), got \(2, 4, 1\)"),
        (((2, 4), (3,), (3, 4), (3,), (2, 3)), r"labels \(B,\) of shape \(2\), got \(3,\)"),
        (((2, 4), (2,), (3, 5), (3,), (2, 3)), r"keys \(M, D\) of shape \(\*, 4\), got \(3, 5\)"),
        (((2, 4), (2,), (3, 4), (2,), (2, 3)), r"key_labels \(M,\) of shape \(3\), got \(2,\)"),
        (((2, 4), (2,), (3, 4), (3,), (3, 3)), r"own \(B, M\) of shape \(2, 3\), got \(3, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SupervisedContrastiveLoss()(*(torch.zeros(shape) for shape in shapes))


def test_a_temperature_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        SupervisedContrastiveLoss(temperature=0)

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

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_lamps.networks import MemoryQueue


def rows(count: int, dim: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 7), batches=st.lists(st.integers(0, 9), max_size=6), seed=st.integers(0, 1000))
def test_it_holds_the_last_embeddings_in_the_slots_of_the_oldest(size: int, batches: list[int], seed: int) -> None:
    queue, keys = MemoryQueue(size, 3), rows(sum(batches), seed=seed)
    expected = list(queue.keys.clone())
    for number, key in enumerate(keys):
        expected[number % size] = key / key.norm()
    for batch in keys.split(batches):
        queue.enqueue(batch)
    torch.testing.assert_close(queue.negatives, torch.stack(expected))
    assert queue.pointer == sum(batches) % size


def test_the_first_keys_are_unit_vectors_that_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    queue = MemoryQueue(50, 4)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.testing.assert_close(queue.negatives.norm(dim=1), torch.ones(50))
    torch.manual_seed(2)
    assert torch.equal(MemoryQueue(50, 4).keys, queue.keys)
    assert not torch.equal(MemoryQueue(50, 4, seed=1).keys, queue.keys)


def test_evaluation_leaves_no_trace() -> None:
    queue = MemoryQueue(5, 3).eval()
    before = queue.keys.clone()
    queue.enqueue(rows(2))
    assert torch.equal(queue.keys, before)
    assert queue.pointer == 0


def test_a_reset_brings_back_the_first_keys_in_place() -> None:
    queue = MemoryQueue(5, 3, seed=4)
    keys = queue.keys
    queue.enqueue(rows(7))
    queue.reset()
    assert torch.equal(queue.keys, MemoryQueue(5, 3, seed=4).keys)
    assert queue.keys is keys
    assert queue.pointer == 0


def test_a_saved_queue_goes_on_as_if_it_had_never_stopped() -> None:
    queue, other = MemoryQueue(5, 3), MemoryQueue(5, 3, seed=9)
    queue.enqueue(rows(7))
    assert set(queue.state_dict()) == {"keys", "pointer"}
    other.load_state_dict(queue.state_dict())
    for each in (queue, other):
        each.enqueue(rows(4, seed=1))
    assert torch.equal(queue.keys, other.keys)
    assert torch.equal(queue.pointer, other.pointer)


def test_embeddings_that_are_not_finite_or_zero_leave_their_slots_alone() -> None:
    queue = MemoryQueue(5, 3)
    before, keys = queue.keys.clone(), rows(4)
    keys[0, 1], keys[2, 0], keys[3] = torch.nan, torch.inf, 0.0
    queue.enqueue(keys)
    assert torch.equal(queue.keys[[0, 2, 3, 4]], before[[0, 2, 3, 4]])
    torch.testing.assert_close(queue.keys[1], keys[1] / keys[1].norm())
    assert queue.pointer == 4


def test_negatives_are_not_copied_and_get_no_gradient() -> None:
    queue, query = MemoryQueue(5, 3), rows(2).requires_grad_()
    assert queue.negatives.data_ptr() == queue.keys.data_ptr()
    (query @ queue.negatives.T).sum().backward()
    torch.testing.assert_close(query.grad, queue.keys.sum(dim=0).expand(2, 3))
    assert queue.keys.grad is None


def test_enqueuing_between_forward_and_backward_is_an_error_not_a_wrong_gradient() -> None:
    queue, query = MemoryQueue(5, 3), rows(2).requires_grad_()
    scores = (query @ queue.negatives.T).sum()
    queue.enqueue(rows(2))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        scores.backward()


def test_bfloat16_embeddings_with_gradient_are_kept_as_unit_vectors_in_float32() -> None:
    queue, keys = MemoryQueue(5, 3), rows(5).bfloat16().requires_grad_()
    queue.enqueue(keys)
    assert queue.keys.dtype == torch.float32
    assert not queue.keys.requires_grad
    torch.testing.assert_close(queue.keys, F.normalize(keys.detach().float(), dim=1))


def test_two_processes_hold_the_queue_of_one_with_both_batches(on_two_ranks: Callable) -> None:
    expected = MemoryQueue(5, 3)
    for seed in range(3):
        expected.enqueue(rows(4, seed=seed))

    def work(rank: int) -> None:
        queue = MemoryQueue(5, 3)
        for seed in range(3):
            queue.enqueue(rows(4, seed=seed)[2 * rank : 2 * rank + 2])
        assert torch.equal(queue.keys, expected.keys)
        assert torch.equal(queue.pointer, expected.pointer)
        if rank == 0:  # in evaluation a process may look alone
            queue.eval().enqueue(rows(2))
            assert torch.equal(queue.keys, expected.keys)

    on_two_ranks(work)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="size and dim of a memory queue must be positive, got 0 and 3"):
        MemoryQueue(0, 3)
    with pytest.raises(ValueError, match="must be positive, got 5 and 0"):
        MemoryQueue(5, 0)
    queue = MemoryQueue(5, 3)
    with pytest.raises(ValueError, match=r"expected keys \(B, 3\), got \(2, 4\)"):
        queue.enqueue(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"expected keys \(B, 3\), got \(3,\)"):
        queue.eval().enqueue(torch.zeros(3))

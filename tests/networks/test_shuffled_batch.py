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
from torch import nn

from monai_lamps.networks import gather_ranks, shuffle_ranks

BATCH = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def share(rank: int) -> torch.Tensor:
    return BATCH[4 * rank : 4 * rank + 4]


def test_one_process_keeps_its_batch() -> None:
    shuffled, restore = shuffle_ranks(BATCH, 5)
    assert shuffled is BATCH
    assert restore(BATCH) is BATCH


def test_two_processes_exchange_samples_and_get_back_what_became_of_their_own(on_two_ranks: Callable) -> None:
    def work(rank: int) -> None:
        order = torch.randperm(8, generator=torch.Generator().manual_seed(5))
        assert not torch.equal(order.argsort(), order)  # or the way back would be the way there
        before = torch.random.get_rng_state()
        shuffled, restore = shuffle_ranks(share(rank), 5)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert torch.equal(gather_ranks(shuffled), BATCH[order])
        assert torch.equal(restore(shuffled), share(rank))
        assert torch.equal(restore(shuffled.sum(dim=1)), share(rank).sum(dim=1))
        with pytest.raises(ValueError, match="expected 4 samples, as many as were shuffled, got 3"):
            restore(shuffled[:3])

    on_two_ranks(work)


def test_a_seed_gives_one_permutation_and_another_gives_another(on_two_ranks: Callable) -> None:
    def work(rank: int) -> None:
        first, again, other = (shuffle_ranks(share(rank), seed)[0] for seed in (5, 5, 6))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    on_two_ranks(work)


def test_batch_normalisation_sees_other_company(on_two_ranks: Callable) -> None:
    def work(rank: int) -> None:
        norm = nn.BatchNorm1d(3, affine=False)
        shuffled, restore = shuffle_ranks(share(rank), 5)
        company = BATCH[torch.randperm(8, generator=torch.Generator().manual_seed(5))].reshape(2, 4, 3)
        groups = [(members - members.mean(0)) / (members.var(0, correction=0) + norm.eps).sqrt() for members in company]
        seen = torch.empty(8, 3)
        seen[torch.randperm(8, generator=torch.Generator().manual_seed(5))] = torch.cat(groups)
        torch.testing.assert_close(restore(norm(shuffled)), seen[4 * rank : 4 * rank + 4])
        assert not torch.allclose(restore(norm(shuffled)), norm(share(rank)), atol=1e-2)

    on_two_ranks(work)

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

from typing import Any

import pytest
import torch
from monai.data import DataLoader as MonaiLoader
from torch.utils.data import DataLoader, Dataset, IterableDataset

from monai_lamps.handlers.rank_share import EveryNth, rank_share


class Numbers(Dataset):
    """Numbers that remember who asked for them."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        self.loaded.append(index)
        return index


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(range(7))


def batches(loader: Any) -> list[list[int]]:
    return [batch.tolist() for batch in loader]


@pytest.mark.parametrize("loader_type", [DataLoader, MonaiLoader])
def test_batches_go_round_the_ranks_and_no_rank_loads_those_of_another(loader_type: type) -> None:
    shares = []
    for rank in range(2):
        data = Numbers(7)
        share = rank_share(loader_type(data, batch_size=2), rank, 2)
        shares.append(batches(share))
        assert data.loaded == [number for batch in shares[-1] for number in batch]
        assert batches(share) == shares[-1]  # every pass anew
    assert shares == [[[0, 1], [4, 5]], [[2, 3], [6]]]


@pytest.mark.parametrize(("rank", "expected"), [(0, [[0, 1], [6]]), (1, [[2, 3]]), (2, [[4, 5]])])
def test_no_batch_beyond_the_greatest_number_is_loaded(rank: int, expected: list[list[int]]) -> None:
    data = Numbers(7)
    assert batches(rank_share(DataLoader(data, batch_size=2), rank, 3, max_batches=4)) == expected
    assert len(data.loaded) == sum(map(len, expected))
    assert (
        batches(rank_share(DataLoader(data, batch_size=2), rank, 3, max_batches=2)) == expected[: 1 if rank < 2 else 0]
    )


def test_fewer_batches_than_ranks_leave_some_ranks_without() -> None:
    assert batches(rank_share(DataLoader(Numbers(2), batch_size=2), 1, 2)) == []


def test_the_share_of_a_loader_is_a_loader_like_it() -> None:
    loader: DataLoader = DataLoader(
        Numbers(7),
        batch_size=2,
        num_workers=1,
        collate_fn=sum,
        timeout=60,
        worker_init_fn=torch.manual_seed,
        prefetch_factor=3,
    )
    share = rank_share(loader, 1, 2)
    assert isinstance(share, DataLoader)
    for name in ("num_workers", "collate_fn", "timeout", "worker_init_fn", "prefetch_factor", "pin_memory"):
        assert getattr(share, name) == getattr(loader, name)
    assert list(share) == [2 + 3, 6]


def test_a_single_process_has_the_loader_itself_and_other_iterables_are_gone_through() -> None:
    loader: DataLoader = DataLoader(Numbers(3))
    assert rank_share(loader) is loader
    assert list(rank_share([10, 11, 12], 1, 2)) == [11]
    assert list(rank_share([10, 11, 12], max_batches=2)) == [10, 11]
    assert batches(rank_share(DataLoader(Stream(), batch_size=2), 1, 2)) == [[2, 3], [6]]
    assert list(EveryNth(range(9), 1, 3, 8)) == [1, 4, 7]


def test_a_loader_that_shuffles_cannot_be_shared() -> None:
    loader: DataLoader = DataLoader(Numbers(7), batch_size=2, shuffle=True)
    with pytest.raises(ValueError, match=r"shuffles \(RandomSampler\), so 2 processes .* give it shuffle=False"):
        rank_share(loader, 0, 2)
    assert rank_share(loader) is loader

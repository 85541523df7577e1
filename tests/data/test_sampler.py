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

from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from monai_lamps.data.sampler import ResumableBatchSampler, resumable_sampler


class Keys:
    """A dataset that gives back the key it was asked for."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, key: tuple[int, int]) -> torch.Tensor:
        return torch.tensor(key)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99), st.data())
def test_starting_at_any_step_yields_exactly_the_rest_of_the_run(
    extra: int, batch: int, epochs: int, seed: int, data: st.DataObject
) -> None:
    num = batch - 1 + extra
    whole = list(ResumableBatchSampler(num, batch, seed, epochs))
    start = data.draw(st.integers(0, len(whole)))
    rest = ResumableBatchSampler(num, batch, seed, epochs, start_step=start)
    assert list(rest) == whole[start:]
    assert len(rest) == len(whole) - start
    assert len(whole) == rest.total_steps == epochs * rest.steps_per_epoch == epochs * (num // batch)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_the_shares_of_the_ranks_make_up_the_batch_of_one_process(world: int, share: int, seed: int) -> None:
    batch = world * share
    single = list(ResumableBatchSampler(3 * batch + 1, batch, seed, 2))
    ranks = [list(ResumableBatchSampler(3 * batch + 1, batch, seed, 2, rank, world)) for rank in range(world)]
    assert [list(chain(*parts)) for parts in zip(*ranks)] == single
    assert all(len(part) == share for rank in ranks for part in rank)


def test_each_epoch_visits_every_sample_at_most_once_in_its_own_order() -> None:
    sampler = ResumableBatchSampler(10, 3, seed=1, total_epochs=3)
    orders = []
    for epoch in range(3):
        keys = [key for batch in list(sampler)[epoch * 3 : epoch * 3 + 3] for key in batch]
        assert {e for e, _ in keys} == {epoch}
        orders.append([index for _, index in keys])
        assert len(set(orders[-1])) == 9
        assert orders[-1] == sampler.permutation(epoch)[:9].tolist()
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert (
        sampler.permutation(0).tolist() != ResumableBatchSampler(10, 3, seed=2, total_epochs=3).permutation(0).tolist()
    )


def test_the_start_can_be_moved_and_the_run_extended_between_iterators() -> None:
    sampler = ResumableBatchSampler(4, 2, total_epochs=2)
    whole = list(sampler)
    sampler.start_step = 3
    assert list(sampler) == whole[3:]
    sampler.total_epochs = 3
    assert list(sampler)[:1] == whole[3:]
    assert len(list(sampler)) == len(sampler) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_one_loader_iterator_runs_over_all_epochs_with_any_number_of_workers(workers: int) -> None:
    sampler = ResumableBatchSampler(7, 2, seed=3, total_epochs=2, start_step=1)
    loader: Any = DataLoader(Keys(), batch_sampler=sampler, num_workers=workers)  # type: ignore[arg-type]
    assert [[tuple(key) for key in batch.tolist()] for batch in loader] == list(sampler)
    assert resumable_sampler(loader) is sampler


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples got 0, expected at least 1: is the data list empty"),
        ({"batch_size": 0}, "batch_size got 0, expected at least 1"),
        ({"world_size": 0}, "world_size got 0, expected at least 1"),
        ({"rank": 2, "world_size": 2}, "rank got 2, expected 0 <= rank < world_size=2"),
        ({"rank": -1}, "rank got -1"),
        ({"batch_size": 5, "world_size": 2}, "batch_size got 5, expected a multiple of world_size=2.*use 4"),
        (
            {"batch_size": 11},
            r"num_samples got 10, expected at least batch_size=11.*smaller --batch_size \(at most 10\)",
        ),
        ({"total_epochs": 0}, "total_epochs got 0, expected at least 1"),
        ({"start_step": 6}, "start_step got 6, expected 0 <= start_step <= 5"),
        ({"start_step": -1}, "start_step got -1"),
    ],
)
def test_ill_arguments_are_refused_with_the_mend(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResumableBatchSampler(**{"num_samples": 10, "batch_size": 2, **arguments})


def test_a_loader_with_another_sampler_is_refused() -> None:
    with pytest.raises(TypeError, match="batch_sampler of type BatchSampler, expected a ResumableBatchSampler"):
        resumable_sampler(DataLoader([1, 2, 3], batch_size=2))  # type: ignore[arg-type]

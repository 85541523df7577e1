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
from collections import Counter
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from monai_lamps.data import BalancedBatchSampler, RadiographDataset
from monai_lamps.data.sampler import resumable_sampler


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of a sampler that has at least one step an epoch."""
    per_group, places, world = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 2]))
    batch = per_group * places * world
    groups = draw(st.lists(st.integers(-1, 6), min_size=batch, max_size=4 * batch))
    epochs = draw(st.integers(1, 4))
    return {"groups": groups, "batch_size": batch, "per_group": per_group, "seed": draw(st.integers(0, 99)),
            "total_epochs": epochs, "world_size": world}  # fmt: skip


def whole(run: dict[str, Any]) -> list[list[tuple[int, ...]]]:
    """The batches of a run over all ranks."""
    return list(BalancedBatchSampler(**{**run, "world_size": 1}))


@settings(max_examples=40, deadline=None)
@given(runs())
def test_the_groups_of_a_batch_are_equally_represented_to_one_place(run: dict[str, Any]) -> None:
    groups, per_group = np.asarray(run["groups"]), run["per_group"]
    count, places = len(set(run["groups"])), run["batch_size"] // per_group
    for batch in whole(run):
        samples = Counter(groups[index] for _, index, _ in batch)
        assert sum(samples.values()) == run["batch_size"]
        assert len(samples) == min(count, places)
        assert set(samples.values()) <= {per_group * (places // count), per_group * math.ceil(places / count)}


@settings(max_examples=40, deadline=None)
@given(runs())
def test_every_group_hands_out_each_of_its_samples_once_in_a_lap(run: dict[str, Any]) -> None:
    groups = np.asarray(run["groups"])
    keys = [(index, lap) for batch in whole(run) for _, index, lap in batch]
    assert len(set(keys)) == len(keys)  # no sample twice with the same draws
    for group in np.unique(groups):
        laps = Counter(lap for index, lap in keys if groups[index] == group)
        last = max(laps, default=0)
        assert all(laps[lap] == (groups == group).sum() for lap in range(last))


@settings(max_examples=30, deadline=None)
@given(runs(), st.data())
def test_starting_at_any_step_yields_exactly_the_rest_of_the_run(run: dict[str, Any], data: st.DataObject) -> None:
    batches = whole(run)
    start = data.draw(st.integers(0, len(batches)))
    rest = BalancedBatchSampler(**{**run, "world_size": 1}, start_step=start)
    assert list(rest) == batches[start:]
    assert len(rest) == len(batches) - start
    assert len(batches) == run["total_epochs"] * (len(run["groups"]) // run["batch_size"])
    assert [batch[0][0] for batch in batches] == [step // rest.steps_per_epoch for step in range(len(batches))]
    assert rest.batch(start) == BalancedBatchSampler(**{**run, "world_size": 1}).batch(start)


@settings(max_examples=30, deadline=None)
@given(runs())
def test_the_shares_of_the_ranks_make_up_the_batch_of_one_process(run: dict[str, Any]) -> None:
    ranks = [list(BalancedBatchSampler(**run, rank=rank)) for rank in range(run["world_size"])]
    assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == whole(run)
    assert {len(part) for part in chain(*ranks)} == {run["batch_size"] // run["world_size"]}


def test_every_rank_has_the_same_groups_where_the_samples_of_a_place_divide_among_them() -> None:
    groups = [0] * 40 + [1] * 9 + [2] * 3 + [-1] * 5
    samplers = [BalancedBatchSampler(groups, 12, per_group=4, rank=rank, world_size=2) for rank in range(2)]
    for first, second in zip(*samplers, strict=True):
        assert Counter(groups[key[1]] for key in first) == Counter(groups[key[1]] for key in second)


def test_small_groups_come_several_times_in_an_epoch_and_large_ones_are_not_lost_over_epochs() -> None:
    groups = [0] * 90 + [1] * 6 + [2] * 3 + [-1]
    sampler = BalancedBatchSampler(groups, 8, per_group=2, seed=1, total_epochs=5)
    orders = [sampler.permutation(epoch).tolist() for epoch in range(5)]
    visits = [Counter(groups[index] for index in order) for order in orders]
    assert all(visit == {0: 24, 1: 24, 2: 24, -1: 24} for visit in visits)  # 12 steps of 8
    assert Counter(orders[0])[99] == 24
    seen = Counter(chain(*orders))
    assert all(seen[index] in (1, 2) for index in range(90))  # 120 visits to 90 samples
    assert len({tuple(order) for order in orders}) == 5
    assert orders == [sampler.permutation(epoch).tolist() for epoch in range(5)]


def test_an_order_is_that_of_the_batches_and_of_its_seed() -> None:
    groups = [0, 0, 0, 1, 1, 2, 2, 2]
    sampler = BalancedBatchSampler(groups, 4, per_group=2, seed=3, total_epochs=2)
    assert [index for batch in islice(sampler, 2, 4) for _, index, _ in batch] == sampler.permutation(1).tolist()
    other = BalancedBatchSampler(groups, 4, per_group=2, seed=4, total_epochs=2)
    assert list(sampler) != list(other)
    other.seed = 3
    assert list(sampler) == list(other)


def test_all_pairs_of_groups_meet_in_a_batch() -> None:
    groups = [number % 5 for number in range(50)]
    pairs = {frozenset(groups[key[1]] for key in batch) for batch in BalancedBatchSampler(groups, 2, 1, total_epochs=9)}
    assert len(pairs) == 10


def test_groups_may_be_an_array_with_any_numbers() -> None:
    few = [4, 9, 9, 4, -1, -1]
    expected = list(BalancedBatchSampler([1, 2, 2, 1, 0, 0], 3, per_group=1))
    for groups in (few, np.asarray(few, np.int16), torch.tensor(few)):
        assert list(BalancedBatchSampler(groups, 3, per_group=1)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_draws_other_views_of_a_sample_that_comes_again(workers: int) -> None:
    sampler = BalancedBatchSampler([0] * 5 + [1], 4, per_group=2, total_epochs=2)
    dataset = RadiographDataset([{"number": i} for i in range(6)], lambda item: item)
    loader: Any = DataLoader(dataset, batch_sampler=sampler, num_workers=workers)  # type: ignore[arg-type]
    batches = list(loader)
    assert [batch["index"].tolist() for batch in batches] == [[key[1] for key in batch] for batch in sampler]
    seeds = [seed for batch in batches for seed in batch["seed"].tolist()]
    assert len(set(seeds)) == len(seeds) == 8
    assert resumable_sampler(loader) is sampler


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": []}, "num_samples got 0, expected at least 1: is the data list empty"),
        ({"groups": [0, 1]}, r"num_samples got 2, expected at least batch_size=4.*smaller --batch_size \(at most 2\)"),
        ({"groups": [0, -2, 1, 0]}, "groups got -2 for sample 1, expected integers >= -1: number the groups from 0"),
        ({"groups": [0.0, 1.0]}, r"groups got float64 of shape \(2,\), expected a list of integers"),
        ({"groups": ["hand", "foot"]}, "groups got <U4 of shape .* -1 for unknown"),
        ({"groups": [[0], [1]]}, r"groups got int64 of shape \(2, 1\)"),
        ({"per_group": 3}, "per_group got 3, expected a divisor of batch_size=4"),
        ({"per_group": 0}, "per_group got 0"),
        ({"batch_size": 0}, "batch_size got 0, expected at least 1"),
        ({"world_size": 3}, "batch_size got 4, expected a multiple of world_size=3"),
        ({"start_step": 3}, "start_step got 3, expected 0 <= start_step <= 2"),
    ],
)
def test_ill_arguments_are_refused_with_the_mend(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BalancedBatchSampler(**{"groups": [0, 1] * 4, "batch_size": 4, "per_group": 2, **arguments})

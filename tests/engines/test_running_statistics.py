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

import torch
from torch import nn
from toy_training import ToyMethod, build

from monai_lamps.engines import NonFiniteGuard
from monai_lamps.engines.running_statistics import RunningStatistics


def test_buffers_go_back_only_where_the_step_was_bad() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    statistics = RunningStatistics(module)
    for bad in (False, True):
        before = module[1].running_mean.clone()
        statistics.keep()
        module(torch.full((2, 1, 3, 3), float("nan") if bad else 5.0))
        statistics.restore(torch.tensor(bad))
        assert torch.equal(module[1].running_mean, before) == bad
    assert module[1].running_var.isfinite().all()


def test_a_module_without_buffers_costs_nothing() -> None:
    statistics = RunningStatistics(nn.Linear(2, 2))
    statistics.keep()
    statistics.restore(torch.tensor(True))
    assert statistics._buffers == []


class _Poisoned(ToyMethod):
    """A toy method with batch normalisation that gets one NaN batch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, batch, progress):  # type: ignore[no-untyped-def]
        terms = super().forward(batch, progress)
        value = torch.tensor([[1.0], [math.nan if progress.step == 1 else 3.0]])
        return {**terms, "norm": self.norm(value).sum()}


def test_one_nan_batch_leaves_no_trace_in_the_statistics_of_a_run() -> None:
    method = _Poisoned()
    trainer = build(method=method, guard=NonFiniteGuard(patience=3))
    trainer.run()
    assert trainer.guard.skipped == 1
    assert method.norm.running_mean.isfinite().all()
    assert method.norm.running_mean.abs().sum() > 0

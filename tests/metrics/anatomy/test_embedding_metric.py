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

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from monai.metrics import Cumulative, Metric

from monai_lamps.metrics.anatomy import (
    EmbeddingMetric,
    Locality,
    Symmetry,
    compositionality_statistic,
    decomposability_statistic,
    locality,
    locality_statistic,
    position_statistic,
    scale_consistency_statistic,
    symmetry_statistic,
)

EMBEDDINGS = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3
GROUPS = [f"p{number // 3}" for number in range(12)]


def test_it_is_a_metric_of_monai() -> None:
    assert issubclass(EmbeddingMetric, Metric)
    assert issubclass(EmbeddingMetric, Cumulative)
    with pytest.raises(TypeError, match="abstract"):
        EmbeddingMetric()  # type: ignore[abstract]


def test_patients_are_those_of_the_batches() -> None:
    metric = Locality()
    metric(EMBEDDINGS[:6], LABELS[:6], GROUPS[:6])
    metric(EMBEDDINGS[6:], LABELS[6:])
    patients = metric.patients()
    assert len(set(patients)) == 2 + 6
    assert patients[0] == patients[2] != patients[3]


def test_nothing_of_the_graph_is_kept() -> None:
    metric = Locality()
    metric((2 * EMBEDDINGS.clone().requires_grad_()), LABELS)
    assert not metric.get_buffer()[0].requires_grad


def test_tensors_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Locality expects as many cases in every tensor, got \[12, 11\]"):
        Locality()(EMBEDDINGS, LABELS[:11])


@pytest.mark.parametrize("ask", ["aggregate", "intervals", "patients", "statistic"])
def test_without_a_case_there_is_nothing_to_tell(ask: str) -> None:
    with pytest.raises(ValueError, match="Symmetry got no case to judge; call it with a batch first"):
        getattr(Symmetry(), ask)()


def test_a_draw_without_any_case_defines_no_figure() -> None:
    parts = EMBEDDINGS.view(4, 3, 6)
    places = torch.rand(12, 2, generator=torch.Generator().manual_seed(1))
    statistics = {
        12: [locality_statistic(EMBEDDINGS, LABELS, GROUPS), position_statistic(EMBEDDINGS, places, GROUPS)],
        4: [
            compositionality_statistic(parts[:, 0], parts),
            decomposability_statistic(parts, parts),
            symmetry_statistic(*parts.unbind(1)),
            scale_consistency_statistic(parts),
        ],
    }
    for count, of_count in statistics.items():
        for statistic in of_count:
            figures = {name: value for name, value in statistic(np.zeros(count)).items() if name != "chance"}
            assert np.isnan(list(figures.values())).all(), figures


def _rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    own, metric = slice(0, 5) if rank == 0 else slice(5, 12), Locality()
    metric(EMBEDDINGS[own], LABELS[own], GROUPS[own])
    assert metric.aggregate() == pytest.approx(locality(EMBEDDINGS, LABELS, GROUPS))
    assert len(set(metric.patients())) == 4
    dist.barrier()
    dist.destroy_process_group()


def test_what_two_processes_have_gathered_is_judged_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_rank, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]

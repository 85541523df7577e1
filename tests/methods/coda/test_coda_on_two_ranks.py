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

import torch
import torch.distributed as dist

from monai_lamps.engines import Progress
from monai_lamps.methods import Coda
from monai_lamps.networks import build_encoder

START = Progress.at(0, steps_per_epoch=2, total_epochs=2)
_DRAW = torch.Generator().manual_seed(1)
BATCH = {
    "wholes": torch.rand(8, 2, 1, 16, 16, generator=_DRAW),
    "locals": torch.rand(8, 2, 1, 8, 8, generator=_DRAW),
    "organ_index": torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
    "index": torch.arange(8),
    "seed": torch.arange(8),
}


class _Plain(torch.nn.Module):
    def forward(self, x: torch.Tensor, key: torch.Tensor, role: str) -> torch.Tensor:
        return x


def _coda() -> Coda:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", stride=8, base_channels=4, norm=("group", {"num_groups": 2}))
    return Coda(encoder, prototypes=12, hidden=16, bottleneck=8, augment=_Plain())


def _share(rank: int) -> dict[str, torch.Tensor]:
    return {name: values[4 * rank : 4 * rank + 4] for name, values in BATCH.items()}


def _step(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    method = _coda()
    terms = method(_share(rank), START)
    method.after_step(START)
    figures = {name: method.latest[name] for name in ("organ_accuracy", "organ_chance")}
    made = {**{name: value.detach() for name, value in terms.items()}, **figures, "center": method.intra_loss.center}
    torch.save(made, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_keys_and_centre_are_those_of_the_whole_batch_on_every_rank(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_step, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]
    made = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]

    method = _coda()
    terms = method(BATCH, START)
    method.after_step(START)
    for name in ("inter", "intra"):
        torch.testing.assert_close((made[0][name] + made[1][name]) / 2, terms[name].detach())
    for name in ("organ_accuracy", "organ_chance"):
        torch.testing.assert_close((made[0][name] + made[1][name]) / 2, method.latest[name])
    for one in made:
        torch.testing.assert_close(one["center"], method.intra_loss.center)
    assert float(made[0]["organ_chance"]) != 0

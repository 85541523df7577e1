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
import torch.nn.functional as F

from monai_lamps.data.keys import derive_seed
from monai_lamps.engines import Progress
from monai_lamps.methods import Adam
from monai_lamps.methods.adam import adam_curriculum, queue_and_batch_negatives
from monai_lamps.networks import build_encoder

START = Progress.at(0, steps_per_epoch=2, total_epochs=2)
VIEWS = torch.rand(8, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


class _Plain(torch.nn.Module):
    def forward(self, x: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return x


def _adam(**kwargs: object) -> Adam:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", stride=8, base_channels=4)  # batch normalisation
    defaults: dict = {"queue_size": 12, "hidden": 16, "out": 8, "augment": _Plain()}
    return Adam(encoder, adam_curriculum([0], 2), **{**defaults, **kwargs})


def _batch(rank: int) -> dict[str, torch.Tensor]:
    mine = slice(4 * rank, 4 * rank + 4)
    return {"views": VIEWS[mine], "seed": torch.arange(8)[mine]}


def _step(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    method = _adam()
    contrast = method(_batch(rank), START)["contrast"].detach()
    method.after_step(START)
    with_batch = _adam(negatives=queue_and_batch_negatives)(_batch(rank), START)["contrast"].detach()
    made = {"contrast": contrast, "with_batch": with_batch, "keys": method.queue.keys}
    torch.save(made, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_the_teacher_normalises_over_shuffled_batches_and_all_keys_reach_every_queue(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_step, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]
    made = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]

    method = _adam()
    key_views = method.normalize(VIEWS[:, 1])
    order = torch.randperm(8, generator=torch.Generator().manual_seed(derive_seed(0)))
    keys = torch.empty(8, 8)
    for company in order.chunk(2):
        keys[company] = method.teacher(key_views[company])
    for rank in range(2):
        torch.testing.assert_close(made[rank]["keys"][:8], F.normalize(keys, dim=1))
        query = method.student(method.normalize(_batch(rank)["views"][:, 0]))
        expected = method.losses[0](query, keys[4 * rank : 4 * rank + 4], _adam().queue.negatives)
        torch.testing.assert_close(made[rank]["contrast"], expected.detach())
        together, own = torch.cat([_adam().queue.negatives, keys.detach()]), torch.zeros(4, 20, dtype=torch.bool)
        own[torch.arange(4), 12 + 4 * rank + torch.arange(4)] = True
        expected = method.losses[0](query, keys[4 * rank : 4 * rank + 4], together, own)
        torch.testing.assert_close(made[rank]["with_batch"], expected.detach())
    assert torch.equal(made[0]["keys"], made[1]["keys"])

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
from monai_lamps.methods import RadLAS
from monai_lamps.methods.radlas import radlas_curriculum
from monai_lamps.networks import EvidenceNetwork, TokenDecoder, build_encoder

START = Progress.at(0, steps_per_epoch=2, total_epochs=2)  # the masks are known: nothing hangs on the scale
HEALTHY = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))
LESION = torch.zeros(6, 1, 16, 16)
LESION[:5, :, 2:9, 3:12] = 0.7  # the last one has none


def _radlas() -> RadLAS:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", stride=8, base_channels=4, norm=("group", {"num_groups": 2}))
    network = EvidenceNetwork(encoder, TokenDecoder(32, 8, 12, 1, 2, position_cells=2))
    return RadLAS(network, radlas_curriculum(2), hidden=8, out=4, ssim_weight=0.0)


def _batch(some: slice) -> dict[str, torch.Tensor]:
    image = (HEALTHY + 0.3 * LESION).clamp(0, 1)
    return {"image": image[some], "healthy": HEALTHY[some], "lesion": LESION[some], "seed": torch.arange(6)[some]}


def _step(method: RadLAS, some: slice) -> dict[str, torch.Tensor]:
    terms = method(_batch(some), START)
    sum(terms.values()).backward()
    method.after_step(START)
    gradients = {f"gradient of {n}": p.grad for n, p in method.student.named_parameters() if p.grad is not None}
    return {**{n: value.detach() for n, value in terms.items()}, **gradients, "scale": method.student.evidence.scale}


def _rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    torch.save(_step(_radlas(), slice(3 * rank, 3 * rank + 3)), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_terms_and_gradients_of_two_processes_average_to_those_of_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")  # a forked process would inherit the threads of autograd
    ranks = [context.Process(target=_rank, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(240)
    assert [process.exitcode for process in ranks] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    one = _step(_radlas(), slice(6))
    assert one.keys() == first.keys()
    assert torch.equal(first["scale"], second["scale"])
    for name in one.keys() - {"scale"}:
        torch.testing.assert_close((first[name] + second[name]) / 2, one[name], rtol=1e-3, atol=1e-5, msg=name)

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
"""Joining the process group, and what the first process does for all (two processes, gloo)."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from PIL import Image
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from monai_lamps.bundle import (
    local_device,
    on_first_process,
    radiograph_datalist,
    start_processes,
    stop_processes,
    synchronize_batch_norm,
)

_WORLD = 2


def _rank(rank: int, port: int, folder: Path) -> None:
    """One of the processes that torchrun would start; writes down what it saw."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(_WORLD))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.INFO)
    start_processes("cpu", timeout_minutes=1)
    start_processes("cpu", timeout_minutes=1)  # a second call changes nothing
    seen: dict[str, object] = {"rank": dist.get_rank(), "level": logging.getLogger().level}
    seen["result"] = on_first_process(lambda: {"pid": os.getpid(), "path": str(folder)})

    def fail() -> None:
        raise FileNotFoundError(f"no file in {folder}")

    for name, work in {
        "error": lambda: on_first_process(fail),
        "no data": lambda: radiograph_datalist("", "", folder),
    }.items():
        try:
            work()
        except Exception as error:
            seen[name] = [type(error).__name__, str(error)]
    # the first process finds the index missing and makes it, the other one may see it: both must wait for the answer
    seen["datalists"] = [str(radiograph_datalist(folder / "films", "", folder / "out", workers=0)) for _ in range(2)]
    network = DistributedDataParallel(nn.Linear(2, 2))
    network(torch.ones(1, 2)).sum().backward()
    group = weakref.ref(network.process_group)
    stop_processes(network)
    stop_processes(network)
    seen["group lives"] = group() is not None  # its threads would be running when the interpreter ends
    seen["weights are left"] = tuple(network.module.weight.shape) == (2, 2)
    seen["initialized"] = dist.is_initialized()
    (folder / f"{rank}.json").write_text(json.dumps(seen))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "films").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "films" / f"{number}.png")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(_rank, (port, folder), nprocs=_WORLD, start_method="fork")
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(_WORLD)] + [{"folder": str(folder)}]


def test_both_processes_join_and_only_the_first_one_talks(seen: list[dict]) -> None:
    assert [one["rank"] for one in seen[:2]] == [0, 1]
    assert [one["level"] for one in seen[:2]] == [logging.INFO, logging.WARNING]
    assert [one["initialized"] for one in seen[:2]] == [False, False]
    assert [one["group lives"] for one in seen[:2]] == [False, False]
    assert [one["weights are left"] for one in seen[:2]] == [True, True]


def test_the_result_of_the_first_process_is_handed_to_both(seen: list[dict]) -> None:
    assert seen[0]["result"] == seen[1]["result"]
    assert seen[0]["result"]["path"] == seen[2]["folder"]
    assert seen[0]["result"]["pid"] != os.getpid()


def test_an_error_of_the_first_process_ends_both_with_its_message(seen: list[dict]) -> None:
    message = f"no file in {seen[2]['folder']}"
    assert seen[0]["error"] == ["FileNotFoundError", message]
    assert seen[1]["error"] == ["RuntimeError", f"the first process failed: {message}"]


def test_the_folder_is_indexed_by_the_first_process_for_both(seen: list[dict]) -> None:
    assert seen[0]["datalists"] == seen[1]["datalists"] == [f"{seen[2]['folder']}/out/datalist.json"] * 2
    assert seen[0]["no data"][0] == "ValueError"
    assert seen[1]["no data"] == ["RuntimeError", f"the first process failed: {seen[0]['no data'][1]}"]


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE"])
def test_without_torchrun_the_command_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv(missing)
    with pytest.raises(
        RuntimeError, match=r"multi_gpu_train\.json needs torchrun: torchrun --nproc_per_node=N -m monai"
    ):
        start_processes("cpu")
    assert not dist.is_initialized()


def test_without_a_process_group_work_is_just_done() -> None:
    assert on_first_process(lambda: 3) == 3
    with pytest.raises(KeyError):
        on_first_process(lambda: {}["x"])
    stop_processes()  # nothing to leave


def test_the_device_is_the_processes_own_gpu_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert local_device() == torch.device("cuda", 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert local_device() == torch.device("cpu")


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """As if torchrun had started this process as the first of two; holds what the group was made with."""
    calls: dict[str, Any] = {}

    def join(backend: str, **settings: Any) -> None:
        calls.update(backend=backend, **settings)

    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    monkeypatch.setattr(dist, "init_process_group", join)
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.update(set_device=device))
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    return calls


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_nccl_is_bound_to_the_processes_own_gpu(device: str, joined: dict[str, Any]) -> None:
    start_processes(device, timeout_minutes=2)
    own = torch.device("cuda", 1)
    assert joined == {"backend": "nccl", "timeout": timedelta(minutes=2), "device_id": own, "set_device": own}


def test_a_timeout_that_is_not_positive_is_refused(joined: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"dist_timeout_minutes got 0, expected a positive number, for example 30"):
        start_processes("cpu", timeout_minutes=0)
    assert not joined


@pytest.mark.parametrize(("threads", "warned"), [(1, True), (4, False)])
def test_cores_that_are_left_idle_are_named_with_the_mend(
    threads: int,
    warned: bool,
    joined: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    start_processes("cpu")
    assert joined["backend"] == "gloo"
    message = (
        "2 processes with 1 threads each leave cores idle: this machine has 8. Start with OMP_NUM_THREADS=4 torchr"
    )
    assert (message in caplog.text) == warned


def test_what_ends_a_process_is_printed_and_handed_to_torchrun(
    joined: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    start_processes("cpu")
    error = ValueError("a value that is wrong")
    sys.excepthook(ValueError, error, None)
    assert capsys.readouterr().err == "ValueError: a value that is wrong\n"
    told = json.loads((tmp_path / "error.json").read_text())
    assert told["message"] == "ValueError: a value that is wrong"
    assert isinstance(told["timestamp"], int)


def test_batch_normalisation_is_synchronized_on_gpus_and_keeps_its_names_and_tensors() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    names, weight, mean = list(network.state_dict()), network[1].weight, network[1].running_mean
    synchronized = synchronize_batch_norm(network, "cuda:0")
    assert synchronized is network
    assert isinstance(network[1], nn.SyncBatchNorm)
    assert (list(network.state_dict()), network[1].weight, network[1].running_mean) == (names, weight, mean)


def test_batch_normalisation_on_cpus_is_left_alone_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Sequential(nn.BatchNorm2d(4))
    assert synchronize_batch_norm(network, "cpu") is network
    assert type(network[0]) is nn.BatchNorm2d
    assert "batch normalisation sees only each process's share of the batch" in caplog.text
    assert "--encoder_args \"{'norm': ['group', {'num_groups': 32}]}\"" in caplog.text


def test_a_network_without_batch_normalisation_is_not_touched(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    assert synchronize_batch_norm(network, "cpu") is network
    assert not caplog.text

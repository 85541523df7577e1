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
"""Two processes train what one trains: the torchrun command, with gloo; of Lamps see test_lamps_distributed.py, too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from monai_lamps.checkpoints import load_encoder

Run = Callable[..., ConfigWorkflow]
# Coda: AdamW makes a step of the learning rate out of a gradient that is zero but for rounding; an eps of 1e-4 does
# not. The maximum over equal neighbours of a ResNet's stem is at another place after rounding; a Swin has none.
SWIN = {"patch_size": 8, "embed_dim": 16, "depths": [2], "num_heads": [2], "window_size": 2, "drop_path": 0.0}
#: what is set beside the tiny settings, so that weights move, the teacher's too
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {"queue_size": 18, "learning_rate": 0.05, "method#momentum#value": 0.8},
    "coda": {
        "encoder": "swin_tiny", "encoder_args": SWIN, "learning_rate": 5e-3, "optimizer#eps": 1e-4,
        "teacher_momentum": 0.8,
    },
    "radlas": {"learning_rate": 0.001, "teacher_momentum": 0.8},
}  # fmt: skip
CLOSE = {
    "adam": {"rtol": 1e-4, "atol": 1e-5},
    "coda": {"rtol": 1e-4, "atol": 1e-5},
    "radlas": {"rtol": 1e-2, "atol": 1e-3},
}
#: what every method keeps beside its networks: queue, centre, and the scale, which is a percentile: that of two halves
#: is not quite that of the whole
KEPT = {"adam": "queue.keys", "coda": "intra_loss.center", "radlas": "student.evidence.scale"}


@pytest.fixture
def in_two_processes(
    bundle: Path, data: dict[str, Any], tiny: dict[str, Any], bundle_command: Callable, tmp_path: Path
) -> Callable[..., Path]:
    """Train with two processes, with the tiny settings; the output folder."""
    configs = ("train.json", "multi_gpu_train.json")
    own = {key: value for key, value in tiny.items() if key != "device"}

    def go(**overrides: Any) -> Path:
        settings = {**own, **data, "output_dir": tmp_path / "two", **overrides}
        done: subprocess.CompletedProcess[str] = bundle_command(bundle, *configs, cwd=tmp_path, processes=2, **settings)
        assert done.returncode == 0, done.stderr[-3000:]
        return tmp_path / "two"

    return go


def _method(out: Path) -> dict[str, torch.Tensor]:
    """Everything of the method that is saved."""
    content: dict[str, Any] = torch.load(max((out / "checkpoints").glob("*.pt")), weights_only=True)
    method: dict[str, torch.Tensor] = content["method"]
    return method


@pytest.mark.parametrize("method", list(SETTINGS), indirect=True)
def test_two_processes_train_the_same_weights_and_memory_as_one(
    run: Run, in_two_processes: Callable[..., Path], method: str, data: dict[str, Any], tmp_path: Path
) -> None:
    run(**data, output_dir=tmp_path / "one", **SETTINGS[method])
    one, two = _method(tmp_path / "one"), _method(in_two_processes(**SETTINGS[method]))
    assert one.keys() == two.keys()
    assert KEPT[method] in one
    for name in one:
        close = {"rtol": 0.05, "atol": 0} if name.endswith("scale") and method == "radlas" else CLOSE[method]
        torch.testing.assert_close(two[name], one[name], **close, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(
    ("method", "overrides"),
    [("lamps", {"epochs": 1}), ("adam", {"granularities": [2], "encoder_args": {"stride": 8, "base_channels": 4}})],
    indirect=["method"],
)
def test_two_processes_train_a_network_with_batch_normalisation(
    in_two_processes: Callable[..., Path], overrides: dict[str, Any], metrics: Callable
) -> None:
    out = in_two_processes(**overrides)
    assert metrics(out)["finished"]
    encoder = load_encoder(out / "encoder.pt")
    assert encoder.embed_dim == 32
    assert "running_mean" in " ".join(encoder.state_dict())

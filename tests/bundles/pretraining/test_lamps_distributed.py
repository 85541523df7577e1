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
"""Several processes give what one gives: the torchrun command, with two gloo processes, against one process."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigWorkflow

from monai_lamps.data import ResumableBatchSampler

Run = Callable[..., ConfigWorkflow]
Done = subprocess.CompletedProcess[str]
pytestmark = pytest.mark.parametrize("method", ["lamps"], indirect=True)

TRAINING, VALIDATION, BATCH = 16, 4, 4
#: Every objective in each of two epochs of four steps, the prototypes held in the first one and trained in the second.
#: Stochastic depth is drawn per process, hence 0. AdamW divides by the gradient's own size, so a gradient that is zero
#: but for rounding (some 1e-8 here, in float32) would become a step of the learning rate in either direction; with an
#: eps of 1e-4 its step is 1e-4 of that, 5e-7, and after eight steps it is still within the tolerance
#: (measured: at most 5e-7), where what is trained moves by 7e-4 and more. The teacher moves quickly, so that what is
#: exported depends on what was trained.
SETTINGS: dict[str, Any] = {
    "encoder": "swin_tiny",
    "encoder_args": {
        "patch_size": 8,
        "embed_dim": 16,
        "depths": [2],
        "num_heads": [2],
        "window_size": 2,
        "drop_path": 0.0,
    },
    "region_cells": 5,
    "view_cells": 4,
    "window_cells": 3,
    "decoder_depth": 1,
    "decoder_heads": 4,
    "curriculum": "step",
    "cross_view": True,
    "epochs": 2,
    "batch_size": BATCH,
    "num_workers": 0,
    "warmup_epochs": 0,
    "learning_rate": 5e-3,
    "final_learning_rate": 5e-3,
    "device": "cpu",
    "precision": "fp32",
    "method#prototypes": 32,
    "method#momentum#start": 0.8,
    "method#momentum#end": 0.8,
    "optimizer#eps": 1e-4,
}
CLOSE = {"rtol": 1e-4, "atol": 3e-6}


def _films(phantoms: Path, folder: Path, broken: list[int]) -> list[Path]:
    """A folder with a datalist of which some training images cannot be read, named by their place in epoch 0."""
    shutil.copytree(phantoms, folder)
    names = sorted(path.name for path in folder.glob("*.png"))[: TRAINING + VALIDATION]
    lists = {"training": names[:TRAINING], "validation": names[TRAINING:]}
    content = {part: [{"image": name} for name in listed] for part, listed in lists.items()}
    (folder / "list.json").write_text(json.dumps(content))
    order = ResumableBatchSampler(TRAINING, BATCH, seed=0).permutation(0).tolist()
    files = [folder / lists["training"][order[place]] for place in broken]
    for file in files:
        file.write_bytes(b"not a picture")
    return files


@pytest.fixture(scope="module")
def torchrun(bundle: Path, bundle_command: Callable[..., Done]) -> Callable[..., Done]:
    """Run the command; each process may have an output folder of its own, so that it shows who writes."""
    own = {key: value for key, value in SETTINGS.items() if key != "device"}

    def go(films: Path, rank_config: dict[str, str], folder: Path, **overrides: Any) -> Done:
        ranks = folder / "ranks.json"
        ranks.write_text(json.dumps(rank_config))
        values = {**own, "datalist": films / "list.json", **overrides}
        return bundle_command(bundle, "train.json", "multi_gpu_train.json", ranks, cwd=folder, processes=2, **values)

    return go


@pytest.fixture(scope="module")
def films(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of which each of the two processes meets one that cannot be read in the first step."""
    folder = tmp_path_factory.mktemp("films") / "films"
    _films(phantoms, folder, broken=[1, 2])
    return folder


@pytest.fixture(scope="module")
def two(torchrun: Callable[..., Done], films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes, each with its own output folder (rank0, rank1) and one list of rejected files for both."""
    folder = tmp_path_factory.mktemp("two")
    ranks = {
        "output_dir": f"$os.path.join('{folder}', 'rank' + os.environ['RANK'])",
        "rejects#path": str(folder / "rejected.csv"),
    }
    done = torchrun(films, ranks, folder, max_reject=0.15)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def one(run: Run, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process with the same global batch."""
    folder = tmp_path_factory.mktemp("one")
    run(datalist=films / "list.json", output_dir=folder, max_reject=0.15, **SETTINGS)
    return folder


def _method(out: Path, step: int) -> dict[str, torch.Tensor]:
    """Everything of the method that is saved: student, heads, teacher, centre."""
    content = torch.load(out / "checkpoints" / f"step={step:09d}.pt", weights_only=True)
    method: dict[str, torch.Tensor] = content["method"]
    return method


def _figures(out: Path) -> list[dict[str, float]]:
    """What the history says of every epoch, without what depends on the machine."""
    kinds = ("epoch", "step", "loss/", "train/", "validation/", "collapse/")
    with (out / "history.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key.startswith(kinds)} for row in csv.DictReader(file)]
    return [{key: float(value) for key, value in row.items()} for row in rows]


def _assert_close(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


def test_two_processes_train_the_same_weights_as_one(one: Path, two: Path) -> None:
    middle, end = _method(two / "rank0", 4), _method(two / "rank0", 8)
    _assert_close(_method(one, 4), middle)
    _assert_close(_method(one, 8), end)
    moved = {name: float((end[name] - middle[name]).abs().max()) for name in end if end[name].is_floating_point()}
    assert {name for name, far in moved.items() if far < 1e-4} == {
        f"{network}.cross_view.whole.last_layer.parametrizations.weight.original0"  # norms of the prototypes: fixed
        for network in ("student", "teacher.module")
    }
    encoders = [torch.load(out / "encoder.pt", weights_only=True) for out in (one, two / "rank0")]
    _assert_close(*encoders)


def test_the_centre_is_that_of_the_whole_batch(one: Path, two: Path) -> None:
    centres = [_method(out, 8)["cross_view.global_loss.center"] for out in (one, two / "rank0")]
    assert centres[0].abs().max() > 1e-3
    torch.testing.assert_close(*centres, **CLOSE)


def test_the_history_is_that_of_one_process(one: Path, two: Path) -> None:
    alone, together = _figures(one), _figures(two / "rank0")
    assert len(alone) == len(together) == 2
    for term in ("extrapolation", "order", "consistency", "composition", "decomposition", "global_view", "local_view"):
        assert alone[1][f"loss/{term}"] > 0
    for ours, theirs in zip(alone, together):
        _assert_close(ours, theirs)


def test_only_the_first_process_writes(two: Path) -> None:
    assert (two / "rank0" / "encoder.pt").is_file()
    assert not (two / "rank1").exists()


def test_files_that_either_process_sets_aside_are_counted_once(one: Path, two: Path, films: Path) -> None:
    order = ResumableBatchSampler(TRAINING, BATCH, seed=0).permutation(0).tolist()
    names = sorted(path.name for path in films.glob("*.png"))
    with (two / "rejected.csv").open(newline="") as file:
        listed = sorted(Path(row["file"]).name for row in csv.DictReader(file))
    assert listed == sorted(names[order[place]] for place in (1, 2))
    for out in (one, two / "rank0"):
        assert json.loads((out / "metrics.json").read_text())["rejected_files"] == 2


def test_one_process_continues_what_two_began(run: Run, two: Path, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "continued"
    shutil.copytree(two / "rank0", out)
    for file in (out / "checkpoints").glob("step=000000008.*"):
        file.unlink()
    run(datalist=films / "list.json", output_dir=out, max_reject=0.15, **SETTINGS)
    _assert_close(_method(two / "rank0", 8), _method(out, 8))
    for ours, theirs in zip(_figures(two / "rank0"), _figures(out), strict=True):
        _assert_close(ours, theirs)


def test_a_process_that_fails_ends_all_in_time_and_names_the_cause(
    torchrun: Callable[..., Done], phantoms: Path, tmp_path: Path
) -> None:
    broken = _films(phantoms, tmp_path / "films", broken=[2, 3])  # both in the share of the second process
    done = torchrun(tmp_path / "films", {}, tmp_path, output_dir=tmp_path / "out", max_reject=0.0)
    assert done.returncode != 0
    cause = f"2 of {TRAINING} samples could not be loaded, more than max_reject=0.0% allows; the last one, {broken[1]}"
    assert f"monai_lamps: error: {cause}" in done.stderr
    summary = done.stderr[done.stderr.index("ChildFailedError") :]
    assert cause in summary  # torchrun's own last words
    assert "rank      : 1" in summary
    assert not (tmp_path / "out" / "encoder.pt").exists()

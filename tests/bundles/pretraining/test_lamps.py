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
"""What is particular to the bundle of Lamps, and what is tried with it for all pretraining bundles."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from monai.networks.nets import FlexibleUNet

from monai_lamps.checkpoints import load_encoder
from monai_lamps.networks import register_backbone

Run = Callable[..., ConfigWorkflow]
pytestmark = pytest.mark.parametrize("method", ["lamps"], indirect=True)


@pytest.mark.parametrize("given", ["true", "false"])
def test_switches_given_as_text_are_obeyed(workflow: Run, phantoms: Path, tmp_path: Path, given: str) -> None:
    flow = workflow("train.json", dataset_dir=phantoms, output_dir=tmp_path, compile=given, cross_view=given)
    flow.initialize()
    flow.parser.get_parsed_content("network")  # compiled functions wait for their first call
    method = flow.parser.get_parsed_content("method")
    compiled = {"features", "_stage_outputs"} & vars(method.encoder).keys()
    assert (bool(compiled), method.cross_view is not None) == (given == "true", given == "true")


def test_a_misspelt_override_ends_the_command_with_one_line(
    bundle: Path, tmp_path: Path, bundle_command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = bundle_command(bundle, "train.json", cwd=tmp_path, dataset_dir=tmp_path, epochz=1)
    assert done.returncode == 1
    assert "unknown override 'epochz': did you mean '--epochs'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_encoder_goes_into_a_monai_segmentation_network(trained: Path) -> None:
    encoder = load_encoder(trained / "encoder.pt")
    register_backbone("tiny_lamps", **encoder.config)
    network = FlexibleUNet(in_channels=1, out_channels=2, backbone="tiny_lamps", pretrained=False)
    network.encoder.load_encoder(encoder)
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)


def test_a_run_stopped_by_a_signal_continues_to_the_same_bits(
    run: Run,
    workflow: Run,
    trained: Path,
    phantoms: Path,
    tmp_path: Path,
    metrics: Callable,
    assert_same_end: Callable,
) -> None:
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    stop_at = trainer.state.epoch_length + 2  # in the middle of the second epoch
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=stop_at), lambda: os.kill(os.getpid(), signal.SIGTERM))
    flow.run()
    with pytest.raises(SystemExit) as stopped:
        flow.finalize()
    assert stopped.value.code == 85
    assert not metrics(tmp_path)["finished"]
    run(dataset_dir=phantoms, output_dir=tmp_path)
    assert metrics(tmp_path)["finished"]
    assert_same_end(trained, tmp_path, ("method", "optimizer", "trainer"))


def test_a_truncated_newest_checkpoint_is_passed_over(
    run: Run, trained: Path, copy_of_trained: Path, phantoms: Path, metrics: Callable, assert_same_end: Callable
) -> None:
    newest = max((copy_of_trained / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    run(dataset_dir=phantoms, output_dir=copy_of_trained)
    assert metrics(copy_of_trained)["finished"]
    assert_same_end(trained, copy_of_trained, ("method",))


def test_the_bundle_works_when_its_folder_is_copied_elsewhere(
    run: Run, bundle: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("eval", "models"))
    monkeypatch.chdir(tmp_path)
    run(bundle_root=copy, dataset_dir=phantoms, epochs=1)
    assert (copy / "eval" / "encoder.pt").is_file()

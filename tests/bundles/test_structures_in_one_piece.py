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
"""Structures in one piece: in training, and as the network's card then says, in evaluation and inference."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from scipy.ndimage import label

from monai_lamps.checkpoints import read_network_card
from monai_lamps.data.annotations import read_binary_mask

Run = Callable[..., ConfigWorkflow]
BUNDLE = "radiograph_segmentation"
STRUCTURES = ["right_lung", "left_lung", "heart"]


def _masks(out: Path) -> list[tuple[str, np.ndarray]]:
    with open(out / "masks.csv", newline="") as file:
        return [(row["structure"], read_binary_mask(out / row["mask"])) for row in csv.DictReader(file)]


def test_stray_pixels_of_the_named_structures_go(
    run_task: Run, segmentation: Path, labelled: Path, tmp_path: Path
) -> None:
    settings = {"kind": "infer", "datalist": labelled, "network_file": segmentation / "best.pt"}
    flow = run_task(BUNDLE, "inference.json", output_dir=tmp_path, **settings)
    network, loader = (flow.parser.get_parsed_content(name) for name in ("network", "dataloader"))
    with torch.no_grad():
        hearts = torch.cat([network(batch["image"])[:, STRUCTURES.index("heart")] for batch in loader])
    threshold = float(hearts.median())  # half of the pixels, in many parts
    found = {}
    for kept in ([], ["heart"]):
        out = tmp_path / str(len(kept))
        run_task(BUNDLE, "inference.json", output_dir=out, threshold=threshold, largest_component=kept, **settings)
        found[len(kept)] = _masks(out)
    changed = 0
    for (structure, before), (_, after) in zip(found[0], found[1], strict=True):
        parts, count = label(before, np.ones((3, 3)))
        sizes = np.bincount(parts.ravel(), minlength=2)[1:]
        keeps = structure != "heart" or count < 2
        np.testing.assert_array_equal(after, before if keeps else parts == sizes.argmax() + 1)
        changed += not keeps
    assert changed


def test_what_was_in_one_piece_in_training_is_so_afterwards(
    run_task: Run, task_workflow: Run, labelled: Path, tmp_path: Path, metrics: Callable
) -> None:
    flow = run_task(BUNDLE, output_dir=tmp_path, largest_component=["heart"])
    assert flow.parser.get_parsed_content("task").figures.postprocessing.applied_labels == (STRUCTURES.index("heart"),)
    assert read_network_card(tmp_path)["largest_component"] == ["heart"]
    settings = {"kind": "infer", "datalist": labelled, "network_file": tmp_path / "best.pt"}
    run_task(
        BUNDLE,
        "evaluate.json",
        output_dir=tmp_path / "a",
        bootstrap_draws=2,
        section="validation",
        batch_size=4,
        **settings,
    )
    report = json.loads((tmp_path / "a" / "figures.json").read_text())
    assert report["figures"]["dice"]["value"] == pytest.approx(metrics(tmp_path)["best validation/dice"], abs=1e-6)
    for config, kept in (("evaluate.json", [2]), ("inference.json", [2]), ("evaluate.json", None)):
        override = {} if kept else {"largest_component": "false"}
        flow = task_workflow(BUNDLE, config, output_dir=tmp_path / "b", **settings, **override)
        transform = flow.parser.get_parsed_content("postprocessing")
        assert (transform and list(transform.applied_labels)) == kept

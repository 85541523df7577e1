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

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.comparison import Plan, Run, read_plan

#: what the bundle of these tests runs: a "training" of some steps that writes its figures, and goes on where it was
STUB = """
import csv
import json
from pathlib import Path


def train(output_dir, seed, shots, learning_rate, steps, encoder, stop_at):
    folder = Path(output_dir)
    if encoder == "broken":
        raise ValueError("encoder 'broken' is of another shape")
    if encoder == "endless":
        return
    state = folder / "checkpoints" / "step.txt"
    state.parent.mkdir(parents=True, exist_ok=True)
    for step in range(int(state.read_text()) if state.exists() else 0, steps):
        with open(folder / "steps.txt", "a") as file:
            file.write(f"{step}\\n")
        state.write_text(str(step + 1))
        if step + 1 == stop_at and not (folder / "stopped").exists():
            (folder / "stopped").touch()
            raise SystemExit(85)
    print("trained", seed, shots)
    dice = 0.5 + 0.01 * shots + 0.001 * (seed % 7) - abs(learning_rate - 0.01)
    dice += 0.2 + 0.001 * (seed % 2) if encoder == "good" else 0
    (folder / "best.pt").write_text(str(dice))
    (folder / "last.pt").write_text(str(dice))
    content = {"finished": True, "best epoch": 1, "figures": {"validation/dice": {"first": 0.0, "last": dice}}}
    (folder / "metrics.json").write_text(json.dumps(content))
    with open(folder / "history.csv", "w", newline="") as file:
        csv.writer(file).writerows([["epoch", "validation/dice"], [1, dice + 1], [2, dice]])


def evaluate(output_dir, network_file, section, data, bonus):
    folder = Path(output_dir)
    folder.mkdir(parents=True)
    dice = float(Path(network_file).read_text()) - 0.1 + bonus
    content = {"section": section, "data": data, "figures": {"dice": {"value": dice, "lower": 0.0, "upper": 1.0}}}
    (folder / "figures.json").write_text(json.dumps(content))
"""
TRAIN = {
    "imports": ["$import sys"],
    "bundle_root": ".",
    "output_dir": "",
    "path": "$sys.path.insert(0, @bundle_root + '/scripts')",
    "data": "",
    "encoder": "none",
    "decoder": "unet",
    "shots": 0,
    "share": 1.0,
    "seed": 0,
    "shot_seed": "@seed",
    "learning_rate": 0.01,
    "steps": 3,
    "stop_at": 0,
    "initialize": ["$@path"],
    "run": [
        {
            "_target_": "comparison_stub.train",
            **{
                key: f"@{key}"
                for key in ("output_dir", "seed", "shots", "learning_rate", "steps", "encoder", "stop_at")
            },
        }
    ],
    "finalize": ["$@decoder + str(@shot_seed) + str(@share) + @data"],
}
EVALUATE = {
    "imports": ["$import sys"],
    "bundle_root": ".",
    "output_dir": "",
    "path": "$sys.path.insert(0, @bundle_root + '/scripts')",
    "network_file": "",
    "section": "validation",
    "data": "",
    "bonus": 0.0,
    "initialize": ["$@path"],
    "run": [
        {
            "_target_": "comparison_stub.evaluate",
            **{key: f"@{key}" for key in ("output_dir", "network_file", "section", "data", "bonus")},
        }
    ],
    "finalize": [],
}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that trains nothing, in no time."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "configs").mkdir()
    (folder / "scripts").mkdir()
    (folder / "scripts" / "comparison_stub.py").write_text(STUB)
    (folder / "configs" / "train.json").write_text(json.dumps(TRAIN))
    (folder / "configs" / "evaluate.json").write_text(json.dumps(EVALUATE))
    (folder / "configs" / "metadata.json").write_text("{}")
    return folder


@pytest.fixture
def content(bundle: Path) -> dict[str, Any]:
    """A plan, as it is read from JSON."""
    return {
        "bundle": str(bundle),
        "encoders": {"random": {}, "lamps": {"encoder": "good"}},
        "shots": [1, 3],
        "seeds": 3,
        "figures": "validation/dice",
    }


@pytest.fixture
def plan(content: dict[str, Any], tmp_path: Path) -> Callable[..., Plan]:
    """Write and read the plan with some keys replaced (None takes one away)."""

    def make(*changes: str, **keys: Any) -> Plan:
        changed = {key: value for key, value in {**content, **keys}.items() if value is not None}
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(changed))
        return read_plan(path, changes)

    return make


class FakeRunner:
    """In place of a bundle: writes figures that depend on the settings, and notes which runs it made."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails: Callable[[Run], BaseException | None] = lambda run: None

    def __call__(self, run: Run) -> None:
        self.made.append(run.title)
        error = self.fails(run)
        if error is not None:
            raise error
        noise = zlib.crc32(f"{run.encoder} {run.seed}".encode()) % 100 / 10_000
        figure = 0.5 + noise + 0.01 * run.amount.value + (0.2 if run.encoder == "lamps" else 0)
        figure -= abs(run.settings.get("learning_rate", 0.01) - (0.1 if run.encoder == "lamps" else 0.01))
        figures = {"validation/dice": {"last": figure}, "validation/hd95_px": {"last": 10 - figure}}
        (run.folder / "metrics.json").write_text(json.dumps({"finished": True, "figures": figures}))


@pytest.fixture
def runner() -> FakeRunner:
    """Makes runs without a bundle."""
    return FakeRunner()


@pytest.fixture
def quiet() -> Callable[[str], None]:
    """Takes lines about progress."""
    return lambda line: None

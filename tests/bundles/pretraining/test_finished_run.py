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
"""What a finished run of each pretraining bundle leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_lamps.checkpoints import load_encoder, read_card


@dataclass(frozen=True)
class Promised:
    """What a method leaves beside what all leave.

    Args:
        pictures: kinds of the drawn pictures.
        positive: figures that are above 0.
        chance: figures and what guessing would have.
        within: figures and the range that they lie in.
        exported, other: prefixes of the encoder that is exported, and of its twin, in the saved method.
        region: cells of the region that the card prepares.
        files: further files.
    """

    pictures: set[str]
    positive: list[str]
    chance: dict[str, float] = field(default_factory=dict)
    within: dict[str, tuple[float, float]] = field(default_factory=dict)
    exported: str = "teacher.module.encoder"
    other: str = "student.encoder"
    region: int = 4
    files: tuple[str, ...] = ("datalist.json",)


LAMPS = ("extrapolation", "order", "consistency", "composition", "decomposition")
COSINES = [f"{part}/{name}_cosine" for part in ("train", "validation") for name in ("positive", "negative")]
RADLAS = ("lesion_error", "healthy_error", "lesion_before")
PROMISED = {
    "lamps": Promised(
        pictures={"views", "context", "quadrants", "order_map"},
        positive=[f"{kind}/{term}" for kind in ("loss", "validation") for term in LAMPS],
        chance={"validation/order_accuracy": 1 / 16},
        region=5,
    ),
    "adam": Promised(
        pictures={"views", "neighbours"},
        positive=["loss/contrast"],
        chance={"train/contrast_accuracy": 1 / 17, "validation/contrast_accuracy": 1 / 17},
        within=dict.fromkeys([*COSINES, "train/pruned_share", "validation/pruned_share"], (-1, 1)),
        exported="student.encoder",
        other="teacher.module.encoder",
    ),
    "coda": Promised(
        pictures={"views", "locals", "organs"},
        positive=[f"{kind}/{term}" for kind in ("loss", "validation") for term in ("inter", "intra")],
        within={
            "train/organ_accuracy": (0, 1),
            "validation/organ_accuracy": (0, 1),
            "validation/organ_retrieval": (0, 1),
            "train/organ_chance": (1 / 3 - 1e-6, 1 / 3 + 1e-6),  # two images each of two organs, in every step
            "train/prototypes_used": (1, 16),
            "train/teacher_entropy": (0, 1),
        },
        files=(),  # its datalist is given
    ),
    "radlas": Promised(
        pictures={"evidence"},
        positive=[
            *(f"loss/{term}" for term in ("restoration", "discrimination", "context")),
            *(f"validation/{name}" for name in RADLAS),
        ],
        chance={"validation/discrimination_accuracy": 1 / 5, "validation/pixel_auroc": 0.5},
        within={f"validation/{name}": (0, 1) for name in RADLAS},
        exported="teacher.module.evidence.encoder",
        other="student.evidence.encoder",
        files=("datalist.json", "evidence.pt", "evidence.json"),
    ),
}


def test_a_finished_run_leaves_everything_that_is_promised(trained: Path, method: str, metrics: Callable) -> None:
    promised = PROMISED[method]
    files = ("encoder.pt", "encoder.json", "metrics.json", "rejected.csv", "history.csv")
    for name in (*files, *promised.files):
        assert (trained / name).is_file(), name
    assert len(list((trained / "checkpoints").glob("step=*.pt"))) == 2
    assert any((trained / "tensorboard").iterdir())
    drawn = {path.stem.split("_", 1)[1] for path in (trained / "pictures").glob("*.png")}
    assert drawn == promised.pictures
    report = metrics(trained)
    assert report["finished"]
    assert report["epochs"] == 2
    figures: dict[str, Any] = report["figures"]
    assert {name for name in promised.positive if not figures[name]["last"] > 0} == set()
    assert {name: figures[name]["chance"] for name in promised.chance} == promised.chance
    for name, (low, high) in promised.within.items():
        assert low <= figures[name]["last"] <= high, name
    assert figures["collapse/effective_rank"]["last"] > 1


def test_the_exported_encoder_is_that_of_the_method_with_a_card_that_rebuilds_it(trained: Path, method: str) -> None:
    promised = PROMISED[method]
    card = read_card(trained / "encoder.pt")
    assert card["encoder"]["name"] == "resnet18"
    assert card["image_size"] == [32, 32]
    assert card["normalization"]["mean"] == 0.5056
    assert card["preparation"] == {"transform": "GridRegion", "cell": 8, "region": promised.region}
    assert (card["method"], card["epochs"], card["seed"]) == (method, 2, 0)
    encoder = load_encoder(trained / "encoder.pt").state_dict()
    newest = max((trained / "checkpoints").glob("*.pt"))
    saved = torch.load(newest, weights_only=True)["method"]
    assert encoder
    for name, value in encoder.items():
        assert torch.equal(value, saved[f"{promised.exported}.{name}"]), name
    assert any(not torch.equal(value, saved[f"{promised.other}.{name}"]) for name, value in encoder.items())


@pytest.mark.parametrize("method", ["coda"], indirect=True)
def test_validation_images_of_a_datalist_are_not_trained_on(trained: Path, metrics: Callable) -> None:
    assert metrics(trained)["training_images"] == 18

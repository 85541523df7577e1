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
"""The card of every bundle (docs/README.md) is complete: the model zoo's form, and what a user must know beyond it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(folder.name for folder in (ROOT / "bundles").iterdir() if (folder / "configs").is_dir())

SECTIONS = (
    "Model Overview",
    "Intended use",
    "Data",
    "Preprocessing",
    "Memory Consumption",
    "Input",
    "Output",
    "Environmental cost",
    "MONAI Bundle Commands",
    "Limitations",
    "Known failures",
    "References",
    "License",
)
#: what the bundle does is called so in its card, where it does not train
MADE = {"anatomy_evaluation": "What is judged"}
NOT_RUN = "has not been trained on radiographs yet"
RUNS = "| run | hours | threads | memory, GB | energy, Wh | CO2e, g |"
WATT_CORE, WATT_GB, OVERHEAD, GRAM_WH = 12, 0.3725, 1.67, 0.475


@pytest.fixture(params=BUNDLES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a bundle."""
    return request.param


@pytest.fixture
def card(name: str) -> str:
    """The text of its card."""
    return (ROOT / "bundles" / name / "docs" / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def metadata(name: str) -> dict[str, Any]:
    """What its metadata say."""
    return json.loads((ROOT / "bundles" / name / "configs" / "metadata.json").read_text(encoding="utf-8"))


def _sections(card: str) -> dict[str, str]:
    """Heading to text, up to the next heading of whatever level; code is not searched for headings."""
    plain = re.sub(r"^```.*?^```", lambda block: block[0].replace("#", " "), card, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^#+ (.+)$", plain, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def _rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| ---")]


def test_there_are_bundles() -> None:
    assert len(BUNDLES) >= 7


def test_every_section_is_there_and_says_something(name: str, card: str) -> None:
    sections = _sections(card)
    wanted = {*SECTIONS, MADE.get(name, "Training configuration")}
    assert wanted <= sections.keys(), f"{name} lacks {wanted - sections.keys()}"
    parents = {title for title in wanted if re.search(rf"^#+ {re.escape(title)}\n+#", card, flags=re.MULTILINE)}
    assert not [title for title in wanted - parents if len(sections[title].strip()) < 20]


def test_clinical_use_is_excluded_in_card_and_metadata(card: str, metadata: dict[str, Any]) -> None:
    assert "not for clinical use" in " ".join(_sections(card)["Intended use"].lower().split())
    assert "not for clinical use" in metadata["intended_use"].lower()


def test_either_results_are_shown_or_it_is_said_that_there_are_none(card: str) -> None:
    # whoever adds a Performance section takes the sentence away, where it stands under cost and failures
    assert ("## Performance\n" in card) != (NOT_RUN in card)


def test_results_come_with_machine_and_seeds(card: str) -> None:
    start = card.find("## Performance\n")
    if start < 0:
        assert NOT_RUN in card
        return
    results = re.split(r"^#{1,2} (?!Performance)", card[start:], flags=re.MULTILINE)[0]
    assert re.search(r"\b(CPU|GPU|core)\b", results)
    assert re.search(r"\b(seeds?|draws of|bootstrap)\b", results)


def test_figures_of_the_metadata_stand_in_the_card(card: str, metadata: dict[str, Any]) -> None:
    for figure, value in metadata["eval_metrics"].items():
        shown = {f"{value:.{digits}f}" for digits in (1, 2, 3)} | {f"{100 * value:.1f}"}
        exact = {text for text in shown if math.isclose(float(text), value) or math.isclose(float(text), 100 * value)}
        found = [text for text in exact if re.search(rf"(?<![\d.]){re.escape(text)}(?!\d)", card)]
        assert found, f"{figure} = {value} is not in the card"
    assert bool(metadata["eval_metrics"]) == ("## Performance\n" in card)


def test_the_formula_of_the_energy_is_the_same_in_all_cards(card: str) -> None:
    lamps = (ROOT / "bundles/lamps_pretraining/docs/README.md").read_text(encoding="utf-8")
    said, shared = (_sections(text)["Environmental cost"].strip().split("\n\n")[0] for text in (card, lamps))
    assert said == shared
    for number in (WATT_CORE, WATT_GB, OVERHEAD, round(GRAM_WH * 1000)):
        assert f"{number}" in said


def test_energy_follows_from_hours_threads_and_memory(card: str) -> None:
    section = _sections(card)["Environmental cost"]
    if NOT_RUN in section:
        return
    assert RUNS in section
    rows = _rows(section)[1:]
    assert rows
    for run, hours, threads, memory, energy, emitted in rows:
        gigabytes = 0.0 if memory == "not noted" else float(memory)
        watt_hours = float(hours) * (int(threads) * WATT_CORE + gigabytes * WATT_GB) * OVERHEAD
        assert float(energy) == float(f"{watt_hours:.2g}"), f"{run}: {watt_hours:.2g} Wh"
        assert float(emitted) == float(f"{watt_hours * GRAM_WH:.2g}"), f"{run}: {watt_hours * GRAM_WH:.2g} g"


def test_licences_of_code_and_data_lie_beside_it(name: str) -> None:
    folder = ROOT / "bundles" / name
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    data = (folder / "docs" / "data_license.txt").read_text(encoding="utf-8")
    assert "no third party data" in data
    assert "Your own data" in data


def test_pictures_of_the_card_are_there_and_no_others(name: str, card: str) -> None:
    docs = ROOT / "bundles" / name / "docs"
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", card)
    assert not [picture for picture in shown if not (docs / picture).is_file()]
    kept = {file.name for file in docs.iterdir() if file.suffix == ".png"}
    assert kept <= set(shown), f"{kept - set(shown)} are shown nowhere"


def test_links_of_the_card_lead_somewhere(name: str, card: str) -> None:
    docs = ROOT / "bundles" / name / "docs"
    links = [link for link in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)", card) if "://" not in link]
    assert not [link for link in links if not (docs / link).exists()]

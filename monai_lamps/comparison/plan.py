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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .amount import Amount
from .bundle_ids import check_ids, config_files, known_ids
from .checks import check_keys, check_names, check_seeds, check_values
from .named_tests import TESTS
from .readings import EPOCHS

__all__ = ["EVALUATE", "KEYS", "OWN_IDS", "Plan", "change", "read_plan"]

#: keys of a plan
KEYS = (
    "description", "bundle", "config", "common", "encoders", "baseline", "shots", "shares", "seeds", "figures", "means",
    "test", "epoch", "section", "evaluations", "search", "search_seeds", "search_shots", "search_figure",
    "keep_networks",
)  # fmt: skip
#: ids of the bundle that the comparison itself gives to a run
OWN_IDS = ("bundle_root", "output_dir", "resume", "seed", "shots", "share")
#: the config that judges a trained network
EVALUATE = "evaluate.json"


@dataclass(frozen=True)
class Plan:
    """What is compared with what, see :func:`read_plan`.

    Attributes:
        bundle: folder of the bundle that is run.
        config: its config files, ``train.json`` first.
        common: overrides of every run.
        encoders: overrides of each initialisation, by its name: the rows of the table.
        baseline: name of the initialisation that the others are tested against.
        amounts: how many training images: the columns of the table.
        seeds: of each run; with the same seed all initialisations see the same training images.
        figures: what is compared, names as in ``metrics.json``; for a figure of an evaluation its name comes first.
        means: figures that are the mean of others, such as both clavicles, by name.
        test: key of :data:`TESTS`, or "none".
        epoch: key of :data:`EPOCHS`: the epoch whose figures count.
        evaluations: overrides of ``evaluate.json``, by name: other images on which each trained network is judged.
        search: values to try, by id; every initialisation gets the same search.
        search_seeds: its seeds, apart from those of the comparison.
        search_amounts: where it is made; empty for each amount by itself.
        search_figure: what decides.
        keep_networks: whether ``best.pt`` and ``last.pt`` of finished runs of the comparison stay.
        description: a heading for the table.
        source: the JSON object that all this was read from, with its changes.
    """

    bundle: Path
    config: tuple[Path, ...]
    common: Mapping[str, Any]
    encoders: Mapping[str, Mapping[str, Any]]
    baseline: str
    amounts: tuple[Amount, ...]
    seeds: tuple[int, ...]
    figures: tuple[str, ...]
    means: Mapping[str, Sequence[str]] = field(default_factory=dict)
    test: str = "paired_t"
    epoch: str = "last"
    evaluations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    search: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    search_seeds: tuple[int, ...] = ()
    search_amounts: tuple[Amount, ...] = ()
    search_figure: str = ""
    keep_networks: bool = True
    description: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)

    def parts(self, *figures: str) -> list[str]:
        """What runs must report for these figures: themselves, or the figures that they are the means of."""
        return [part for name in figures for part in self.means.get(name, [name])]

    def settings(self, encoder: str, amount: Amount, seed: int, found: Mapping[str, Any]) -> dict[str, Any]:
        """Overrides of one run, without its folder.

        Args:
            encoder: name of the initialisation.
            amount: how many training images.
            seed: of the run, and (unless ``common`` fixes ``shot_seed``) of the choice of training images.
            found: what the search has found, or tries.
        """
        draw = {"shot_seed": seed} if "shot_seed" in known_ids(self.config) else {}
        return {**draw, **self.common, **self.encoders[encoder], **found, amount.id: amount.value, "seed": seed}


def read_plan(path: str | Path, changes: Sequence[str] = ()) -> Plan:
    """Read and check a plan.

    A plan is a JSON object; relative paths in it count from the current folder, as on the command line of a bundle.

    - ``bundle``: folder of the bundle; ``config``: its files, by default ``["train.json"]``; others are looked for in
      the bundle's ``configs`` and then as paths, so that presets can be added.
    - ``common``: overrides of every run; ``encoders``: name -> overrides of its own; ``baseline``: one of these names,
      by default the first.
    - ``shots`` (numbers of images, 0 for all) or ``shares`` (0 to 1); ``seeds``: a number n for 0 ... n - 1, by default
      10, or a list.
    - ``figures``: a name or several; ``means``: name -> figures whose mean is a figure of this name; ``epoch``: "last"
      (default) or "best"; ``test``: a key of :data:`TESTS` (default "paired_t") or "none".
    - ``section``: "validation" (default) takes what the training itself reports. Any other section of the datalist is
      judged by the bundle's ``evaluate.json``, and its figures are called ``SECTION/...``. ``evaluations``: more of
      these, name -> overrides of ``evaluate.json`` (another datalist, say): figures ``NAME/...``.
    - ``search``: id -> values to try; all combinations are run for every initialisation with ``search_seeds`` (by
      default 2, next to those of the comparison), at each amount, or at the ``search_shots`` only; the best mean of
      ``search_figure`` (default: the first of ``figures`` that the training reports) is taken.
    - ``keep_networks`` (default true), ``description``.

    Args:
        path: the file.
        changes: texts ``KEY=VALUE`` that replace parts of it, see :func:`change`.

    Raises:
        FileNotFoundError: when the plan, the bundle or a config is not there.
        ValueError: when it is not such a plan; the message names the key, its value and the nearest valid one.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"plan '{path}' is not JSON ({error}); mend it there.") from error
    if not isinstance(content, dict):
        raise ValueError(f"plan '{path}' must be a JSON object with the keys {', '.join(KEYS)}.")
    for text in changes:
        change(content, text)
    try:
        return _plan(content)
    except ValueError as error:
        raise ValueError(f"plan '{path}': {error}") from error


def change(content: dict[str, Any], text: str) -> None:
    """Replace a part of a plan, as ``--set`` does.

    Args:
        content: the plan as it was read; changed in place.
        text: ``KEY=VALUE``; the key leads down by dots (``encoders.lamps.encoder``), the value is JSON or else a text.

    Raises:
        ValueError: when there is no "=", or the key leads through something that is not an object.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise ValueError(f"a change of the plan must be KEY=VALUE, got '{text}'; e.g. encoders.lamps.encoder=enc.pt.")
    *way, last = key.split(".")
    place = content
    for step in way:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise ValueError(f"'{key}' leads through '{step}', which is {json.dumps(place)} and has no parts.")
    try:
        place[last] = json.loads(value)
    except json.JSONDecodeError:
        place[last] = value


def _plan(content: Mapping[str, Any]) -> Plan:
    check_keys(content, KEYS, "key")
    check_values(content)
    config = config_files(content["bundle"], content.get("config", ["train.json"]))
    encoders, common = content["encoders"], content.get("common", {})
    amounts, seeds = _amounts(content), _seeds(content.get("seeds", 10))
    check_names(encoders, "encoders")
    figures = content["figures"]
    figures = (figures,) if isinstance(figures, str) else tuple(figures)
    evaluations, search = _evaluations(content), content.get("search", {})
    test, epoch = content.get("test", "paired_t"), content.get("epoch", "last")
    baseline = content.get("baseline", next(iter(encoders)))
    check_keys([baseline], encoders, "baseline")
    check_keys([test], [*TESTS, "none"], "test")
    check_keys([epoch], EPOCHS, "epoch")
    search_seeds = _search_seeds(content, seeds) if search else ()
    check_seeds(seeds, search_seeds, test)
    _check_overrides(content, config, amounts[0].id)
    if "shares" in content and "search_shots" in content:
        raise ValueError("search_shots goes with shots, not with shares; leave it out to search at each share.")
    reported = [name for name in figures if name.split("/")[0] not in evaluations]
    if search and not content.get("search_figure") and not reported:
        raise ValueError("a search needs search_figure, since all figures are of evaluations; e.g. 'validation/dice'.")
    return Plan(
        bundle=Path(content["bundle"]),
        config=config,
        common=common,
        encoders=encoders,
        baseline=baseline,
        amounts=amounts,
        seeds=seeds,
        figures=figures,
        means=content.get("means", {}),
        test=test,
        epoch=epoch,
        evaluations=evaluations,
        search=search,
        search_seeds=search_seeds,
        search_amounts=tuple(Amount("shots", value) for value in content.get("search_shots", ())),
        search_figure=content.get("search_figure") or (reported[0] if reported else ""),
        keep_networks=content.get("keep_networks", True),
        description=content.get("description", ""),
        source=content,
    )


def _amounts(content: Mapping[str, Any]) -> tuple[Amount, ...]:
    if ("shots" in content) == ("shares" in content):
        raise ValueError('exactly one of shots and shares must be given; e.g. "shots": [1, 3, 6, 12, 24].')
    if "shots" in content:
        return tuple(Amount("shots", value) for value in content["shots"])
    return tuple(Amount("share", value) for value in content["shares"])


def _seeds(value: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(range(value)) if isinstance(value, int) else tuple(value)


def _search_seeds(content: Mapping[str, Any], seeds: Sequence[int]) -> tuple[int, ...]:
    """A number n stands for the n seeds that follow those of the comparison."""
    value = content.get("search_seeds", 2)
    return tuple(max(seeds) + 1 + seed for seed in range(value)) if isinstance(value, int) else tuple(value)


def _evaluations(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    section = content.get("section", "validation")
    more = content.get("evaluations", {})
    evaluations = {**({} if section == "validation" else {section: {"section": section}}), **more}
    if evaluations:
        check_names(evaluations, "evaluations")
    if "validation" in evaluations:
        raise ValueError("an evaluation cannot be called 'validation': that is what the training reports; rename it.")
    return evaluations


def _check_overrides(content: Mapping[str, Any], config: Sequence[Path], amount: str) -> None:
    """Every override must be an id of the bundle, and none may be given where it would spoil the comparison."""
    search = content.get("search", {})
    check_ids(config, ["output_dir", "seed", amount], "a comparison")
    for place, overrides in [("common", content.get("common", {})), *content["encoders"].items(), ("search", search)]:
        check_ids(config, overrides, f"'{place}'", OWN_IDS)
        shared = "shot_seed" if place != "common" and "shot_seed" in overrides else ""
        twice = [key for key in overrides if place not in ("common", "search") and key in search]
        if shared:
            raise ValueError(f"'{place}' gives shot_seed, but all must see the same images; put it into common.")
        if twice:
            raise ValueError(f"'{place}' gives {twice}, which is searched for every initialisation alike; drop one.")
    evaluate = config_files(content["bundle"], [EVALUATE]) if _evaluations(content) else ()
    for name, overrides in _evaluations(content).items():
        check_ids(evaluate, overrides, f"evaluation '{name}'", ("bundle_root", "output_dir", "network_file"))

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

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from .amount import Amount
from .carry_out import Outcome
from .plan import Plan
from .readings import check_figures, less_is_better
from .run import Run

__all__ = ["Candidate", "Choice", "choose", "search_runs"]


@dataclass(frozen=True)
class Candidate:
    """One combination of settings that was tried.

    Attributes:
        settings: the combination.
        values: key figure of each finished run, NaN where it is not defined.
        failures: why runs give none.
    """

    settings: Mapping[str, Any]
    values: tuple[float, ...]
    failures: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Mean of the key figure; NaN when a run failed, since a setting must do its work with every seed."""
        return math.nan if self.failures or not self.values else fmean(self.values)


@dataclass(frozen=True)
class Choice:
    """What the search has found for one initialisation.

    Attributes:
        encoder: name of the initialisation.
        amounts: the numbers of training images that it holds for.
        searched: those that it was searched at.
        settings: the combination whose key figure has the best mean; of equal ones the first.
        candidates: everything that was tried.
        edges: ids whose best value is the least or greatest of those tried, so that a wider search may find more.
    """

    encoder: str
    amounts: tuple[Amount, ...]
    searched: tuple[Amount, ...]
    settings: Mapping[str, Any]
    candidates: tuple[Candidate, ...]
    edges: tuple[str, ...] = field(default=())

    def record(self) -> dict[str, Any]:
        """For ``search.json``."""
        return {
            "encoder": self.encoder,
            "for": [amount.words for amount in self.amounts],
            "searched at": [amount.words for amount in self.searched],
            "chosen": dict(self.settings),
            "at the edge of the search": list(self.edges),
            "tried": [
                {
                    "settings": dict(candidate.settings),
                    "mean": None if math.isnan(candidate.mean) else candidate.mean,
                    "values": [value if math.isfinite(value) else None for value in candidate.values],
                    "failures": list(candidate.failures),
                }
                for candidate in self.candidates
            ],
        }


def search_runs(plan: Plan, out: Path) -> list[Run]:
    """The runs of the search: every combination for every initialisation alike, all with the same seeds.

    Args:
        plan: with its search; none gives no runs.
        out: folder of the comparison.
    """
    return [
        Run(
            encoder,
            amount,
            seed,
            out / "search" / encoder / amount.folder / _folder(settings) / f"seed-{seed}",
            plan.config,
            plan.settings(encoder, amount, seed, settings),
            keep_networks=False,
            trying=settings,
        )
        for settings in combinations(plan.search)
        for amount in _searched(plan)
        for encoder in plan.encoders
        for seed in plan.search_seeds
    ]


def choose(plan: Plan, outcomes: Sequence[Outcome]) -> list[Choice]:
    """The best combination for each initialisation, for each amount or for all together.

    Args:
        plan: with its search.
        outcomes: of the runs of :func:`search_runs`.

    Raises:
        ValueError: when a run lacks the key figure, the search is not finished, or for an initialisation no combination
            was finished with all seeds.
    """
    for found in outcomes:
        if found.state == "finished":
            check_figures(plan.parts(plan.search_figure), found.figures, f"'{found.run.folder / 'metrics.json'}'")
    groups = [(plan.amounts, plan.search_amounts)] if plan.search_amounts else [((a,), (a,)) for a in plan.amounts]
    return [
        _choice(plan, encoder, amounts, searched, outcomes) for encoder in plan.encoders for amounts, searched in groups
    ]


def combinations(search: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of the values of a search; none of an empty one."""
    return [dict(zip(search, values)) for values in itertools.product(*search.values())] if search else []


def _searched(plan: Plan) -> tuple[Amount, ...]:
    return plan.search_amounts or plan.amounts


def _choice(
    plan: Plan, encoder: str, amounts: tuple[Amount, ...], searched: tuple[Amount, ...], outcomes: Sequence[Outcome]
) -> Choice:
    candidates = []
    for settings in combinations(plan.search):
        own = [
            found
            for found in outcomes
            if (found.run.encoder, found.run.trying) == (encoder, settings) and found.run.amount in searched
        ]
        values = [found.figures[plan.search_figure] for found in own if found.state == "finished"]
        failures = [found.reason or found.state for found in own if found.state != "finished"]
        failures += [f"{plan.search_figure} is not defined" for value in values if not math.isfinite(value)]
        candidates.append(Candidate(settings, tuple(values), tuple(failures)))
    unfinished = [f.run.title for f in outcomes if f.state not in ("finished", "failed") and f.run.encoder == encoder]
    if unfinished:
        raise ValueError(f"the search for '{encoder}' is not finished: {len(unfinished)} runs, e.g. {unfinished[0]}.")
    usable = [candidate for candidate in candidates if not math.isnan(candidate.mean)]
    if not usable:
        reasons = sorted({reason for candidate in candidates for reason in candidate.failures})
        raise ValueError(
            f"the search found nothing for '{encoder}' at {searched[0].words}: no combination was finished with all "
            f"seeds {list(plan.search_seeds)}; {'; '.join(reasons[:3])}."
        )
    sign = -1 if less_is_better(plan.search_figure) else 1
    best = max(usable, key=lambda candidate: sign * candidate.mean)
    return Choice(encoder, amounts, searched, best.settings, tuple(candidates), _edges(plan.search, best.settings))


def _edges(search: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> tuple[str, ...]:
    numeric = {
        key: values
        for key, values in search.items()
        if len(values) > 1 and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    }
    return tuple(key for key, values in numeric.items() if settings[key] in (min(values), max(values)))


def _folder(settings: Mapping[str, Any]) -> str:
    text = ",".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in settings.items()
    )
    name = re.sub(r"[^A-Za-z0-9_.,=+-]+", "-", text)
    return name if len(name) <= 100 else f"{name[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

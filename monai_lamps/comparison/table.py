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
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .carry_out import Outcome
from .cells import Cell, Contrast
from .named_tests import TESTS
from .plan import Plan
from .readings import less_is_better
from .search import Choice

__all__ = ["LEVEL", "markdown", "spread"]

#: corrected p-values below it get a star
LEVEL = 0.05


def markdown(
    plan: Plan,
    outcomes: Sequence[Outcome],
    table: Sequence[Cell],
    tested: Sequence[Contrast],
    choices: Sequence[Choice],
    machine: str,
    command: str,
) -> str:
    """The comparison as a Markdown document: how it was made, a table for each figure, the search, what failed.

    Args:
        plan: what is compared.
        outcomes: of all runs.
        table: from :func:`~monai_lamps.comparison.cells.cells`.
        tested: from :func:`~monai_lamps.comparison.cells.contrasts`.
        choices: what the search has found.
        machine: where it ran, in a line.
        command: what was typed.
    """
    parts = [f"# {plan.description or 'Comparison'}", _protocol(plan, outcomes, tested, machine, command)]
    for figure in plan.figures:
        parts.append(f"## {figure} ({'less' if less_is_better(figure) else 'more'} is better)")
        parts.append(_figure(plan, figure, table, tested))
    parts += [*_untested(tested), *_settings(plan), *_searched(plan, choices), *_failed(outcomes)]
    return "\n\n".join(parts) + "\n"


def spread(mean: float | None, sd: float | None) -> str:
    """A mean with its standard deviation, both to two significant digits of the latter, at most four decimals."""
    if mean is None or not math.isfinite(mean):
        return "-"
    if sd is None:
        return f"{mean:.4g}"
    decimals = 4 if sd == 0 else min(4, max(0, 1 - math.floor(math.log10(sd))))
    return f"{mean:.{decimals}f} ± {sd:.{decimals}f}"


def _protocol(plan: Plan, outcomes: Sequence[Outcome], tested: Sequence[Contrast], machine: str, command: str) -> str:
    seconds = [found.seconds for found in outcomes if found.state == "finished"]
    config = ", ".join(file.name for file in plan.config)
    seen = "the same training images and the same seed" if plan.amounts[0].value else "the same seed"
    lines = [
        f"Bundle `{plan.bundle}` ({config}); {len(seconds)} of {len(outcomes)} runs finished: {len(plan.encoders)} "
        f"initialisations, {len(plan.amounts)} amounts of training images, seeds "
        f"{', '.join(map(str, plan.seeds))}.",
        f"Mean ± standard deviation (n - 1) over the seeds, after the {plan.epoch} epoch of each training.",
    ]
    if plan.epoch == "best" and any(name.startswith("validation/") for name in plan.figures):
        lines.append("The best epoch was chosen on the validation images that are reported: figures are flattered.")
    if plan.test != "none":
        test = TESTS[plan.test]
        how = f"paired by seed ({seen})" if test.paired else "runs taken as independent of each other"
        count = sum(each.comparison is not None for each in tested)
        lines.append(
            f"Differences from `{plan.baseline}`: two-sided {test.title}, {how}; p corrected for all {count} "
            f"comparisons of this document (Holm); * means p < {LEVEL}."
        )
    if seconds:
        lines.append(
            f"A run took {median(seconds):.0f} s (median), all together {sum(seconds) / 3600:.1f} h; {machine}."
        )
    lines.append(f"Made by `{command}`.")
    return "\n".join(f"- {line}" for line in lines)


def _figure(plan: Plan, figure: str, table: Sequence[Cell], tested: Sequence[Contrast]) -> str:
    heading = "share of the training images" if plan.amounts[0].id == "share" else "training images"
    rows = [[heading, *(amount.label for amount in plan.amounts)]]
    for encoder in plan.encoders:
        own = [cell for cell in table if (cell.figure, cell.encoder) == (figure, encoder)]
        rows.append([encoder, *(_cell(cell, len(plan.seeds)) for cell in own)])
    for encoder in plan.encoders:
        found = [each for each in tested if (each.cell.figure, each.cell.encoder) == (figure, encoder)]
        if found:
            rows.append([f"{encoder} - {plan.baseline}", *(_difference(each) for each in found)])
    return _rows(rows)


def _cell(cell: Cell, seeds: int) -> str:
    missing = "" if len(cell.values) in (0, seeds) else f" (n = {len(cell.values)})"
    return spread(cell.mean, cell.sd) + missing


def _difference(contrast: Contrast) -> str:
    found, corrected = contrast.comparison, contrast.corrected
    if found is None or corrected is None:
        return "not tested"
    p = "p < 0.0001" if corrected < 0.0001 else f"p = {corrected:.2g}"
    return f"{found.difference:+.3g} ({p}{' *' if corrected < LEVEL else ''})"


def _untested(tested: Sequence[Contrast]) -> list[str]:
    reasons = [
        f"- {each.cell.figure}, {each.cell.encoder}, {each.cell.amount.words}: {each.reason}"
        for each in tested
        if each.comparison is None
    ]
    return ["## Not tested", "\n".join(reasons)] if reasons else []


def _settings(plan: Plan) -> list[str]:
    rows = [["", "settings of its own"], *([name, _overrides(own)] for name, own in plan.encoders.items())]
    parts = ["## Settings", *_means(plan), f"All runs: {_overrides(plan.common)}", _rows(rows)]
    if plan.evaluations:
        judged = [["evaluation", "settings"], *([name, _overrides(own)] for name, own in plan.evaluations.items())]
        parts.append(_rows(judged))
    return parts


def _means(plan: Plan) -> list[str]:
    used = {name: plan.means[name] for name in plan.figures if name in plan.means}
    return ["\n".join(f"- {name} is the mean of {' and '.join(parts)}" for name, parts in used.items())] if used else []


def _searched(plan: Plan, choices: Sequence[Choice]) -> list[str]:
    if not choices:
        return []
    grid = "; ".join(
        f"{key}: {', '.join(json.dumps(value) for value in values)}" for key, values in plan.search.items()
    )
    seeds = ", ".join(map(str, plan.search_seeds))
    rows = [["initialisation", "training images", "taken", plan.search_figure, "of the tried, worst to best"]]
    for choice in choices:
        means = sorted(candidate.mean for candidate in choice.candidates if not math.isnan(candidate.mean))
        best = next(candidate.mean for candidate in choice.candidates if candidate.settings == choice.settings)
        where = ", ".join(amount.label for amount in choice.searched)
        order = means[::-1] if less_is_better(plan.search_figure) else means
        ends = f"{order[0]:.4g} to {order[-1]:.4g}"
        rows.append([choice.encoder, where, _overrides(choice.settings), f"{best:.4g}", ends])
    parts = [
        "## Search",
        f"Every initialisation got the same search ({grid}; all combinations) on validation images, with the seeds "
        f"{seeds}, which are not those of the comparison; the best mean of {plan.search_figure} was taken.",
        _rows(rows),
    ]
    edges = [f"{c.encoder} ({c.searched[0].words}): {', '.join(c.edges)}" for c in choices if c.edges]
    if edges:
        parts.append(f"At the edge of what was tried, where a wider search may find more: {'; '.join(edges)}.")
    return parts


def _failed(outcomes: Sequence[Outcome]) -> list[str]:
    lines = [f"- {found.run.title}: {found.reason or found.state}" for found in outcomes if found.state != "finished"]
    return ["## Not finished", "\n".join(lines)] if lines else []


def _overrides(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = `{json.dumps(value)}`" for key, value in settings.items()) or "none"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)

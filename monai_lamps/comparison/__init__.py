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
"""Comparison of initialisations by fine-tuning: ``python -m monai_lamps.comparison PLAN.json --out OUT``."""

from __future__ import annotations

from .amount import Amount
from .bundle_runner import BundleRunner
from .carry_out import Outcome, Runner, carry_out, carry_out_all, outcome
from .cells import Cell, Contrast, cells, contrasts
from .figure import draw
from .named_tests import TESTS, Test
from .plan import Plan, change, read_plan
from .readings import EPOCHS, less_is_better
from .run import Record, Run
from .search import Candidate, Choice, choose, search_runs
from .stages import comparison_runs, make, narrowed, results, write_results
from .table import markdown, spread

__all__ = [
    "EPOCHS",
    "TESTS",
    "Amount",
    "BundleRunner",
    "Candidate",
    "Cell",
    "Choice",
    "Contrast",
    "Outcome",
    "Plan",
    "Record",
    "Run",
    "Runner",
    "Test",
    "carry_out",
    "carry_out_all",
    "cells",
    "change",
    "choose",
    "comparison_runs",
    "contrasts",
    "draw",
    "less_is_better",
    "make",
    "markdown",
    "narrowed",
    "outcome",
    "read_plan",
    "results",
    "search_runs",
    "spread",
    "write_results",
]

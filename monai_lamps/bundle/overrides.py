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

import difflib
import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from monai.bundle import BundleWorkflow

from monai_lamps.bundle.errors import explain_errors

__all__ = ["check_overrides"]

_REFERENCE = re.compile(r"[@%](?:[^@%\s:]*::)?([A-Za-z_]\w*)")


def check_overrides(bundle_root: str | Path) -> None:
    """Refuse a top-level id that the bundle does not know and that nothing uses: a misspelt override.

    MONAI accepts ``--epochz 1`` silently and trains with the default. The first expression of a bundle's
    ``initialize`` calls this: it looks up the running workflow and compares its top-level ids with those of the
    bundle's own config files. An id of one's own is fine as long as another item refers to it.

    Args:
        bundle_root: folder of the bundle.

    Raises:
        ValueError: naming every unknown id with the nearest valid one.
    """
    explain_errors()
    workflow = _running_workflow()
    if workflow is None:
        return
    config = {key: value for key, value in workflow.parser.config.items() if key != "_meta_"}
    entry = {workflow.init_id, workflow.run_id, workflow.final_id}
    known = _ids_of_files(sorted((Path(bundle_root) / "configs").glob("*.json"))) | entry
    used = set(_REFERENCE.findall(json.dumps(config, default=str)))
    unknown = [key for key in config if key not in known and key not in used]
    if unknown:
        raise ValueError(" ".join(_message(key, known) for key in unknown))


def _message(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '--{near[0]}'?" if near else f"valid ids are: {', '.join(sorted(known))}."
    return f"unknown override '{key}': {hint}"


def _ids_of_files(files: Iterable[Path]) -> set[str]:
    """Top-level ids of config files; of a nested key such as ``+train#handlers`` the first part."""
    ids: set[str] = set()
    for file in files:
        if file.name != "metadata.json":
            ids.update(re.split(r"#|::", key.lstrip("+"))[0] for key in json.loads(file.read_text()))
    return ids


def _running_workflow() -> Any | None:
    """The bundle workflow whose expression is being evaluated: an expression has no other way to its own config."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, BundleWorkflow) and hasattr(owner, "parser"):
            return owner
        frame = frame.f_back
    return None

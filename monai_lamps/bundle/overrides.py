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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monai.bundle import BundleWorkflow, ConfigParser, ReferenceResolver
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

from monai_lamps.bundle.errors import explain_errors

__all__ = ["check_overrides"]


def check_overrides(bundle_root: str | Path) -> None:
    """Refuse a top-level id that the bundle does not know and that nothing uses: a misspelt override.

    MONAI accepts ``--epochz 1`` silently and trains with the default. The first expression of a bundle's
    ``initialize`` calls this: it looks up the running workflow and compares its top-level ids with those of the
    bundle's own config files that take part in it. An id of one's own is fine as long as another item refers to it
    with ``@`` (MONAI has replaced macros, ``%``, by copies before this is called). Nested overrides
    (``--train#dataloader#timeout 60``) are left to MONAI. Without a running workflow nothing is checked.

    It also turns on :func:`~monai_lamps.bundle.explain_errors`.

    Args:
        bundle_root: folder of the bundle. The folder of the workflow's first config file counts as well, so a relative
            root is no trouble when the command runs elsewhere.

    Raises:
        ValueError: naming every unknown id with the nearest valid one, or a config file that cannot be read.
    """
    explain_errors()
    workflow = _running_workflow()
    if workflow is None:
        return
    config: dict[str, Any] = workflow.parser.config
    folders = {(Path(bundle_root) / "configs").resolve(), Path(workflow.config_root_path).resolve()}
    files = {file: _ids(file) for folder in sorted(folders) for file in _config_files(folder)}
    # the workflow does not tell which files it was made of; a file that takes part has all its ids in the config
    known = set().union(*(ids for ids in files.values() if ids <= config.keys()))
    known |= {workflow.init_id, workflow.run_id, workflow.final_id, "imports", ConfigParser.meta_key}
    known |= _tracking_ids(config)
    unknown = sorted(config.keys() - known - _referenced(config))
    if unknown:
        raise ValueError(" ".join(_message(key, known - {ConfigParser.meta_key}, files) for key in unknown))


def _message(key: str, known: Iterable[str], files: Mapping[Path, set[str]]) -> str:
    home = [file.name for file, ids in files.items() if key in ids]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if home:
        hint = f"it belongs to {home[0]}, which is not among the config files; add it to --config_file or leave it out."
    elif near:
        hint = f"did you mean '--{near[0]}'?"
    else:
        hint = f"valid ids are: {', '.join(sorted(known))}."
    return f"unknown override '{key}': {hint}"


def _config_files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.glob("*"))
        if file.suffix in (".json", ".yaml", ".yml") and file.stem != "metadata"
    ]


def _ids(file: Path) -> set[str]:
    """Top-level ids of a config file; of a nested key such as ``+train#handlers`` the first part."""
    try:
        content = ConfigParser.load_config_file(file)
    except Exception as error:
        raise ValueError(f"config file '{file}' cannot be read ({error}); mend it or move it away.") from error
    return {ReferenceResolver.split_id(key.lstrip("+"))[0] for key in content} if isinstance(content, dict) else set()


def _referenced(config: Mapping[str, Any]) -> set[str]:
    """Top-level ids that another top-level item refers to."""
    return {
        target
        for key, item in config.items()
        for reference in ReferenceResolver.find_refs_in_config(item, key)
        if (target := ReferenceResolver.split_id(reference)[0]) != key
    }


def _tracking_ids(config: Mapping[str, Any]) -> set[str]:
    """Ids that ``--tracking mlflow`` adds to the config; none when it was not asked for."""
    settings: dict[str, Any] = DEFAULT_MLFLOW_SETTINGS
    ids = set(settings["configs"]) - set(settings["handlers_id"])
    return ids if ids <= config.keys() else set()


def _running_workflow() -> Any | None:
    """The bundle workflow whose expression is being evaluated: an expression has no other way to its own config."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, BundleWorkflow) and hasattr(owner, "config_root_path"):
            return owner
        frame = frame.f_back
    return None

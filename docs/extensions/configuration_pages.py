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
"""The configuration reference: a page for each bundle, from its configurations and docs/options.toml."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from option_texts import ROOT, OptionTexts, base_id, configs
from repository_text import remove_stale, write_if_changed
from sphinx.application import Sphinx

__all__ = ["presets", "setup", "write_configuration_pages"]

INTRODUCTION = """# Configuration reference

Every id of every bundle's configurations, with its default, its meaning, and the presets that change it. A misspelt
option is refused with the nearest valid one. Presets chain after the main configuration, and later files win:

```bash
python -m monai.bundle run --config_file "['BUNDLE/configs/train.json','configs/hardware/cpu.json']" ...
```
"""
STEPS = ("initialize", "run", "finalize", "imports")
COMMANDS = {
    "train": "Training",
    "evaluate": "Evaluation",
    "inference": "Inference",
    "knn": "Nearest neighbours",
    "explain": "Explanations",
}


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", lambda app: write_configuration_pages(Path(app.srcdir)))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_configuration_pages(docs: Path) -> None:
    """Write docs/configuration: a page for each bundle, and an index of all ids."""
    texts = OptionTexts(docs / "options.toml")
    bundles: dict[str, dict[str, dict[str, Any]]] = {}
    for bundle, config, content in configs():
        bundles.setdefault(bundle, {})[config] = content
    for bundle, contents in bundles.items():
        write_if_changed(docs / "configuration" / f"{bundle}.md", _page(bundle, contents, texts))
    write_if_changed(docs / "configuration" / "index.md", _index(bundles))
    remove_stale(docs / "configuration", {docs / "configuration" / f"{name}.md" for name in [*bundles, "index"]})


def presets(bundle: str, contents: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What chains after the main configuration of a bundle: its own, which have no `run`, and fitting ones of configs/.

    A preset of configs/ fits where the main configuration knows every id that it sets.

    Args:
        bundle: name of the bundle.
        contents: its configurations by name.

    Returns:
        path, relative to the repository, to content.
    """
    main = contents[_main(contents)]
    found = {
        f"bundles/{bundle}/configs/{name}.json": content for name, content in contents.items() if "run" not in content
    }
    for path in sorted((ROOT / "configs").glob("*/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if all(base_id(name) in main for name in content):
            found[path.relative_to(ROOT).as_posix()] = content
    return found


def _main(contents: Mapping[str, Any]) -> str:
    return "train" if "train" in contents else "evaluate"


def _page(bundle: str, contents: dict[str, dict[str, Any]], texts: OptionTexts) -> str:
    changes = presets(bundle, contents)
    parts = [
        f"# {bundle}\n",
        f"What the bundle is for stands on [its own page](../bundles/{bundle}.md). Every id below is an option of the"
        " command line (`--epochs 100`), also within a component (`--train#clip#max_norm 1`).\n",
    ]
    complete = {name: content for name, content in contents.items() if "run" in content}
    for config in sorted(complete, key=lambda name: (name != _main(contents), name)):
        shown = changes if config == _main(contents) else {}
        parts.append(_config(bundle, config, complete[config], shown, texts))
    parts.append("## Presets\n")
    parts += [_preset(path, bundle, content, complete[_main(contents)], texts) for path, content in changes.items()]
    return "\n".join(parts)


def _config(
    bundle: str, config: str, content: dict[str, Any], changes: Mapping[str, dict[str, Any]], texts: OptionTexts
) -> str:
    options = {name: value for name, value in content.items() if _is_option(name, value)}
    components = {name: value for name, value in content.items() if name not in options and name not in STEPS}
    rows = [
        f"| `{name}` | {_code(value, 90)} | {_cell(bundle, config, name, changes, texts)} |"
        for name, value in options.items()
    ]
    title = COMMANDS.get(config, config)
    lines = [
        f"## {title}: `{config}.json`\n",
        "| option | default | meaning |",
        "| --- | --- | --- |",
        *rows,
        "",
        f"### Components of `{config}.json`\n",
        "What the options are put into. A component may be replaced as a whole, or changed in part.\n",
        *[
            f"- `{name}`: {_cell(bundle, config, name, changes, texts)} {_made_by(value)}".rstrip()
            for name, value in components.items()
        ],
        f"- {', '.join(f'`{name}`' for name in STEPS if name in content)}: what MONAI runs, in MONAI's order.",
        "",
    ]
    return "\n".join(lines)


def _cell(bundle: str, config: str, name: str, changes: Mapping[str, dict[str, Any]], texts: OptionTexts) -> str:
    text = (texts.text(bundle, config, name) or "").replace("|", "\\|")
    setting = [Path(path).stem for path, content in changes.items() if name in map(base_id, content)]
    return text + (f" *Presets: {', '.join(setting)}.*" if setting else "")


def _preset(path: str, bundle: str, content: dict[str, Any], main: dict[str, Any], texts: OptionTexts) -> str:
    name = Path(path).stem
    lines = [f"### {name}\n", f"`{path}`\n"]
    own = [f"`--{key}`: {texts.text(bundle, name, key)}" for key in content if base_id(key) not in main]
    if own:
        lines += ["It has options of its own: " + " ".join(own) + "\n"]
    lines += ["```json", json.dumps(content, indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _is_option(name: str, value: Any) -> bool:
    """Whether an id is something that a user types: no component, and no expression that makes one."""
    if name in STEPS or name == "inferer" or (isinstance(value, dict) and "_target_" in value):
        return False
    text = json.dumps(value)
    if isinstance(value, str) and value.startswith("@"):
        return name not in {"network"}
    made = ("$monai_lamps.", "$@", "$str(", "$round(")
    if isinstance(value, str) and value.startswith("$"):
        return name in TYPED or not value.startswith(made)
    return "@" not in text and "_target_" not in text


TYPED = {"structures", "classes", "denominator", "target", "reference", "learning_rate"}
"""Options whose default is an expression that looks like a component's."""


def _code(value: Any, longest: int) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) or not value else value
    if value == "":
        return "(empty)"
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return f"`{short}`".replace("|", "\\|")


def _made_by(value: Any) -> str:
    target = value.get("_target_", "") if isinstance(value, dict) else ""
    if target.startswith("monai_lamps.") and _exists(target):
        return f"Made by {{py:obj}}`{target}`."
    return f"Made by `{target}`." if target else ""


def _exists(target: str) -> bool:
    module, _, name = target.rpartition(".")
    return hasattr(importlib.import_module(module), name)


def _index(bundles: Mapping[str, Mapping[str, dict[str, Any]]]) -> str:
    where: dict[str, list[str]] = {}
    for bundle, contents in bundles.items():
        for name in {base_id(name) for content in contents.values() for name in content}:
            where.setdefault(name, []).append(bundle)
    rows = [
        f"| `{name}` | {', '.join(f'[{bundle}]({bundle}.md)' for bundle in sorted(found))} |"
        for name, found in sorted(where.items())
    ]
    toctree = "\n".join(sorted(bundles))
    return (
        f"{INTRODUCTION}\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{toctree}\n```\n\n## All ids\n\n| id | bundles |\n| --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )

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
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["check_keys", "check_names", "check_seeds", "check_values", "nearest"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")


def nearest(key: str, known: Iterable[str]) -> str:
    """What to take in place of an unknown key, in words: the nearest known one, or all."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}."


def check_keys(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse what is not known.

    Raises:
        ValueError: naming the first unknown one with the nearest known.
    """
    known = list(known)
    for key in given:
        if key not in known:
            raise ValueError(f"unknown {what} '{key}': {nearest(str(key), known)}")


def check_names(names: Mapping[str, Any], what: str) -> None:
    """Refuse names that cannot be those of folders, and parts that are not overrides.

    Raises:
        ValueError: naming the first such one.
    """
    for name, overrides in names.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{what}: the name '{name}' must be of letters, digits, _, + and -; rename it.")
        if not isinstance(overrides, dict):
            raise ValueError(f"{what}: '{name}' must be an object of overrides, got {overrides!r}; e.g. {{}}.")


def check_seeds(seeds: Sequence[int], search_seeds: Sequence[int], test: str) -> None:
    """Seeds must be enough for a test, and those of the search apart from them.

    Raises:
        ValueError: when they are not.
    """
    if len(seeds) < 2 and test != "none":
        raise ValueError(f"{len(seeds)} seed leaves nothing to test; give 2 or more (10 is usual), or test 'none'.")
    both = sorted(set(seeds) & set(search_seeds))
    if both:
        raise ValueError(f"the seeds {both} are of the search and of the comparison; give search_seeds of its own.")


def check_values(content: Mapping[str, Any]) -> None:
    """Refuse values of a plan that are of another kind.

    Raises:
        ValueError: naming the key, the value and what is expected.
    """
    for key in ("bundle", "encoders", "figures"):
        if key not in content:
            raise ValueError(f"'{key}' is missing: {_KINDS[key][1]}.")
    for key, value in content.items():
        accepted, expected = _KINDS[key]
        if not accepted(value):
            raise ValueError(f"'{key}' must be {expected}, got {value!r}.")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1


def _several(accepted: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A list that is not empty, of different values that are accepted."""
    return lambda value: (
        isinstance(value, list) and bool(value) and all(map(accepted, value)) and len(set(value)) == len(value)
    )


def _seeds(value: Any) -> bool:
    return (_whole(value) and value > 0) or _several(_whole)(value)


def _grid(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(values, list) and values for values in value.values())


def _means(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_several(_text), value.values()))


_SEEDS = "a number of seeds from 1, or a list of different seeds"
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "description": (_text, "a text"),
    "bundle": (_text, "the folder of a bundle"),
    "config": (_several(_text), "a list of config files"),
    "common": (_object, "an object of overrides"),
    "encoders": (lambda value: _object(value) and bool(value), "an object of named overrides, at least one"),
    "baseline": (_text, "the name of one of the encoders"),
    "shots": (_several(_whole), "a list of different numbers of images, 0 for all"),
    "shares": (_several(_share), "a list of different shares above 0 and at most 1"),
    "seeds": (_seeds, _SEEDS),
    "figures": (lambda value: _text(value) or _several(_text)(value), "the name of a figure, or a list of them"),
    "means": (_means, "an object that gives a list of figures for each name"),
    "test": (_text, "the name of a test"),
    "epoch": (_text, "'last' or 'best'"),
    "section": (_text, "the name of a section of the datalist"),
    "evaluations": (_object, "an object of named overrides"),
    "search": (_grid, "an object that gives a list of values for each id"),
    "search_seeds": (_seeds, _SEEDS),
    "search_shots": (_several(_whole), "a list of different numbers of images, 0 for all"),
    "search_figure": (_text, "the name of a figure"),
    "keep_networks": (lambda value: isinstance(value, bool), "true or false"),
}

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

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from PIL import Image

from .table import Entry, entry_text

__all__ = ["Section", "page"]

_STYLE = (
    "body{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em;line-height:1.4}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}"
    "figure{display:inline-block;margin:.5em 1em .5em 0;vertical-align:top}img{max-width:100%}"
    "figcaption{color:#555;font-size:.9em}dt{font-weight:bold}"
)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        text: what it is about, plain text.
        table: for each figure the entry of each encoder.
        better: for each figure ``more``, ``less`` or an empty text.
        meanings: for each figure what it says.
        pictures: by caption.
    """

    title: str
    text: str = ""
    table: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)


def page(title: str, text: str, sections: Sequence[Section]) -> str:
    """An HTML page that needs nothing but itself: pictures are inside, there is no script and no link.

    Args:
        title: its heading.
        text: what it is about, plain text.
        sections: its parts.
    """
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(text)}</p>", *(_section(section) for section in sections)]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    if section.text:
        parts.append(f"<p>{escape(section.text)}</p>")
    if section.table:
        parts.append(_table(section))
    if section.meanings:
        terms = (f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in section.meanings.items())
        parts.append("<dl>" + "".join(terms) + "</dl>")
    return "\n".join([*parts, *(_figure(caption, picture) for caption, picture in section.pictures.items())])


def _table(section: Section) -> str:
    encoders = list(dict.fromkeys(name for entries in section.table.values() for name in entries))
    rows = ["".join(f"<th>{escape(name)}</th>" for name in ("figure", "better", *encoders))]
    for figure, entries in section.table.items():
        cells = [entry_text(entries.get(name, Entry())).replace("\\*", "*") for name in encoders]
        texts = (figure, section.better.get(figure, ""), *cells)
        rows.append("".join(f"<td>{escape(text)}</td>" for text in texts))
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _figure(caption: str, picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )

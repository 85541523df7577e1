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
import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from monai_lamps.reports import (
    Entry,
    Section,
    as_picture,
    csv_table,
    draw_densities,
    draw_intervals,
    draw_matches,
    entry_text,
    markdown_table,
    page,
)
from monai_lamps.reports.pen import Pen, new_picture, ticks

TABLE = {
    "warp/error": {"ours": Entry(3.14159, 3.0, 3.3, -1.0, -1.2, -0.8), "floor": Entry(4.2, 4.0, 4.4)},
    "a|b": {"ours": Entry(0.5)},
}


def _colours(picture: Image.Image) -> set[tuple[int, int, int]]:
    return {tuple(int(value) for value in colour) for colour in np.asarray(picture).reshape(-1, 3)}


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@given(low=st.floats(-1e6, 1e6), width=st.floats(0, 1e6))
def test_ticks_enclose_the_range_evenly_and_are_few(low: float, width: float) -> None:
    high = low + width
    marks = ticks(low, high)
    tolerance = 1e-6 * max(abs(low), abs(high), 1e-3)
    assert marks[0] <= low + tolerance
    assert marks[-1] >= high - tolerance
    assert 2 <= len(marks) <= 8
    np.testing.assert_allclose(np.diff(marks), marks[1] - marks[0], rtol=1e-5)


def test_a_moved_pen_draws_the_same_elsewhere() -> None:
    pictures = [new_picture(60, 50) for _ in range(2)]
    for pen, x, y in ((Pen(pictures[0]), 30, 20), (Pen(pictures[1]).moved(10, 15).moved(20, 5), 0, 0)):
        pen.line([(x, y), (x + 12, y + 9)], "#0072B2")
        pen.dot(x + 20, y + 10, 3, "#D55E00")
        pen.text(x, y + 25, "a")
    drawn = np.asarray(pictures[0])
    assert (drawn[:40, :60] == 255).all()
    assert (drawn < 255).any()
    np.testing.assert_array_equal(np.asarray(pictures[1]), drawn)


def test_entries_show_as_many_digits_as_their_interval_has() -> None:
    assert entry_text(TABLE["warp/error"]["ours"]) == "3.14 [3.00, 3.30] \\*"
    assert entry_text(Entry(123.4, 100.0, 150.0)) == "123 [100, 150]"
    assert entry_text(Entry(0.5, 0.5, 0.5)) == "0.5000 [0.5000, 0.5000]"
    assert entry_text(Entry(0.5)) == "0.5"
    assert entry_text(Entry()) == "-"


@pytest.mark.parametrize(("low", "high", "differs"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False)])
def test_a_difference_counts_where_its_interval_leaves_zero_out(low: float, high: float, differs: bool) -> None:
    assert Entry(1, 0, 2, 0.0, low, high).differs is differs


def test_markdown_has_a_column_for_each_encoder_and_dashes_where_nothing_is_known() -> None:
    lines = markdown_table(TABLE, {"warp/error": "less"}).splitlines()
    assert lines[0] == "| figure | better | ours | floor |"
    assert lines[2] == "| warp/error | less | 3.14 [3.00, 3.30] \\* | 4.20 [4.00, 4.40] |"
    assert lines[3] == "| a\\|b |  | 0.5 | - |"


def test_csv_has_a_row_for_each_figure_and_encoder() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(TABLE, {"warp/error": "less"}))))
    assert [(row["figure"], row["encoder"]) for row in rows] == [
        ("warp/error", "ours"),
        ("warp/error", "floor"),
        ("a|b", "ours"),
    ]
    assert (rows[0]["better"], float(rows[0]["difference_upper"])) == ("less", -0.8)
    assert rows[2]["lower"] == ""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_nothing_but_itself_and_shows_pictures_and_texts() -> None:
    picture = Image.new("RGB", (3, 2), "#123456")
    section = Section("warp", "a < b", TABLE, {"warp/error": "less"}, {"error": "px & such"}, {'"first"': picture})
    text = page("<Title>", "text", [section])
    found = _Page()
    found.feed(text)
    assert not {"script", "link", "iframe"} & set(found.tags)
    (source,) = found.sources
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    assert _colours(Image.open(io.BytesIO(data))) == {_rgb("#123456")}
    assert "http" not in re.sub(r"data:image[^\"]+", "", text)
    for escaped in ("&lt;Title&gt;", "a &lt; b", "px &amp; such", "&quot;first&quot;", "3.14 [3.00, 3.30] *"):
        assert escaped in text


def test_every_encoder_is_drawn_in_a_colour_of_its_own() -> None:
    colours = _colours(draw_intervals(TABLE))
    assert {_rgb("#0072B2"), _rgb("#D55E00")} <= colours
    assert draw_intervals({"figure": {"ours": Entry()}}).size[0] > 0


def test_densities_are_drawn_even_of_equal_values() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 50)
    picture = draw_densities("cosine", {"ours": values, "constant": np.ones(5)}, {"ours": values - 0.3})
    assert {_rgb("#0072B2"), _rgb("#D55E00")} <= _colours(picture)


def test_right_matches_are_green_and_wrong_ones_red() -> None:
    image, points = torch.zeros(1, 8, 8), torch.tensor([[0.2, 0.2], [0.8, 0.8]])
    green, red = _rgb("#00B050"), _rgb("#E03030")
    both = _colours(draw_matches(image, image, points, points, [True, False], size=64))
    assert {green, red} <= both
    assert red not in _colours(draw_matches(image, image, points, points, [True, True], size=64))


def test_a_tensor_becomes_a_picture_of_its_size() -> None:
    picture = as_picture(torch.tensor([1.0, 0.0, 2.0])[:, None, None].expand(3, 2, 5))
    assert picture.size == (5, 2)
    assert _colours(picture) == {(255, 0, 255)}

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
"""Draws the figures of the method pages from built-in phantoms: ``python docs/draw_figures.py``.

They show what a method's transforms do, and nothing that was learned. The files are kept in docs/figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from monai_lamps.data import ThoraxPhantom
from monai_lamps.data.phantom.body_parts import BodyPartPhantom
from monai_lamps.transforms import (
    GridRegion,
    RandGridViews,
    RandKnownWarp,
    RandMultiCrop,
    RandResizedCrop,
    RandSyntheticLesion,
    decompose,
    decomposition_boxes,
    shuffle_cells,
)

FIGURES = Path(__file__).parent / "figures"
GAP, TITLE = 12, 22
RED, BLUE = (214, 72, 60), (52, 120, 200)


def main() -> None:
    """Draw them all."""
    FIGURES.mkdir(exist_ok=True)
    for name, draw in {"lamps": lamps, "adam": adam, "coda": coda, "radlas": radlas, "eve": eve}.items():
        picture = draw().convert("P", palette=Image.Palette.ADAPTIVE, colors=128)
        picture.save(FIGURES / f"{name}.png", optimize=True)


def lamps() -> Image.Image:
    """Two views on one lattice, and what the student sees of one of them."""
    cell, grid = 26, 8
    image = ThoraxPhantom(length=4, size=320, seed=3)[1]["image"]
    region = GridRegion(cell=cell, region=10)(image)
    views = RandGridViews(cell=cell, region=10, view=grid)
    views.set_random_state(4)
    first, _ = views(region)
    both = picture_of(region)
    for offset, colour in zip(views.offset.tolist(), (RED, BLUE)):
        frame(both, [o * cell for o in offset], grid * cell, colour)
    seen = torch.full_like(first, 0.5)
    window = slice(cell, 7 * cell)
    seen[:, window, window] = first[:, window, window]
    order = torch.randperm(grid * grid, generator=torch.Generator().manual_seed(0))
    shuffled = shuffle_cells(first[None], order[None], cell)[0]
    top_left, bottom_left, top_right, bottom_right = (picture_of(part) for part in decompose(first, spatial_dims=2))
    quadrants = paste([[top_left, top_right], [bottom_left, bottom_right]], gap=8)
    return row(
        {
            "two views of a region": both.resize((208, 208)),
            "a view (teacher)": picture_of(first),
            "extrapolate": picture_of(seen),
            "put in order": picture_of(shuffled),
            "compose, decompose": quadrants.resize((208, 208)),
        }
    )


def adam() -> Image.Image:
    """Parts of an image from coarse to fine, and two crops of one of them."""
    image = ThoraxPhantom(length=4, size=208, seed=3)[2]["image"]
    columns = {}
    for level in (0, 2, 4):
        whole = picture_of(image)
        for box in decomposition_boxes(image.shape[1:], level).tolist():
            (top, bottom), (left, right) = box
            ImageDraw.Draw(whole).rectangle([left, top, right - 1, bottom - 1], outline=(240, 200, 60), width=2)
        columns[f"n = {level}: {2**level} part{'s' if level else ''}"] = whole
    (top, bottom), (left, right) = decomposition_boxes(image.shape[1:], 2).tolist()[0]
    crop = RandResizedCrop(98, (0.2, 1.0))
    crop.set_random_state(1)
    crops = [picture_of(crop(image[:, top:bottom, left:right])) for _ in range(4)]
    columns["crops of one part"] = paste([crops[:2], crops[2:]], gap=12)
    return row(columns)


def coda() -> Image.Image:
    """Several organs, a whole view and small views of one of them."""
    organs = BodyPartPhantom(length=7, size=208, seed=1)
    shown = {organs.parts[number]: organs[number] for number in (0, 1, 2)}
    columns = {part: picture_of(item["image"]) for part, item in shown.items()}
    crop = RandMultiCrop([RandResizedCrop(61, (0.4, 0.7))], counts=[9])
    crop.set_random_state(2)
    (locals_,) = crop(next(iter(shown.values()))["image"])
    views = [picture_of(view) for view in locals_]
    columns["small views of the first"] = paste([views[:3], views[3:6], views[6:]], gap=12)
    return row(columns)


def radlas() -> Image.Image:
    """A healthy image, the same with synthetic lesions, and their mask."""
    healthy = ThoraxPhantom(length=4, size=260, seed=7)[3]["image"]
    lesion = RandSyntheticLesion(kinds=("opacity", "noise"), count=(3, 3), size=(0.12, 0.3))
    lesion.set_random_state(8)
    made = lesion(healthy)
    return row(
        {
            "healthy (target)": picture_of(made.healthy),
            "with lesions (input)": picture_of(made.lesioned),
            "their mask": picture_of(made.mask),
        }
    )


def eve() -> Image.Image:
    """Points of a grid in an image, and where they are in a warped copy."""
    image = ThoraxPhantom(length=4, size=260, seed=7)[3]["image"]
    warp = RandKnownWarp(rotation=0.15, translation=0.02, bend=0.02)
    warp.set_random_state(2)
    warped = warp(image)
    axis = torch.linspace(60, 200, 5)
    points = torch.cartesian_prod(axis, axis)
    pictures = [picture_of(image), picture_of(warped)]
    for picture, places in zip(pictures, (points, warp.drawn.to_warped(points))):  # type: ignore[union-attr]
        for number, (y, x) in enumerate(places.tolist()):
            colour = (255, 90 + 6 * number, 40)
            ImageDraw.Draw(picture).ellipse([x - 4, y - 4, x + 4, y + 4], outline=colour, width=2)
    return row({"points of a grid": pictures[0], "the same points, warped: the truth": pictures[1]})


def picture_of(image: Tensor) -> Image.Image:
    """A (1, H, W) image in [0, 1] as an RGB picture."""
    return Image.fromarray((image[0].clamp(0, 1).numpy() * 255).astype(np.uint8)).convert("RGB")


def frame(picture: Image.Image, corner: Sequence[int], side: int, colour: tuple[int, int, int]) -> None:
    """Frame a square, given by its upper left corner (row, column)."""
    top, left = corner
    ImageDraw.Draw(picture).rectangle([left, top, left + side - 1, top + side - 1], outline=colour, width=4)


def paste(rows: Sequence[Sequence[Image.Image]], gap: int) -> Image.Image:
    """Pictures of one size in rows and columns, with white gaps."""
    width, height = rows[0][0].size
    columns = len(rows[0])
    sheet = Image.new("RGB", (columns * (width + gap) - gap, len(rows) * (height + gap) - gap), "white")
    for i, line in enumerate(rows):
        for j, picture in enumerate(line):
            sheet.paste(picture, (j * (width + gap), i * (height + gap)))
    return sheet


def row(columns: dict[str, Image.Image]) -> Image.Image:
    """Pictures side by side, each below its title."""
    width = sum(picture.width + GAP for picture in columns.values()) - GAP
    sheet = Image.new("RGB", (width, TITLE + max(picture.height for picture in columns.values())), "white")
    left = 0
    for title, picture in columns.items():
        ImageDraw.Draw(sheet).text((left, 3), title, fill="black", font_size=14)
        sheet.paste(picture, (left, TITLE))
        left += picture.width + GAP
    return sheet


if __name__ == "__main__":
    main()

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

"""Reader of raster pictures: PNG, JPEG, TIFF, BMP, GIF, WebP, through Pillow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from monai_lamps.data.errors import RadiographError
from monai_lamps.data.intensity import percentile_window, rgb_to_grey, scale_integers

__all__ = ["RASTER_FORMATS", "read_raster"]

#: Pillow's plug-ins that may open a file. Others (PDF, EPS, WMF, ...) start programs or draw vectors.
RASTER_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")


def read_raster(path: str) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Read a raster picture as a radiograph.

    Palettes are looked up, three or four channels that are really grey become one, the EXIF orientation is applied and
    partly transparent pixels are laid over black. 8-bit values are divided by 255. 16-bit values are divided by
    ``2**b - 1`` with the smallest b in 8..16 that holds the largest value of the picture, because 10- to 12-bit data in
    16-bit files is common. Float pictures (TIFF) get the percentile window of
    :func:`~monai_lamps.data.intensity.percentile_window`. A TIFF that says that 0 is white is inverted. The file is
    decoded to its end: a truncated one is an error.

    Args:
        path: the file.

    Returns:
        (H, W) float32 in [0, 1], rows downwards, and ``meta`` with ``format``, ``bits`` and ``photometric``
        (Pillow's mode).

    Raises:
        RadiographError: several frames, a colour picture, NaN or infinite pixels.
        OSError: a corrupt or truncated file (from Pillow).
    """
    # A handle, not the path: Pillow maps an uncompressed file of a path into memory, and then scrambles the rows of a
    # TIFF that is stored on its side (seen in 13.0).
    with open(path, "rb") as handle, Image.open(handle, formats=RASTER_FORMATS) as image:
        frames = int(getattr(image, "n_frames", 1))
        if frames > 1:
            raise RadiographError(
                path, f"{image.format} with {frames} frames, expected one", "save the wanted frame as its own file"
            )
        name, mode = str(image.format), image.mode
        image.load()
        negative = _is_undone_negative(image)
        ImageOps.exif_transpose(image, in_place=True)
        grey, bits = _to_grey(image, path)
    pixels, bits = _to_unit(grey, bits, path)
    return 1.0 - pixels if negative else pixels, {"format": name, "bits": bits, "photometric": mode}


def _is_undone_negative(image: Image.Image) -> bool:
    """Whether 0 is white in a TIFF (tag 262 is WhiteIsZero) and Pillow left it so: it does for 16 bits and floats."""
    return image.format == "TIFF" and image.mode not in ("1", "L") and getattr(image, "tag_v2", {}).get(262) == 0


def _to_grey(image: Image.Image, path: str) -> tuple[npt.NDArray, int | None]:
    """One channel of stored values and its bit depth, ``None`` where the values must tell."""
    if image.mode == "L":
        return np.asarray(image), 8
    if image.mode == "1":
        return np.asarray(image.convert("L")), 8
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(image), None
    if image.mode == "LA":
        grey, alpha = (np.asarray(band) for band in image.split())
        return _over_black(grey, alpha), 8
    has_alpha = image.mode in ("RGBA", "PA", "RGBa", "La") or "transparency" in image.info
    channels = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    grey_or_none, share = rgb_to_grey(channels[..., :3])
    if grey_or_none is None:
        raise RadiographError(
            path,
            f"a colour picture ({image.mode}, {share:.0%} coloured pixels), expected a grey radiograph",
            "remove it, or convert it to grey if it is a tinted radiograph",
        )
    return _over_black(grey_or_none, channels[..., 3]) if has_alpha else grey_or_none, 8


def _over_black(grey: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lay a picture over black. A constant alpha channel carries nothing and is left out, even when it is 0."""
    if alpha.min() == alpha.max():
        return grey
    return np.rint(grey.astype(np.float32) * (alpha.astype(np.float32) / 255.0)).astype(np.uint8)


def _to_unit(grey: npt.NDArray, bits: int | None, path: str) -> tuple[npt.NDArray[np.float32], int | None]:
    """Stored values to [0, 1] and the bit depth used (``None`` for floats)."""
    if np.issubdtype(grey.dtype, np.floating):
        if not np.isfinite(grey).all():
            raise RadiographError(path, "NaN or infinite pixels", "export the picture again from its source")
        return percentile_window(grey), None
    return scale_integers(grey, bits)

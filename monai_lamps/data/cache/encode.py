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
"""From radiograph files to the pixels that a cache stores, and from these to what training reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from monai_lamps.data.processes import map_in_processes
from monai_lamps.data.radiograph import RadiographError, read_radiograph

__all__ = ["READER", "decode_pixels", "encode_image", "encode_images", "reduce_short_side"]

#: settings of the reader, written into the description of every cache
READER = {"min_size": 32, "max_aspect": 8.0}
_LEVELS = {np.dtype(np.uint8): np.float32(255), np.dtype("<u2"): np.float32(65535)}
_CHUNK = 8  # images that a process reads at a time
_TOLERANCE = 1e-3  # of a grey level: a picture whose every pixel is this near to one of 256 levels has 8 bits

logger = logging.getLogger(__name__)


def encode_image(path: str, size: int, dtype: str = "auto") -> npt.NDArray | str:
    """Read a radiograph, reduce it and store it in as few bits as it needs.

    Args:
        path: any file of :func:`~monai_lamps.data.read_radiograph`.
        size: longest allowed short side, px.
        dtype: "auto" takes uint8 where every pixel of the source is one of 256 levels, and uint16 elsewhere (12- and
            16-bit pictures, windowed DICOM); "uint8" and "uint16" are taken as they are.

    Returns:
        (H, W) uint8 or uint16, 0 for black and the largest value for white; or, for a file that cannot be used, the
        reason.
    """
    try:
        pixels, _ = read_radiograph(path, min_size=int(READER["min_size"]), max_aspect=READER["max_aspect"])
        if dtype == "auto":
            dtype = "uint8" if _has_8_bits(pixels[::16]) and _has_8_bits(pixels) else "uint16"
        levels = _LEVELS[np.dtype(dtype).newbyteorder("<")]
        scaled = reduce_short_side(pixels, size) * levels
        stored: npt.NDArray = np.rint(scaled, out=scaled).astype(dtype)
        return stored
    except RadiographError as error:
        return error.reason
    except MemoryError:
        return "does not fit into memory; its header may be damaged, else use a smaller copy"


def encode_images(
    encode: Callable[[str], npt.NDArray | str], paths: Sequence[str], workers: int
) -> Generator[npt.NDArray | str, None, None]:
    """Encode many images, several at a time.

    A file that ends its process (a decoder that crashes) is set aside with that reason, and the others go on.

    Args:
        encode: from a path to pixels or a reason, such as a ``functools.partial`` of :func:`encode_image`.
        paths: the files.
        workers: processes; 0 or 1 for this process alone.

    Yields:
        what ``encode`` returns, in the order of the paths.
    """
    done = 0
    if workers > 1:
        chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
        try:
            for images in map_in_processes(encode, chunks, workers, _lost):
                done += len(images)
                yield from images
        except OSError as error:
            logger.warning(f"no further processes can be started ({error}); reading the images in this one.")
    yield from map(encode, paths[done:])


def _lost(path: str, status: str) -> str:
    logger.warning(f"reading {path} ended its process ({status}).")
    return f"reading it ended the process ({status}); remove it"


def decode_pixels(content: bytes, height: int, width: int, itemsize: int) -> npt.NDArray[np.float32]:
    """The pixels of a record, as :func:`~monai_lamps.data.read_radiograph` gives them.

    An 8-bit picture that was not reduced comes back bit for bit.

    Args:
        content: ``height * width * itemsize`` bytes.
        height, width: px.
        itemsize: bytes a pixel, 1 or 2.

    Returns:
        (H, W) float32 in [0, 1].
    """
    stored = np.frombuffer(content, dtype=np.dtype(f"<u{itemsize}")).reshape(height, width)
    pixels = stored.astype(np.float32)
    pixels /= _LEVELS[stored.dtype]  # not a product with 1/255, which is off in the last bit
    return pixels


def reduce_short_side(pixels: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Shrink a picture so that its short side has ``size`` px; a smaller one is returned as it is.

    Antialiased bicubic interpolation, clamped to the range of the picture: the filter with which views are cut. (It is
    Pillow's here: torch's is faster on large pictures, but would have to be loaded into every process.)

    Args:
        pixels: (H, W) float32.
        size: px.

    Returns:
        (H, W) float32 of about the same aspect ratio.
    """
    short = min(pixels.shape)
    if short <= size:
        return pixels
    height, width = (max(size, round(side * size / short)) for side in pixels.shape)
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    reduced: npt.NDArray[np.float32] = small.clip(pixels.min(), pixels.max())
    return reduced


def _has_8_bits(pixels: npt.NDArray[np.float32]) -> bool:
    scaled = pixels * np.float32(255)
    return bool((np.abs(scaled - np.rint(scaled)) < _TOLERANCE).all())

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

"""Decoding of DICOM pixel data, with errors that name the transfer syntax and the package to install."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array

from monai_lamps.data.errors import RadiographError

__all__ = ["decode_pixels"]

#: What to install for a transfer syntax that no installed plug-in decodes. Permissive licences only.
PLUGINS = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "python-gdcm",
    uid.JPEGLossless: "python-gdcm",
    uid.JPEGLosslessSV1: "python-gdcm",
    uid.JPEGLSLossless: "python-gdcm",
    uid.JPEGLSNearLossless: "python-gdcm",
    uid.JPEG2000Lossless: "pillow",
    uid.JPEG2000: "pillow",
    uid.HTJ2KLossless: "pylibjpeg pylibjpeg-openjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg pylibjpeg-openjpeg",
    uid.HTJ2K: "pylibjpeg pylibjpeg-openjpeg",
}

#: Syntaxes that pylibjpeg decodes with its libjpeg, which fills up a truncated stream without a word.
_LENIENT = {
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
}


def decode_pixels(dataset: pydicom.Dataset, path: str) -> npt.NDArray:
    """Stored pixel values of a single-frame image.

    Args:
        dataset: the DICOM dataset, with a transfer syntax in its file meta information.
        path: the file, for messages.

    Returns:
        (H, W) stored values, or (H, W, 3) RGB values of colour and palette images.

    Raises:
        RadiographError: no decoder for the transfer syntax, truncated or damaged pixel data.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise RadiographError(
            path, f"DICOM transfer syntax '{syntax.name}' ({syntax}) is no still image", "export it uncompressed"
        ) from error
    if not decoder.is_available:
        package = PLUGINS.get(syntax, "python-gdcm")
        raise RadiographError(
            path, f"no decoder for the DICOM transfer syntax '{syntax.name}' is installed", f"pip install {package}"
        )
    if syntax == uid.JPEGExtended12Bit and int(dataset.get("BitsStored", 8)) > 8:
        return _decode_jpeg_extended(dataset, path)
    try:
        with _quiet():
            pixels = _decode(dataset, decoder.available_plugins)
            if str(dataset.get("PhotometricInterpretation", "")) == "PALETTE COLOR":
                pixels = apply_color_lut(pixels, dataset)
    except Exception as error:
        raise RadiographError(
            path,
            f"pixel data in transfer syntax '{syntax.name}' cannot be decoded ({_first_line(error)})",
            "the file is truncated or damaged, copy it again from its source",
        ) from error
    return np.asarray(pixels)


def _decode(dataset: pydicom.Dataset, plugins: Sequence[str]) -> npt.NDArray:
    """Decode with the first plug-in that can. For syntaxes of :data:`_LENIENT` the word of a strict plug-in counts;
    where there is none, the stream must at least have its end marker."""
    if dataset.file_meta.TransferSyntaxUID in _LENIENT:
        plugins = [name for name in plugins if name != "pylibjpeg"]
        frame = b"" if plugins else get_frame(dataset.PixelData, 0, number_of_frames=1)
        if not plugins and not frame.rstrip(b"\x00").endswith(b"\xff\xd9"):
            raise ValueError("the JPEG stream has no end marker")
        plugins = plugins or ["pylibjpeg"]
    errors = []
    for name in plugins or [""]:
        try:
            return pixel_array(dataset, decoding_plugin=name)
        except Exception as error:
            errors.append(str(error).split("all available plugins:")[-1].strip())
    raise ValueError("; ".join(errors))


def _decode_jpeg_extended(dataset: pydicom.Dataset, path: str) -> npt.NDArray:
    """JPEG Extended of more than 8 bits, which pydicom's plug-ins refuse: GDCM's own reader."""
    syntax = uid.JPEGExtended12Bit.name
    try:
        import gdcm
    except ImportError as error:
        raise RadiographError(
            path,
            f"no decoder for the DICOM transfer syntax '{syntax}' of 12 bits is installed",
            "pip install python-gdcm",
        ) from error
    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    shape = (int(dataset.Rows), int(dataset.Columns))
    if reader.Read():
        image = reader.GetImage()
        buffer = (image.GetBuffer() or "").encode("utf-8", errors="surrogateescape")  # None for a damaged stream
        if len(buffer) == 2 * shape[0] * shape[1]:
            signed = int(dataset.get("PixelRepresentation", 0)) == 1
            return np.frombuffer(buffer, dtype="<i2" if signed else "<u2").reshape(shape)
    raise RadiographError(
        path,
        f"pixel data in transfer syntax '{syntax}' cannot be decoded by GDCM",
        "the file is truncated or damaged, copy it again from its source",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom from warning, and from logging a traceback for each plug-in that fails: the error says it."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _first_line(error: BaseException) -> str:
    """The text of an error in at most 160 characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."

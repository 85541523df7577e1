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

"""ThoraxPhantom: procedurally drawn frontal chest radiographs with masks and landmarks.

- ``frame``: pose, the map between pixels and anatomy; ``anatomy``: measures and contours of a patient;
- ``canvas``: pixel coordinates and look-ups; ``soft``, ``bones``, ``vessels``, ``opacities``: what is drawn;
- ``film``: noise, film curve, collimation; ``annotations``: masks and landmarks from the same contours;
- ``drawing``: one image by (seed, index); ``dataset``: the data set; ``write``: a folder of PNG files.
"""

from __future__ import annotations

from monai_lamps.data.phantom.annotations import LANDMARKS, STRUCTURES
from monai_lamps.data.phantom.dataset import ThoraxPhantom
from monai_lamps.data.phantom.drawing import ThoraxDrawing, draw_annotated_thorax, draw_thorax
from monai_lamps.data.phantom.write import write_phantoms

__all__ = [
    "LANDMARKS",
    "STRUCTURES",
    "ThoraxDrawing",
    "ThoraxPhantom",
    "draw_annotated_thorax",
    "draw_thorax",
    "write_phantoms",
]

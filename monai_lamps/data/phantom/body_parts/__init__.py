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
"""BodyPartPhantom: procedurally drawn radiographs of hand, knee, foot, spine, pelvis, jaw and chest.

- ``shapes``: pixel coordinates and the few outlines that bones are made of; one file a body part draws its attenuation;
- ``drawing``: one image by (part, index, seed); ``dataset``: the data set; ``write``: a folder of PNG files a part.
"""

from __future__ import annotations

from monai_lamps.data.phantom.body_parts.dataset import BodyPartPhantom
from monai_lamps.data.phantom.body_parts.drawing import BODY_PARTS, BodyPartDrawing, draw_body_part
from monai_lamps.data.phantom.body_parts.write import write_body_parts

__all__ = ["BODY_PARTS", "BodyPartDrawing", "BodyPartPhantom", "draw_body_part", "write_body_parts"]

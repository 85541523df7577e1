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
"""What encoders know of anatomy, in numbers: probes, each of one property, and the evaluation that runs them.

- ``case``: radiographs in one frame; ``subject``, ``adapters``: encoders as the probes see them;
- ``patches``, ``places``: what is cut out where; ``probe``: what a probe is asked and answers;
- one file for each property; ``evaluation``: all probes on all encoders, intervals, files; ``light``: the probes that
  watch a training.
"""

from __future__ import annotations

from .adapters import EncoderMaps, ImagesToMaps, NetworkMaps
from .case import Case, CaseReader, check_annotations, read_cases
from .compositionality import CompositionalityProbe
from .decomposability import DecomposabilityProbe
from .evaluation import AnatomyEvaluation
from .landmark_transfer import LandmarkTransferProbe
from .light import light_probes
from .locality import LocalityProbe
from .mask_transfer import MaskTransferProbe
from .organs import OrganProbe, check_organs
from .position import PositionProbe
from .probe import Examination, Finding, Note, NotJudgedError, Probe, mean_of, on_cases
from .registration import RegistrationProbe
from .scale import ScaleProbe
from .subject import Subject
from .symmetry import SymmetryProbe
from .warp import WarpProbe

__all__ = [
    "AnatomyEvaluation",
    "Case",
    "CaseReader",
    "CompositionalityProbe",
    "DecomposabilityProbe",
    "EncoderMaps",
    "Examination",
    "Finding",
    "ImagesToMaps",
    "LandmarkTransferProbe",
    "LocalityProbe",
    "MaskTransferProbe",
    "NetworkMaps",
    "NotJudgedError",
    "Note",
    "OrganProbe",
    "PositionProbe",
    "Probe",
    "RegistrationProbe",
    "ScaleProbe",
    "Subject",
    "SymmetryProbe",
    "WarpProbe",
    "check_annotations",
    "check_organs",
    "light_probes",
    "mean_of",
    "on_cases",
    "read_cases",
]

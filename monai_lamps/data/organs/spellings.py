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
"""How organs, sides and views are spelled in practice: the terms of DICOM, of vendors, and of a few languages."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["LATERALITIES", "ORGAN_SPELLINGS", "ROUTINE_WORDS", "VIEWS", "words_of"]

#: Spellings of each organ, beside its own name. The first 23 organs are those of Coda (MICCAI 2025).
#: Upper case, without accents; blanks are optional (``C SPINE`` is ``CSPINE``), and so is a plural S.
ORGAN_SPELLINGS: dict[str, tuple[str, ...]] = {
    "abdomen": ("ABDOMENPELVIS", "ABDOMEN PELVIS", "ABDOMEN AND PELVIS", "ABD", "ABDO", "KUB", "BAUCH", "ADDOME"),
    "ankle": ("MALLEOLUS", "SPRUNGGELENK", "OSG", "CHEVILLE", "TOBILLO", "CAVIGLIA"),
    "calcaneus": ("CALCANEUM", "OS CALCIS", "HEEL", "FERSENBEIN", "FERSE", "CALCANEO", "TALON"),
    "chest": (
        "THORAX", "LUNG", "CXR", "MEDIASTINUM", "HEART", "TORAX", "TORACE", "LUNGE", "POUMON", "PULMON",
    ),
    "clavicle": ("CLAVICULA", "COLLARBONE", "COLLAR BONE", "SCHLUSSELBEIN", "SCHLUESSELBEIN", "CLAVICULE"),
    "elbow": ("CUBITUS", "ELLENBOGEN", "ELLBOGEN", "COUDE", "CODO", "GOMITO"),
    "facial_bones": (
        "FACE", "FACIAL", "FACIAL BONE", "FACIAL SKELETON", "NASAL BONE", "NOSE", "ORBIT", "SINUS", "SINUSES",
        "PARANASAL SINUSES", "ZYGOMA", "MAXILLA", "NNH", "NASENNEBENHOEHLEN", "GESICHTSSCHADEL", "GESICHTSSCHAEDEL",
    ),
    "femur": ("THIGH", "UPPER LEG", "OBERSCHENKEL", "CUISSE", "MUSLO", "FEMORE"),
    "finger": ("DIGIT", "FINGERS 2 5", "DOIGT", "DEDO", "DITO"),
    "foot": ("FEET", "METATARSAL", "METATARSUS", "FOREFOOT", "FUSS", "MITTELFUSS", "VORFUSS", "PIED", "PIE", "PIEDE"),
    "forearm": (
        "LOWER ARM", "RADIUS", "ULNA", "RADIUS ULNA", "RADIUS AND ULNA", "UNTERARM", "AVANT BRAS", "ANTEBRAZO",
        "AVAMBRACCIO",
    ),
    "hand": ("METACARPAL", "METACARPUS", "HANDE", "HAENDE", "MITTELHAND", "MAINS", "MANO", "MANI", "BONE AGE"),
    "hip": ("COXA", "HUFTE", "HUEFTE", "HUFTGELENK", "HUEFTGELENK", "HANCHE", "CADERA", "ANCA"),
    "humerus": ("UPPER ARM", "ARM", "OBERARM", "BRAS", "BRAZO", "HUMERO", "OMERO"),
    "knee": ("KNIE", "KNIEGELENK", "GENOU", "GENOUX", "RODILLA", "GINOCCHIO"),
    "neck": ("SOFT TISSUE NECK", "NECK SOFT TISSUE", "HALS", "CUELLO", "COLLO"),
    "patella": ("KNEECAP", "KNEE CAP", "KNIESCHEIBE", "ROTULE", "ROTULA"),
    "pelvis": (
        "ILIUM", "SI JOINT", "SACROILIAC", "SACROILIAC JOINT", "BECKEN", "BECKENUBERSICHT", "BASSIN", "BACINO",
    ),
    "shoulder": ("AC JOINT", "ACROMIOCLAVICULAR JOINT", "SCHULTER", "EPAULE", "HOMBRO", "SPALLA"),
    "skull": ("HEAD", "CRANIUM", "MASTOID", "SCHADEL", "SCHAEDEL", "KOPF", "CRANE", "CRANEO", "CRANIO"),
    "spine": (
        "C SPINE", "T SPINE", "L SPINE", "D SPINE", "S SPINE", "LS SPINE", "TL SPINE", "CT SPINE", "WHOLE SPINE",
        "FULL SPINE", "CERVICAL SPINE", "THORACIC SPINE", "DORSAL SPINE", "LUMBAR SPINE", "LUMBOSACRAL SPINE",
        "THORACOLUMBAR SPINE", "LUMBAR", "CERVICAL", "SACRUM", "COCCYX", "VERTEBRA", "SCOLIOSIS", "HWS", "BWS", "LWS",
        "WIRBELSAULE", "WIRBELSAEULE", "RACHIS", "COLUMNA", "COLONNA",
    ),
    "thumb": ("DAUMEN", "POUCE", "PULGAR", "POLLICE"),
    "wrist": ("CARPUS", "CARPAL", "SCAPHOID", "HANDGELENK", "POIGNET", "MUNECA", "POLSO"),
    "breast": ("MAMMA", "MAMMOGRAM", "MAMMOGRAPHY"),
    "jaw": (
        "MANDIBLE", "MANDIBULA", "TMJ", "TM JOINT", "TEETH", "TOOTH", "DENTAL", "PANORAMIC", "PANORAMIC JAW", "OPG",
        "OPT", "ORTHOPANTOMOGRAM", "KIEFER", "UNTERKIEFER", "MACHOIRE",
    ),
    "lower_leg": (
        "LEG", "CALF", "TIBIA", "FIBULA", "TIB FIB", "TIBIA FIBULA", "TIBIA AND FIBULA", "UNTERSCHENKEL", "JAMBE",
        "PIERNA",
    ),
    "ribs": ("RIB", "RIPPEN", "COTES", "COSTILLAS"),
    "scapula": ("SHOULDER BLADE", "SCHULTERBLATT", "OMOPLATE", "ESCAPULA"),
    "sternum": ("BREASTBONE", "BRUSTBEIN", "ESTERNON"),
    "toe": ("HALLUX", "BIG TOE", "GREAT TOE", "ZEHE", "ZEHEN", "ORTEIL"),
}  # fmt: skip

#: Words for the side; DICOM's own terms are R, L and B (both).
LATERALITIES: dict[str, str] = {
    **dict.fromkeys(("L", "LT", "LEFT", "LI", "LINKS", "LINKE", "LINKER", "GAUCHE", "IZQUIERDA", "IZQUIERDO"), "L"),
    **dict.fromkeys(("R", "RT", "RIGHT", "RE", "RECHTS", "RECHTE", "RECHTER", "DROITE", "DROIT", "DERECHA"), "R"),
    **dict.fromkeys(("B", "BI", "BOTH", "BIL", "BILAT", "BILATERAL", "BDS", "BEIDSEITS", "BEIDE"), "B"),
}

#: Words for the view; the terms of DICOM's View Position stand for themselves.
VIEWS: dict[str, str] = {
    **{name: name for name in ("AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "PANORAMIC")},
    **dict.fromkeys(("LAT", "LATERAL", "SEITLICH", "PROFIL"), "LATERAL"),
    **dict.fromkeys(("OBL", "OBLIQUE", "SCHRAG"), "OBLIQUE"),
    **dict.fromkeys(("AX", "AXIAL", "SKYLINE", "SUNRISE"), "AXIAL"),
    **dict.fromkeys(("OPG", "OPT", "ORTHOPANTOMOGRAM"), "PANORAMIC"),
    "FRONTAL": "FRONTAL",
    "DP": "DP",
}

#: Words that say nothing of the organ.
ROUTINE_WORDS = frozenset(
    ("XR", "X", "RAY", "XRAY", "CR", "DX", "DR", "RX", "VIEW", "VIEWS", "VW", "V", "SERIES", "STUDY", "JOINT", "AND",
     "THE", "OF", "IMAGE", "IMAGES", "RADIOGRAPH", "STANDING", "SUPINE", "ERECT", "PORTABLE", "ROUTINE")
)  # fmt: skip

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PARTS = re.compile(r"[A-Z0-9]+")


def words_of(text: str) -> list[str]:
    """Upper-case words of a text, without accents; ``"Left_Hand"``, ``"leftHand"`` and ``"LEFT HAND"`` are the same.

    Args:
        text: any spelling.
    """
    plain = unicodedata.normalize("NFKD", _CAMEL.sub(" ", text).replace("\u00df", "ss"))
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _PARTS.findall(kept.upper())

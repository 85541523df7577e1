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
"""What the bundles' configs call besides components: checks of what the user typed, data to train on, embeddings."""

from __future__ import annotations

from .body_part_set import body_part_datalist
from .cached import cache_identity, cached_reader, check_cached
from .distributed import (
    local_device,
    on_first_process,
    start_processes,
    stop_processes,
    synchronize_batch_norm,
)
from .errors import explain_errors
from .evaluation import Evaluation
from .explained import explained_images, explained_truth
from .few_shot import pick_shots
from .geometry import original_size, pixel_spacing
from .judged import centered_encoders, judged_encoders, reference_encoder
from .knn_evaluation import KnnEvaluation
from .label_checks import check_labels, check_masks, check_structures
from .labelled import (
    classes_in,
    labelled_datalist,
    labelled_sections,
    section_items,
    structures_in,
)
from .largest_component import largest_component, names_in_one_piece
from .named import named
from .normal_images import normal_images
from .organ_items import mixed_items, organ_source, organ_table
from .organ_picks import pick_across_organs
from .overrides import check_overrides
from .phantom_set import annotated_phantoms
from .remembered import Remembered
from .run_plan import RepeatedItems, RunPlan, plan_run
from .source import inference_datalist, radiograph_datalist
from .starting_classifier import StartingEvidence, starting_classifier
from .starting_encoder import StartingEncoder, starting_encoder
from .switch import switch
from .task_file import Predictor, freeze, label_kind, load_task

__all__ = [
    "Evaluation",
    "KnnEvaluation",
    "Predictor",
    "Remembered",
    "RepeatedItems",
    "RunPlan",
    "StartingEncoder",
    "StartingEvidence",
    "annotated_phantoms",
    "body_part_datalist",
    "cache_identity",
    "cached_reader",
    "centered_encoders",
    "check_cached",
    "check_labels",
    "check_masks",
    "check_overrides",
    "check_structures",
    "classes_in",
    "explain_errors",
    "explained_images",
    "explained_truth",
    "freeze",
    "inference_datalist",
    "judged_encoders",
    "label_kind",
    "labelled_datalist",
    "labelled_sections",
    "largest_component",
    "load_task",
    "local_device",
    "mixed_items",
    "named",
    "names_in_one_piece",
    "normal_images",
    "on_first_process",
    "organ_source",
    "organ_table",
    "original_size",
    "pick_across_organs",
    "pick_shots",
    "pixel_spacing",
    "plan_run",
    "radiograph_datalist",
    "reference_encoder",
    "section_items",
    "start_processes",
    "starting_classifier",
    "starting_encoder",
    "stop_processes",
    "structures_in",
    "switch",
    "synchronize_batch_norm",
]

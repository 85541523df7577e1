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
"""Ignite handlers: checkpoints and resuming, signals, figures of an epoch, validation, anatomy, pictures, reports."""

from __future__ import annotations

from .anatomy_monitor import AnatomyMonitor
from .best_checkpoint import BestCheckpoint
from .case_pictures import CasePictureHandler
from .case_table import CaseTable, write_cases
from .checkpoint import CheckpointHandler
from .checkpoint_file import CheckpointError, list_checkpoints, read_checkpoint, verify_checkpoint, write_checkpoint
from .collapse import collapse_figures
from .early_stopping import EarlyStopping
from .embeddings import EmbeddingWriter
from .epoch_figures import EpochFigures
from .evaluating import evaluating
from .evidence_exporter import EvidenceExporter
from .evidence_writer import EvidenceWriter
from .exporter import EncoderExporter
from .history import HistoryHandler
from .late import attach_after
from .mask_writer import MaskWriter
from .monitor import RepresentationMonitor
from .pictures import PictureHandler
from .preemption import PreemptionHandler, leave_signals_to_main_process
from .probability_table import ProbabilityTable
from .progress import ProgressHandler
from .rank_gather import gather_in_turn
from .report import ReportHandler
from .resume import ResumeHandler
from .task_validator import Best, TaskValidator
from .tensorboard import TensorBoardMetrics
from .term_means import TermMeansHandler
from .throughput import ThroughputHandler, peak_memory_gb

__all__ = [
    "AnatomyMonitor",
    "Best",
    "BestCheckpoint",
    "CasePictureHandler",
    "CaseTable",
    "CheckpointError",
    "CheckpointHandler",
    "EarlyStopping",
    "EmbeddingWriter",
    "EncoderExporter",
    "EpochFigures",
    "EvidenceExporter",
    "EvidenceWriter",
    "HistoryHandler",
    "MaskWriter",
    "PictureHandler",
    "PreemptionHandler",
    "ProbabilityTable",
    "ProgressHandler",
    "ReportHandler",
    "RepresentationMonitor",
    "ResumeHandler",
    "TaskValidator",
    "TensorBoardMetrics",
    "TermMeansHandler",
    "ThroughputHandler",
    "attach_after",
    "collapse_figures",
    "evaluating",
    "gather_in_turn",
    "leave_signals_to_main_process",
    "list_checkpoints",
    "peak_memory_gb",
    "read_checkpoint",
    "verify_checkpoint",
    "write_cases",
    "write_checkpoint",
]

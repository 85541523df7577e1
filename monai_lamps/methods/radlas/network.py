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
from __future__ import annotations

from torch import nn

from monai_lamps.networks import ContrastiveHead, Encoder, EvidenceNetwork

__all__ = ["RadLASNetwork"]


class RadLASNetwork(nn.Module):
    """What the student is and the teacher copies: the evidence network and two heads of the contrast.

    Args:
        evidence: encoder and decoder.
        hidden: width of the heads' hidden layers.
        out: width of the projections.

    Attributes:
        clue_head: projects the clue, the tokens of the evidence; h_e.
        context_head: projects the context, the mean of all tokens; h_g.
    """

    def __init__(self, evidence: EvidenceNetwork, hidden: int = 2048, out: int = 128) -> None:
        super().__init__()
        self.evidence = evidence
        dim = evidence.encoder.embed_dim
        self.clue_head = ContrastiveHead(dim, hidden, out)
        self.context_head = ContrastiveHead(dim, hidden, out)

    @property
    def encoder(self) -> Encoder:
        """The encoder, which the evidence network shares."""
        return self.evidence.encoder

"""``tiny.main`` with FSDP on the CPU.

Accelerate cuts models up among GPUs only. PyTorch's FSDP works on CPUs as well, so for the test Accelerate is told that
it may; everything after that is what a run on GPUs does.
"""

import os
import sys

import tiny
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

from sft_helpers import training

# what `accelerate launch --use_fsdp --fsdp_version 2 …` sets
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_RESHARD_AFTER_FORWARD": "true",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_TRANSFORMER_CLS_TO_WRAP": "BertLayer"}
plain = AcceleratorState.__init__


def on_cpu(self, *arguments, fsdp_plugin=None, **named):
    plain(self, *arguments, fsdp_plugin=fsdp_plugin, **named)
    self.fsdp_plugin = fsdp_plugin or self.fsdp_plugin
    self.distributed_type = DistributedType.FSDP


if __name__ == "__main__":
    os.environ.update(FSDP)
    AcceleratorState.__init__ = on_cpu
    folder, result, stop_after = sys.argv[1:]
    if int(stop_after):  # an interruption, the same in every process
        update = training._Run._update

        def stopping(self, *arguments, **named):
            if self.step == int(stop_after):
                sys.exit(3)
            update(self, *arguments, **named)
        training._Run._update = stopping
    cut_up, put_together = [], training._whole
    training._whole = lambda tensor: cut_up.append(isinstance(tensor, training.DTensor)) or put_together(tensor)
    tiny.main(folder, result, "0")
    assert any(cut_up), "nothing was cut up"

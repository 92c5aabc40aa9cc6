"""Where a step ends on a GPU: after what was handed to it is done, or its joules would be the next step's."""

from __future__ import annotations

import sys
from typing import Any


def finish() -> None:
    """Waits for the GPUs that this process gave work to through PyTorch; nothing is loaded for it."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()

"""The global generators of Python, numpy and torch: a resumed loop must draw what it would have drawn."""

from __future__ import annotations

import random
import sys
from typing import Any


def taken() -> dict[str, Any]:
    """Of the libraries that this process has loaded."""
    states: dict[str, Any] = {"python": random.getstate()}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        states["numpy"] = numpy.random.get_state()
    if torch is not None:
        states["torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def given_back(states: dict[str, Any]) -> None:
    """A library that saved its state is loaded here if it was not yet."""
    random.setstate(states["python"])
    if "numpy" in states:
        import numpy as np

        np.random.set_state(states["numpy"])  # noqa: NPY002 - the global one is what is being restored
    if "torch" in states:
        import torch

        torch.set_rng_state(states["torch"])
        # Another number of accelerators draws other numbers anyway.
        if "cuda" in states and len(states["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(states["cuda"])

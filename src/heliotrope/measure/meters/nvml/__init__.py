"""NVIDIA GPUs by NVML: the energy counter where there is one, integrated power where there is none."""

from __future__ import annotations

import sys
from typing import Any

from heliotrope.errors import MeterError, MissingExtra
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import Meter, Opening, Probe

NAME = "nvml"


def has_driver(system: System) -> bool:
    """Known without loading anything: a driver's files, or a program that speaks to one already."""
    return (
        system.text("proc/driver/nvidia/version") is not None
        or "nvidiactl" in system.names("dev")
        or (not system.root and "pynvml" in sys.modules)
    )


def load() -> Any:
    """NVML, ready to be asked; a MeterError where its driver does not answer."""
    try:
        import pynvml
    except ImportError:
        raise MissingExtra("nvidia-ml-py", "nvidia", needed_for="the NVIDIA meter") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MeterError(
            f"NVML does not answer: {error}", hint="nvidia-smi   # says what is wrong with the driver"
        ) from error
    return pynvml


def probe(system: System) -> Probe:
    if not has_driver(system):
        return Probe(NAME, False, (), "no NVIDIA driver is loaded", "install the NVIDIA driver, if there is such a GPU")
    try:
        library = load()
    except (MissingExtra, MeterError) as error:
        return Probe(NAME, False, (), error.what, error.hint)
    from heliotrope.measure.meters.nvml.device import NvmlMeter

    meter = NvmlMeter(library)
    domains = tuple(f"{gpu.domain} ({gpu.model})" for gpu in meter.gpus)
    meter.close()
    return Probe(NAME, bool(domains), domains, "" if domains else "the driver shows no GPU")


def open_meter(opening: Opening) -> Meter | None:
    """None where there is no GPU; a GPU without the extra is told by `helio doctor` and by a flag of the session."""
    if not probe(opening.system).available:
        return None
    from heliotrope.measure.meters.nvml.device import NvmlMeter

    return NvmlMeter(load())

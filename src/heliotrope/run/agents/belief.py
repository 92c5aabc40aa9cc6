"""What a site reports is believed as far as its devices could have done it."""

from __future__ import annotations

from heliotrope.model import Device, Measurement

MARGIN = 1.25  # fans, disks, memory and the meter's own error, over what the devices' makers say
CLOCK_S = 5.0  # a report may be that much longer than the time it can have run for


def impossible(measurement: Measurement, devices: tuple[Device, ...], longest_s: float) -> str:
    """Why it cannot be true; empty where it can. `longest_s`: since it was handed out."""
    if measurement.end_s < measurement.start_s or measurement.duration_s < 0:
        return "it ended before it began"
    if measurement.duration_s > longest_s + CLOCK_S:
        return f"it ran for {measurement.duration_s:.0f} s, {longest_s:.0f} s after it was handed out"
    if measurement.energy_j.value < 0 or any(reading.energy_j < 0 for reading in measurement.readings):
        return "energy below nothing"
    most_w = MARGIN * sum(device.count * device.max_w for device in devices)
    watts = measurement.energy_j.value / max(measurement.duration_s, 1.0)
    if devices and watts > most_w:
        return f"{watts:.0f} W on average, and its devices draw {most_w:.0f} W at most"
    return ""

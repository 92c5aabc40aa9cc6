"""What a site reports is believed as far as its devices could have done it."""

from __future__ import annotations

from heliotrope.model import Device, Measurement

MARGIN = 1.25  # fans, disks, memory and the meter's own error, over what the devices' makers say
CLOCK_S = 5.0  # a report may be that much longer than the time it can have run for
ASTRAY_S = 60.0  # so much do the clocks of a site's own machines differ: no reading may lie further from its time


def impossible(measurement: Measurement, devices: tuple[Device, ...], handed_s: float, now_s: float) -> str:
    """Why it cannot be true; empty where it can. `handed_s`: since when it may have run, by the same clock."""
    longest_s = now_s - handed_s
    if measurement.end_s < measurement.start_s or measurement.duration_s < 0:
        return "it ended before it began"
    if measurement.duration_s > longest_s + CLOCK_S:
        return f"it ran for {measurement.duration_s:.0f} s, {longest_s:.0f} s after it was handed out"
    if measurement.energy_j.value < 0 or any(reading.energy_j < 0 for reading in measurement.readings):
        return "energy below nothing"
    if measurement.start_s < handed_s - ASTRAY_S or measurement.end_s > now_s + ASTRAY_S:
        return "it ran before it was handed out, or is still to come"
    first_s, last_s = measurement.start_s - ASTRAY_S, measurement.end_s + ASTRAY_S
    if any(reading.start_s < first_s or reading.end_s > last_s for reading in measurement.readings):
        return "readings of hours in which it did not run"
    most_w = MARGIN * sum(device.count * device.max_w for device in devices)
    watts = measurement.energy_j.value / max(measurement.duration_s, 1.0)
    if devices and watts > most_w:
        return f"{watts:.0f} W on average, and its devices draw {most_w:.0f} W at most"
    return ""

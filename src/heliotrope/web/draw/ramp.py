"""One colour for a carbon intensity: a fixed ramp from light to dark, so that it reads without colour sight."""

from __future__ import annotations

from functools import cache

TOP_G_PER_KWH = 750.0
LEVELS = 60
# OKLab (lightness, green–red, blue–yellow) at even steps from 0 to TOP; lightness only falls.
_STOPS = (
    (0.93, -0.085, 0.052),
    (0.82, -0.060, 0.105),
    (0.70, -0.020, 0.140),
    (0.575, 0.035, 0.118),
    (0.455, 0.070, 0.092),
    (0.345, 0.078, 0.066),
    (0.245, 0.066, 0.043),
)


@cache
def colour(level: int) -> str:
    """`level` from 0 (clean) to LEVELS (dirty) as #rrggbb."""
    at = level / LEVELS * (len(_STOPS) - 1)
    low = min(int(at), len(_STOPS) - 2)
    share = at - low
    lightness, a, b = (x + (y - x) * share for x, y in zip(_STOPS[low], _STOPS[low + 1], strict=True))
    return _hex(lightness, a, b)


def level(intensity_g_per_kwh: float) -> int:
    """What is dirtier than the legend's end is drawn as its end."""
    return round(min(max(intensity_g_per_kwh / TOP_G_PER_KWH, 0.0), 1.0) * LEVELS)


def colour_of(intensity_g_per_kwh: float) -> str:
    return colour(level(intensity_g_per_kwh))


def _hex(lightness: float, a: float, b: float) -> str:
    """OKLab to sRGB (the published matrices), clipped to what a screen can show."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _gamma(min(max(part, 0.0), 1.0))):02x}" for part in linear)


def _gamma(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055

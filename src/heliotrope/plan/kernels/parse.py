"""Reads numbers out of comma-separated bytes, at the speed of memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heliotrope.plan.kernels.jit import compiled
from heliotrope.plan.kernels.shapes import Floats


@compiled
def numbers(data: npt.NDArray[np.uint8], columns: int, out: Floats) -> int:
    """Fills out[row, column]; rows found, or -1-row where something in that row is not a plain number.

    Empty fields become NaN; blank lines are skipped. Correctly rounded up to 15 digits.
    """
    row = 0
    i = 0
    size = len(data)
    while i < size:
        if data[i] in (10, 13):
            i += 1
            continue
        for column in range(columns):
            negative = False
            if i < size and data[i] == 45:
                negative = True
                i += 1
            mantissa = 0
            digits = 0
            scale = 0
            dot = False
            while i < size:
                c = data[i]
                if 48 <= c <= 57:
                    if digits < 18:
                        mantissa = mantissa * 10 + (c - 48)
                        if mantissa > 0:
                            digits += 1
                        if dot:
                            scale -= 1
                    elif not dot:
                        scale += 1
                elif c == 46 and not dot:
                    dot = True
                else:
                    break
                i += 1
            ended = i >= size or data[i] in (10, 13)
            empty = i > 0 and not dot and scale == 0 and mantissa == 0 and data[i - 1] in (44, 10, 13)
            if not ended and data[i] != 44:
                return -1 - row
            if ended != (column == columns - 1):
                return -1 - row
            value = float(mantissa)
            if scale < -22:
                value *= 10.0**scale
            elif scale < 0:
                value /= 10.0**-scale
            elif scale > 0:
                value *= 10.0**scale
            if empty:
                value = np.nan
            out[row, column] = -value if negative else value
            i += 1
        row += 1
    return row

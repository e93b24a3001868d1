"""Percentiles by the nearest-rank method: each is a value that was measured."""

import math
from collections.abc import Sequence


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` (0 to 100) of the sorted values do not exceed.

    Raises:
        IndexError: there are no values.
    """
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]

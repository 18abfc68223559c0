"""The targets, and whether a row meets them."""

from __future__ import annotations

from collections.abc import Sequence

from . import table
from .table import Scored, estimate, value

MOST_TERM_ERROR = 0.5  # of that without bias
MOST_ORDINARY_RISE = 0.002
LEAST_PRECISION = 0.98
MOST_FALSE_AN_HOUR = 1.0
MOST_WINDOWS_WORSE = 0.01
MOST_COST = 1.5


def verdicts(
    mine: Sequence[Scored], unbiased: Sequence[Scored], ceiling: Sequence[Scored] | None
) -> str:
    """Return a list of the targets with what was reached."""
    term, before = value(table.B, mine), value(table.B, unbiased)
    rise = estimate(table.U, mine, unbiased)
    precision = value(table.PRECISION, mine)
    plain, quiet = value(table.FALSE_PLAIN, mine), value(table.FALSE_QUIET, mine)
    harmed, cost = value(table.WINDOWS_WORSE, mine), value(table.COST, mine)
    points = [100 * each for each in (rise.value, rise.low, rise.high)]
    found = [
        (
            term <= MOST_TERM_ERROR * before,
            f"term error {term:.1%}, {term / before:.2f} of {before:.1%} without bias",
            f"at most {MOST_TERM_ERROR} of it",
        ),
        (
            rise.high <= MOST_ORDINARY_RISE,
            "ordinary-word error {:+.2f} points (95 %: {:+.2f} to {:+.2f})".format(*points),
            f"at most {100 * MOST_ORDINARY_RISE:+.1f} at the upper end",
        ),
        (precision >= LEAST_PRECISION, f"precision {precision:.3f}", f"at least {LEAST_PRECISION}"),
        (
            plain <= MOST_FALSE_AN_HOUR,
            f"{plain:.1f} false terms an hour in speech without terms",
            f"at most {MOST_FALSE_AN_HOUR:g}",
        ),
        (quiet == 0, f"{quiet:.0f} false terms in non-speech", "none"),
        (
            harmed <= MOST_WINDOWS_WORSE,
            f"{harmed:.1%} of windows made worse",
            f"at most {MOST_WINDOWS_WORSE:.0%}",
        ),
        (
            cost <= MOST_COST,
            f"cost {cost:.2f} times the unbiased run (CPU {value(table.CPU, mine):.2f})",
            f"at most {MOST_COST}",
        ),
    ]
    lines = [
        f"- {'met' if good else '**missed**'}: {text}; wanted: {wanted}"
        for good, text, wanted in found
    ]
    if ceiling:
        best, here = value(table.RECALL, ceiling), value(table.RECALL, mine)
        lines.append(
            f"- the model's ceiling, prompted with exactly the terms of each window: recall "
            f"{best:.3f}, term error {value(table.B, ceiling):.1%}; "
            f"reached: recall {here:.3f}, {here / best:.0%} of the ceiling"
        )
    return "\n".join(lines)

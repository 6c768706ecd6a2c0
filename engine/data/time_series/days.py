"""Where in the year a date lies, as networks of FLAIR count it."""

from __future__ import annotations

from datetime import date

from engine.errors import InputError

# A year without 29 February: what counts is the place in the year.
_YEAR = 2021
REFERENCE = date(_YEAR, 5, 15)


def days_to_mid_may(month: int, day: int) -> int:
    """Return the days from a date to 15 May of its year: 134 on 1 January, 0 on 15 May, -230 on 31 December.

    29 February counts as 1 March.

    Raises:
        InputError: There is no such date.
    """
    try:
        place = date(_YEAR, 3, 1) if (month, day) == (2, 29) else date(_YEAR, month, day)
    except ValueError as error:
        raise InputError(
            f"There is no day {day} in month {month}.", "Dates are read from file and product names."
        ) from error
    return (REFERENCE - place).days

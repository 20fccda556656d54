"""The host's clock beside the dates of the server's answers."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from kraken_agent.clock import seconds_ahead


@pytest.mark.parametrize("moment", [0, 784111777, 951782400, 1798000000, 4102444799])
@pytest.mark.parametrize("ahead", [-86400, -31, 0, 31, 86400])
def test_the_difference_is_told_in_whole_seconds(moment: int, ahead: int) -> None:
    assert seconds_ahead(formatdate(moment, usegmt=True), moment + ahead + 0.5) == ahead


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nov 1994 ٠٨:49:37 GMT",
    ],
)
def test_what_is_no_date_of_http_says_nothing(date: str) -> None:
    assert seconds_ahead(date, 0) is None

"""The tool `rndtest`: makes test results up, so that a server can be tried without a project.

Step fields: `count`, `override_result`. The first three tests always have the same names; the rest is a fixed series,
so a test has a history over runs.
"""

from __future__ import annotations

import random
import statistics
from typing import Any, Callable, Dict, List, Mapping, Tuple

from kraken_agent.tools import results
from kraken_agent.tools.output import say

_SPECIAL = ("unstable", "sporadic", "manual")
_ANIMALS = (
    "Badger",
    "Cobra",
    "Dolphin",
    "Falcon",
    "Gecko",
    "Heron",
    "Ibex",
    "Koala",
    "Lynx",
    "Marten",
    "Otter",
    "Wren",
)
_CITIES = (
    "Accra",
    "Bergen",
    "Cusco",
    "Dakar",
    "Gdynia",
    "Hobart",
    "Izmir",
    "Kyoto",
    "Lviv",
    "Odense",
    "Porto",
    "Quito",
)
_MEASURES = ("FPS", "duration", "pressure", "speed", "temperature")
_ANY_STATUS = (
    results.NOT_RUN,
    results.PASSED,
    results.FAILED,
    results.ERROR,
    results.DISABLED,
    results.UNSUPPORTED,
)
_USUAL_COUNT = 10


def collect_tests(step: Mapping[str, Any]) -> List[str]:
    """`count` names, the same ones every time."""
    count = int(step.get("count") or _USUAL_COUNT)
    names = [f"test_{index}_special.{kind}" for index, kind in enumerate(_SPECIAL)][:count]
    series = random.Random(1)  # noqa: S311 - names, not secrets
    while len(names) < count:
        names.append(f"test_{series.choice(_ANIMALS)}_{len(names)}.from.{series.choice(_CITIES)}")
    return names


def run_tests(step: Mapping[str, Any], report_result: Callable[[Dict[str, Any]], None]) -> Tuple[int, str]:
    """Report a result for each test, with up to three measured values."""
    chance = random.Random()  # noqa: S311 - results, not secrets
    for index, test in enumerate(step.get("tests") or collect_tests(step)):
        result: Dict[str, Any] = {"cmd": f"random_test {test}", "test": test, "status": _status(step, test, chance)}
        measures = random.Random(index)  # noqa: S311 - which values a test has stays the same over runs
        names = measures.sample(_MEASURES, measures.randint(0, 3))
        if names:
            result["values"] = {name: _value(measures, chance) for name in names}
        say(f"{test}: {result['status']}")
        report_result(result)
    return 0, ""


def _status(step: Mapping[str, Any], test: str, chance: random.Random) -> int:
    if step.get("override_result") not in (None, ""):
        return int(step["override_result"])
    if test.endswith(".unstable"):
        return chance.choice((results.PASSED, results.FAILED))
    if test.endswith(".sporadic"):
        return results.FAILED if chance.random() < 0.1 else results.PASSED
    return results.PASSED if test.endswith(".manual") else chance.choice(_ANY_STATUS)


def _value(measures: random.Random, chance: random.Random) -> Dict[str, float]:
    """Return a value as it stands in a series of measurements, with the series' statistics when there is a series."""
    limit, size = measures.choice((100, 1000, 10000)), measures.choice((1, 10, 50, 100))
    population = [chance.randrange(1, limit) for _ in range(size)]
    mean = statistics.mean(population)
    value: Dict[str, float] = {"value": mean, "iterations": size}
    if size > 1:
        deviation = statistics.stdev(population)
        value.update(
            median=statistics.median_low(population),
            min=min(population),
            max=max(population),
            range=max(population) - min(population),
            stddev=deviation,
            variance=deviation**2,
            cv=deviation / mean,
            mode=statistics.mode(population),
        )
    return value

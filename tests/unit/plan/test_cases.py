"""Every file in tests/cases/plan: given these, the plan is that. A new case needs no new code."""

from __future__ import annotations

from typing import Any

import pytest

from kraken_fleet.plan import make_plan, plan_from_json, plan_to_json
from tests.unit.plan import cases

CASES = cases.read_cases()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case: dict[str, Any]) -> None:
    plan = make_plan(cases.desired(case), cases.observed(case), cases.policy(case), now=cases.NOW)
    assert cases.answer(plan) == case["expected"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_plan_survives_being_saved(case: dict[str, Any]) -> None:
    plan = make_plan(cases.desired(case), cases.observed(case), cases.policy(case), now=cases.NOW, server="http://k")
    assert plan_from_json(plan_to_json(plan)) == plan

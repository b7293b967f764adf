"""The acceptance scenarios are numbered 1 to 68; each is a test of that number in one of the files beside this one."""

import re
from pathlib import Path


def test_every_scenario_is_there_once():
    files = Path(__file__).parent.glob("test_acceptance_*.py")
    numbers = [int(number) for file in files for number in re.findall(r"^def test_(\d\d)_", file.read_text(), re.M)]
    assert sorted(numbers) == list(range(1, 69))

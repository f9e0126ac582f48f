"""docs/first-steps.md, done as it stands there in a project that had data before."""

from __future__ import annotations

import shlex

import pytest

from tests.examples import examples, steps, without_figures
from tests.shop import Shop

SETTINGS = examples("docs/first-steps.md", "python")
CONSOLE = examples("docs/first-steps.md", "console")

pytestmark = pytest.mark.sqlite


def test_its_steps_print_what_it_shows(tmp_path):
    shop = Shop(tmp_path)
    (settings,) = SETTINGS
    shop.add_settings(settings)
    for command, output in (step for block in CONSOLE for step in steps(block)):
        python, *arguments = shlex.split(command)
        assert python == "python"
        assert without_figures(shop.run(*arguments)) == without_figures(output)

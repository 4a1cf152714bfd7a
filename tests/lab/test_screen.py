"""What a terminal shows: nothing that it would wrap."""

import pytest
from rich.cells import cell_len

from lab.screen import fit


@pytest.mark.parametrize("width", [40, 80])
def test_progress_lines_are_cut_to_the_terminals_width(width):
    text = f"generate {'x' * 200}\n실습 {'가' * 100}\nshort"
    first, second, third = fit("run", text, width).splitlines()
    # The spinner stands before the first line.
    assert first.startswith("run        generate xxx")
    assert first.endswith("x…")
    assert cell_len(first) + 2 < width
    assert second.startswith("             실습 가")
    assert second.endswith("가…")
    assert cell_len(second) < width
    assert third == "             short"

"""A short run of the fuzzer in the suite; ``python tests/fuzz/fuzz.py`` runs it for longer."""

import pytest
from fuzz import run


@pytest.mark.slow
def test_no_mutant_breaks_the_reader() -> None:
    for outcome in run(seconds=45):
        kinds = outcome.kinds
    for coder in ("brotli", "prior"):
        assert kinds[coder, "BitstreamError"]
        assert kinds[coder, "picture"] > 0.0002 * outcome.total

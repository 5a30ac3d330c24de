"""A short run of the fuzzer in the suite; ``python tests/fuzz/fuzz.py`` runs it for longer."""

import pytest
from fuzz import run


@pytest.mark.slow
def test_no_mutant_breaks_the_reader() -> None:
    kinds = {}
    for outcome in run(seconds=45):
        kinds = outcome.kinds
    assert set(kinds) >= {"BitstreamError", "ModelError", "integers", "picture"}
    assert kinds["picture"] + kinds["integers"] > 0.01 * sum(kinds.values())

# SPDX-License-Identifier: MIT
"""Do some thousand random cases of each part hold, whatever they are? tests/README.md runs more."""

import pytest
from fuzz import build
from fuzz.parts import PARTS

SEED = 1


@pytest.mark.parametrize("name", PARTS)
def test_random_cases(name):
    part = PARTS[name]
    if part.compiles and not build.available():
        pytest.skip("needs g++ on an x86 processor with Linux")
    tally = part.run(SEED, 0, part.test)
    assert sum(tally.counts.values()) > 0
    found = "\n\n".join(f"{finding.detail}\n{finding.snippet}" for finding in tally.findings)
    assert not tally.findings, f"{tally}\n\n{found}"

# SPDX-License-Identifier: MIT
"""Runs the tests on every supported Python, each with the newest JAX for it: pipx run nox.

One version, some tests: pipx run nox -s tests-3.12 -- tests/test_values.py
"""

import nox

nox.options.reuse_existing_virtualenvs = True


@nox.session(python=["3.11", "3.12", "3.13"])  # JAX 0.10, the oldest, is the newest for 3.11
def tests(session: nox.Session) -> None:
    session.install(".[test]")
    session.run("python", "-m", "jaxtv")
    # The checkout must not shadow the package that was installed.
    session.run("pytest", *session.posargs, env={"PYTHONSAFEPATH": "1"})

# SPDX-License-Identifier: MIT
"""Is each page of the documentation reachable, and does its code fit the library?

Code is compiled and its names are looked up, and comparisons with other libraries run; nox -s docs
runs all of it.
"""

import ast
import importlib.util
import pathlib
import re

import jax
import pytest

import jaxtv.linen
import jaxtv.nnx

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = {str(p.relative_to(DOCS).with_suffix("")): p.read_text() for p in DOCS.rglob("*.md")}
BLOCK = re.compile(r"```(?:\{code-cell\}|python)\n(.*?)```", re.DOTALL)
CODE = {name: BLOCK.findall(text) for name, text in PAGES.items()}
WITH_CODE = sorted(name for name, blocks in CODE.items() if blocks)


def test_each_page_is_in_the_table_of_contents_once():
    trees = re.findall(r"```\{toctree\}\n(.*?)```", PAGES["index"], re.DOTALL)
    entries = [e for tree in trees for e in tree.splitlines() if e and not e.startswith(":")]
    assert sorted(entries) == sorted(PAGES.keys() - {"index"})


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_between_pages_lead_somewhere(name):
    targets = re.findall(r"\]\((?!\w+:)([^)#]+)", PAGES[name])
    missing = [t for t in targets if not ((DOCS / name).parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("name", WITH_CODE)
def test_code_compiles_and_what_it_takes_from_jaxtv_exists(name):
    tree = ast.parse("\n".join(CODE[name]))
    chains = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for chain in chains:
        if re.fullmatch(r"jaxtv(\.\w+)+", chain):
            found = jaxtv
            for attribute in chain.split(".")[1:]:
                found = getattr(found, attribute)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert len(calls) > 3


@pytest.mark.parametrize("name", sorted(n for n in WITH_CODE if n.startswith("gallery/")))
def test_examples_are_short(name):
    assert len("".join(CODE[name]).splitlines()) < 60


LIBRARIES = {
    "scikit-image": "skimage",
    "proxTV": "prox_tv",
    "fastprox": "fastprox",
    "deepinv": "deepinv",
}


@pytest.mark.parametrize("heading", LIBRARIES)
def test_migrated_calls_give_the_same(heading):
    """The comparisons on the page, whose tolerances are those that it states."""
    if importlib.util.find_spec(LIBRARIES[heading]) is None:
        pytest.skip(f"no {heading}")
    before, *sections = PAGES["migration"].split("\n## ")
    (section,) = (s for s in sections if s.startswith(f"{heading}\n"))
    code = "\n".join(BLOCK.findall(before) + BLOCK.findall(section))
    assert "assert_allclose" in code
    with jax.numpy_dtype_promotion("standard"):
        exec(compile(code, "migration", "exec"), {})

"""Links lead somewhere, code compiles, commands exist, and what is shown as an example works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.core.bias.glossary import parse_glossary
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, name_of, read

CODE_PAGES = [page for page in PAGES if blocks(page.read_text(encoding="utf-8"), "python")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in links(text):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{link} leads out of the checkout"
        assert target.exists(), f"{link} leads nowhere"
        if fragment:
            assert fragment in anchors(target.read_text(encoding="utf-8")), f"no heading {link}"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached = {
        (index.parent / link.partition("#")[0]).resolve() for link in links(read("docs/README.md"))
    }
    assert set((ROOT / "docs").rglob("*.md")) - {index} <= reached
    assert index in {(ROOT / link.partition("#")[0]).resolve() for link in links(read("README.md"))}


@pytest.mark.parametrize("page", CODE_PAGES, ids=name_of)
def test_python_compiles_and_imports_what_exists(page: Path) -> None:
    for number, block in enumerate(blocks(page.read_text(encoding="utf-8"), "python")):
        compile(block, f"{name_of(page)}[{number}]", "exec")
        for line in block.splitlines():
            if re.match(r"from longscribe[\w.]* import ", line):
                exec(line, {})  # our own page


def test_there_is_python_to_try() -> None:
    assert {name_of(page) for page in CODE_PAGES} >= {
        "README.md",
        "docs/how-to/use-as-a-library.md",
    }


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE)
        assert set(named) <= targets, name_of(page)
    assert re.findall(r"^ {4}make (\w+)", read("README.md"), re.MULTILINE)[:2] == ["demo", "test"]


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) < 150


def test_the_readme_excerpt_spells_the_names_as_the_glossary() -> None:
    terms = {
        term.text
        for term in parse_glossary((ROOT / "demo/glossary.txt").read_bytes(), "glossary.txt").terms
    }
    excerpt = read("README.md").partition("## What the glossary does")[2].partition("## Install")[0]
    bold = set(re.findall(r"\*\*(\w+)\*\*", excerpt)) - {"bold"}
    assert bold
    assert bold <= terms
    assert not terms & set(re.findall(r"~~(\w+)~~", excerpt))


def test_the_glossaries_shown_can_be_read() -> None:
    page = read("docs/reference/glossary-format.md")
    table = page.partition("Example:\n\n")[2].partition("\n\n")[0]
    terms = parse_glossary(_undented(table), "names.csv").terms
    assert [term.text for term in terms] == ["Geoffrey", "Rosalynd", "Harwick"]
    assert terms[0].weight == 3
    assert terms[0].aliases == ("Jeffrey", "Jeffery")
    table = (
        read("docs/how-to/write-a-glossary.md")
        .partition("exports either):\n\n")[2]
        .partition("\n\n")[0]
    )
    assert len(parse_glossary(_undented(table), "names.csv").terms) == 4


def _undented(text: str) -> bytes:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines()).encode()


def test_the_recognizer_of_the_how_to_works(tmp_path: Path) -> None:
    (code, *_) = blocks(read("docs/how-to/add-a-recognizer.md"), "python")
    (tmp_path / "parrot.py").write_text(code, encoding="utf-8")
    command = re.search(
        r"longscribe (transcribe demo/sample.flac --recognizer .*)",
        read("docs/how-to/add-a-recognizer.md"),
    )
    assert command is not None
    path = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run(
        [
            sys.executable,
            "-m",
            "longscribe",
            *command[1].split(),
            "--output-dir",
            str(tmp_path),
            "--language",
            "en",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=300,
    )
    transcript = json.loads((tmp_path / "sample.json").read_text(encoding="utf-8"))
    assert transcript["complete"]
    assert not transcript["gaps"]
    assert transcript["segments"][0]["text"].endswith("seconds of speech")


def test_an_unfit_recognizer_is_refused_as_the_how_to_says(tmp_path: Path) -> None:
    (code, *_) = blocks(read("docs/how-to/add-a-recognizer.md"), "python")
    (tmp_path / "parrot.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "longscribe",
            "transcribe",
            "demo/sample.flac",
            "--recognizer",
            "parrot:load",
            "--model",
            "none",
            "--output-dir",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 1
    assert "--no-word-timestamps" in done.stderr


def test_the_changelog_has_a_place_for_what_comes() -> None:
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"

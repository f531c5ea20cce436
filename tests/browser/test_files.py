"""What the pages are made of: vendored files as reviewed, nothing from elsewhere, words in both languages."""

import json
import re
from pathlib import Path

import pytest

from api.pages import drawing, vendor

PAGES = Path(vendor.__file__).parent
# Taken out to be printed: each stands alone, under a policy of its own that allows one style sheet inside.
PAPER = {"plan_map.html", "plan_page.html"}
OWN = [
    path
    for path in (*(PAGES / "static").rglob("*"), *(PAGES / "templates").rglob("*"))
    if path.suffix in {".js", ".css", ".html", ".svg"}
]


def test_vendored_files_are_the_reviewed_ones():
    found = vendor.manifests()
    assert PAGES / "vendor" / "MANIFEST.json" in found
    assert {str(path): vendor.differences(path) for path in found} == {str(path): [] for path in found}


def test_a_changed_a_missing_and_a_foreign_file_are_found(tmp_path):
    (tmp_path / "kept.js").write_text("1")
    (tmp_path / "foreign.js").write_text("2")
    files = [
        {"from": "a", "path": "kept.js", "sha256": vendor.digest(b"other")},
        {"from": "b", "path": "gone.js", "sha256": ""},
    ]
    manifest = tmp_path / "MANIFEST.json"
    manifest.write_text(json.dumps({"packages": [{"npm": "x", "version": "1", "files": files}]}))
    assert vendor.differences(manifest) == [
        "kept.js: changed", "gone.js: missing", "foreign.js: not in the manifest",
    ]  # fmt: skip


def test_every_package_says_its_licence_and_carries_it():
    for manifest in vendor.manifests():
        for package in json.loads(manifest.read_text())["packages"]:
            assert package["licence"], package["npm"]
            assert any("LICEN" in entry["path"].upper() for entry in package["files"]), package["npm"]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_is_named_that_lies_elsewhere(path):
    addresses = re.findall(r"(?:https?:)?//[\w-]+\.[\w./-]+", path.read_text())
    assert [each for each in addresses if not each.startswith("http://www.w3.org/")] == []


@pytest.mark.parametrize("path", sorted((PAGES / "templates").glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_no_script_and_no_style_that_the_policy_refuses(path):
    text = path.read_text()
    if path.name in PAPER:
        text = text.replace("<style>", "", 1)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text)


def words(language: str) -> dict[str, str]:
    files = sorted((PAGES / "static" / "js" / "texts").glob(f"*{language}.js"))
    text = "\n".join(path.read_text() for path in files)
    return dict(re.findall(r'^\s*"([\w.]+)":\s*"((?:[^"\\]|\\.)*)"', text, re.MULTILINE)) | dict(
        re.findall(r',\s*"([\w.]+)":\s*"((?:[^"\\]|\\.)*)"', text)
    )


def test_both_languages_say_the_same_things():
    zh, en = words("zh"), words("en")
    assert len(zh) > 200
    assert set(zh) == set(en)
    holes = {key: (set(re.findall(r"\{\w+\}", zh[key])), set(re.findall(r"\{\w+\}", en[key]))) for key in zh}
    assert {key: pair for key, pair in holes.items() if pair[0] != pair[1]} == {}


def test_every_word_that_a_module_asks_for_is_there():
    asked = set()
    for path in (PAGES / "static" / "js").glob("*.js"):
        asked |= set(re.findall(r'\bt\(\s*"([\w.]+)"', path.read_text()))
    for path in (PAGES / "templates").glob("*.html"):
        asked |= set(re.findall(r'data-t(?:-label)?="([\w.]+)"', path.read_text()))
    assert len(asked) > 80
    assert asked - set(words("zh")) == set()


def test_all_modules_are_asked_for_at_once():
    scripts = PAGES / "static" / "js"

    def needed(name: str, seen: set[str]) -> set[str]:
        text = (scripts / f"{name}.js").read_text()
        for found in re.findall(r'from "\.{1,2}/([\w/]+)\.js"', text):
            if found not in seen:
                seen.add(found)
                needed(found, seen)
        return seen

    for page, entry in (("index", "app"), ("admin", "admin"), ("plan", "plan")):
        text = (PAGES / "templates" / f"{page}.html").read_text()
        asked = re.search(r"for name in \[(.*?)\]", text, re.DOTALL)
        assert asked is not None
        assert set(re.findall(r'"([\w/]+)"', asked.group(1))) == needed(entry, set()), page


def test_the_landscape_of_the_sign_in_page_is_the_drawn_one():
    assert drawing.TARGET.read_text() == drawing.landscape()
    assert drawing.landscape(seed=drawing.SEED + 1) != drawing.landscape()


def test_files_stay_small():
    long = {path.name: len(path.read_text().splitlines()) for path in OWN if path.suffix != ".svg"}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}

# Licensed under the Apache License, Version 2.0.
"""Links and paths in the documents lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IGNORED = {'.venv', 'node_modules', 'work_dirs', 'build', 'dist', 'data'}
DOCUMENTS = sorted(
    path for path in ROOT.rglob('*.md')
    if not any(part in IGNORED or part.startswith(('.venv', '.pytest'))
               for part in path.relative_to(ROOT).parts[:-1])
    or path == ROOT / 'data' / 'README.md')

LINK = re.compile(r'\]\(([^)\s]+)\)')
# `tools/train.py`, configs/.../x.py: a path into the repository as people
# write it in prose and in commands; one with <...>, * or {} stands for many.
PATH = re.compile(
    r'(?<![\w./:-])((?:tools|configs|mmrefseg|demo|tests|docs|projects)/[\w./-]*\w)'
    r'(?![\w*<{/-])')
HEADING = re.compile(r'^#+ +(.*)$', re.MULTILINE)


def prose(text):
    """A document without its comments."""
    return re.sub(r'<!--.*?-->', '', text, flags=re.DOTALL)


def anchors(path):
    """The anchors that the headings of a document make."""
    text = re.sub(r'```.*?```', '', path.read_text(), flags=re.DOTALL)
    return {
        re.sub(r'[^\w\- ]', '', heading.lower()).strip().replace(' ', '-')
        for heading in HEADING.findall(text)
    }


def names(path):
    return str(path.relative_to(ROOT))


def test_documents_are_found():
    assert 'README.md' in map(names, DOCUMENTS)


@pytest.mark.parametrize('document', DOCUMENTS, ids=names)
def test_links_lead_somewhere(document):
    broken = []
    for link in LINK.findall(prose(document.read_text())):
        target, _, anchor = link.partition('#')
        if '://' in target or target.startswith('mailto:'):
            continue
        path = (document.parent / target).resolve() if target else document
        if not path.exists():
            broken.append(link)
        elif anchor and path.suffix == '.md' and anchor not in anchors(path):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize('document', DOCUMENTS, ids=names)
def test_paths_exist(document):
    text = re.sub(r'\]\([^)]*\)', ']', prose(document.read_text()))
    missing = sorted({
        path
        for path in PATH.findall(text)
        if not (ROOT / path).exists() and not (document.parent / path).exists()
    })
    assert not missing

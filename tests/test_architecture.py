# Licensed under the Apache License, Version 2.0.
"""The rooms of the package are those of docs/architecture.md, and a room
imports only rooms of lower levels."""

import ast
import re
from pathlib import Path

import pytest

import mmrefseg
from mmrefseg import registry

PACKAGE = Path(mmrefseg.__file__).parent
ROOT = PACKAGE.parent
PAGE = (ROOT / 'docs/architecture.md').read_text()
LEVELS = {
    room: int(level)
    for level, rooms in re.findall(r'^\| (\d) \| (.*) \|$', PAGE, re.M)
    for room in re.findall(r'`([\w/]+)`', rooms)
}
FILES = sorted(
    path for path in PACKAGE.rglob('*.py') if '.mim' not in path.parts)


def name(path):
    return str(path.relative_to(ROOT))


def imports(path):
    """Full names of what a file imports of the package, `a.b` of
    `from a import b` included."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[:len(package) - node.level + 1])
            base = '.'.join((base if node.level else []) +
                            ([node.module] if node.module else []))
            found = [f'{base}.{alias.name}' for alias in node.names]
        else:
            continue
        yield from (x for x in found if x.split('.')[0] == 'mmrefseg')


def room(module):
    parts = module.split('.')
    return parts[1] if len(parts) > 1 else '__init__'


def test_every_room_has_a_level():
    rooms = {
        path.stem if path.is_file() else path.name
        for path in PACKAGE.iterdir()
        if path.suffix == '.py' or (path / '__init__.py').exists()
    }
    assert rooms - {'__init__'} == {x for x in LEVELS if '/' not in x}


@pytest.mark.parametrize('path', FILES, ids=name)
def test_a_room_knows_only_lower_rooms(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
    if own == '__init__':
        return
    for module in imports(path):
        other = room(module)
        if other == own or other == '__init__' or other.startswith('__'):
            continue
        assert LEVELS[other] < LEVELS[own] or LEVELS[own] == 0 == LEVELS[
            other], f'{own} imports {module}'


def test_fusions_and_layers_know_no_backbone():
    for folder in ('fusion', 'layers', 'language_encoders'):
        for path in (PACKAGE / 'models' / folder).glob('*.py'):
            for module in imports(path):
                assert not re.match(
                    r'mmrefseg\.models\.(backbones|necks|decode_heads|'
                    r'segmentors)', module), f'{name(path)}: {module}'


def test_every_registered_part_is_on_the_page():
    missing = []
    for each in registry.__all__:
        own = getattr(registry, each)
        own.import_from_location()
        missing += [
            part for part, kind in own.module_dict.items()
            if kind.__module__.startswith('mmrefseg.') and part not in PAGE
        ]
    assert not missing


def test_classes_on_the_page_are_where_it_says():
    rows = re.findall(r'^\| [^|]+ \| `(mmrefseg/[\w/.]+)`(.*) \|$', PAGE, re.M)
    assert len(rows) > 20
    for path, rest in rows:
        place = ROOT / path
        files = [place] if place.is_file() else list(place.rglob('*.py'))
        text = '\n'.join(
            x.read_text() for x in [*files, *place.parent.glob('*.py')])
        for part in re.findall(r'`([A-Z]\w+)`', rest.split(', drawn by')[0]):
            assert f'class {part}(' in text or f'class {part}:' in text, part

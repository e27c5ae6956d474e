# Licensed under the Apache License, Version 2.0.
import pytest

from mmrefseg.apis.inference.doubts import find_doubt


@pytest.mark.parametrize('settings, words', [
    (dict(score=0.9, found=True), None),
    (dict(score=0.9, found=True, existence=0.9), None),
    (dict(score=0.6, found=True, existence=0.9), 'which pixels'),
    (dict(score=0.9, found=True, existence=0.55), 'at all (existence 0.55)'),
    (dict(score=0., found=False), 'No pixel'),
    (dict(score=0., found=False, existence=0.1, no_target=True),
     'Nothing in the image seems to be'),
])
def test_doubts(settings, words):
    doubt = find_doubt('the dog', **settings)
    if words is None:
        assert doubt is None
    else:
        assert words in doubt and "'the dog'" in doubt and doubt[-1] == '.'

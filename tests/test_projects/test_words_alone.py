# Licensed under the Apache License, Version 2.0.
import json

import pytest

from words_alone import measure_words_alone


@pytest.mark.parametrize('tell, right', [(True, 100.), (False, 0.)])
def test_words_alone(tmp_path, tell, right):
    """With a word that gives it away, and without: then one better always
    says that something is there."""
    refs = []
    for i in range(60):
        no_target = i % 3 == 0
        text = 'blue thing' if no_target and tell else f'red {"abc"[i % 2]}'
        refs.append(
            dict(
                ref_id=i,
                image_id=i,
                ann_id=[-1] if no_target else [i],
                split='val' if i < 30 else 'train',
                sentences=[dict(sent=text)]))
    (tmp_path / 'grefs(synthetic).json').write_text(json.dumps(refs))
    found = measure_words_alone(str(tmp_path))
    assert found['share'] == pytest.approx(100 / 3)
    assert found['N-acc'] == right and found['T-acc'] == 100
    if tell:
        assert found['N-acc even'] == found['T-acc even'] == 100

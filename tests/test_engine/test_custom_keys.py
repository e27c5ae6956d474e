# Licensed under the Apache License, Version 2.0.
"""``custom_keys``, as in MMEngine's own constructor."""

import pytest
from mmengine.optim import build_optim_wrapper

from mmrefseg.engine.optimizers import optim_wrapper_constructor
from .test_optimizers import LR, WD, Model, build, settings

# The same rules for all other parameters in both constructors.
ALIKE = dict(norm_decay_mult=0., no_decay=())


def mmengines(model, **paramwise):
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=LR, weight_decay=WD),
            paramwise_cfg=dict(bypass_duplicate=True, **paramwise)))
    return settings(model, wrapper.optimizer.param_groups)


@pytest.mark.parametrize('custom_keys', [
    {'language_encoder': dict(lr_mult=0.1)},
    # a substring: of layer.1, layer.10 and layer.11, and of BERT's layers
    {'layer.1': dict(lr_mult=0.5, decay_mult=0.5)},
    # the longest counts, alone
    {
        'layer': dict(lr_mult=2.),
        'layer.1.fc': dict(decay_mult=0.),
        'fc': dict(lr_mult=3., decay_mult=3.)
    },
    # of equally long ones the first in the alphabet
    {
        'norm1': dict(lr_mult=5.),
        'layer': dict(lr_mult=2.),
    },
    # a norm that fits is decayed
    {'gn': dict(), 'LayerNorm': dict(lr_mult=0.3)},
    {
        'absolute_pos_embed': dict(decay_mult=0.),
        'relative_position_bias_table': dict(decay_mult=0.),
        'norm': dict(decay_mult=0.)
    },
    {},
])
def test_means_what_it_means_in_mmengine(custom_keys):
    model = Model()
    # MMEngine does not take a class of one's own for a norm.
    del model.rms
    _, groups = build(model, custom_keys=custom_keys, **ALIKE)
    expected = mmengines(
        model, custom_keys=custom_keys, norm_decay_mult=0.)
    found = settings(model, groups)
    assert found == {name: pytest.approx(x) for name, x in expected.items()}
    assert len(found) > 80
    if custom_keys:
        assert len(set(expected.values())) > 1


def test_paths_hold_for_the_rest():
    model, groups = build(
        custom_keys={'language_encoder': dict(lr_mult=0.1)},
        lr_mult={
            'language_encoder': 7.,
            'head': 2.
        })
    found = settings(model, groups)
    assert found['head.bias'] == (2 * LR, WD)
    assert found['gn.weight'] == (LR, 0.)
    name = 'language_encoder.embeddings.LayerNorm.weight'
    assert found[name] == (pytest.approx(0.1 * LR), WD)


def test_the_rate_of_muon_is_multiplied():
    _, groups = build(
        muon_lr=1., custom_keys={'fc': dict(lr_mult=0.5, decay_mult=0.)})
    assert [(g['lr'], g['weight_decay']) for g in groups
            if g.get('use_muon')] == [(1., WD), (0.5, 0.)]


def test_a_key_that_fits_nothing_gives_a_warning(monkeypatch):
    texts = []
    monkeypatch.setattr(optim_wrapper_constructor, 'print_log',
                        lambda text, **_: texts.append(text))
    build(custom_keys={'absolute': dict(decay_mult=0.), 'gn': dict()})
    messages = [text for text in texts if 'has no effect' in text]
    assert len(messages) == 1 and "custom_keys['absolute']" in messages[0]


def test_other_settings_are_refused():
    with pytest.raises(ValueError, match=r"\['lr'\]; it knows 'lr_mult'"):
        build(custom_keys={'head': dict(lr=1.)})

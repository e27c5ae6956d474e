# Licensed under the Apache License, Version 2.0.
"""After one float64 step every parameter that is trained has a gradient.

What a variant does not use, it does not build; a parameter whose gradient a
norm or a softmax cancels is not built either.
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmrefseg.models.fusion import pwam
from mmrefseg.models.language_encoders.bert import UNTRAINED_PARAMETERS
from mmrefseg.registry import MODELS
from ablation_runs import lay_over, read_rows

ROWS = read_rows(
    str(Path(__file__).parents[2] / 'projects/ablation/rows.yml'))
# Parameters that are built and never trained: end of the name, why. They must
# have requires_grad=False; there is no exemption for those that have not.
EXEMPTIONS = {
    **UNTRAINED_PARAMETERS,
}
# The same of LAVT, whose files of weights have them.
NO_USE = "the last stage's gate feeds nothing"
LAVT_EXEMPTIONS = {
    **EXEMPTIONS,
    **pwam.UNTRAINED_PARAMETERS,
    'backbone.gates.3.hidden.weight': NO_USE,
    'backbone.gates.3.out.weight': NO_USE,
}
REFSEGFORMER_EXEMPTIONS = {
    **EXEMPTIONS,
    'backbone.stages.3.blocks.0.ffn.layers.1.bias':
    'added to the whole last map, which only VLTF sees: its norm cancels it',
}
SMALLEST = 1e-12
CE = dict(type='CrossEntropyLoss', avg_non_ignore=True)


def _without_prior(**changes):
    """Without LQPG: no queries, and the finest map alone is decoded."""
    return dict(
        backbone=dict(query_stages=(), **changes),
        neck=dict(out_indices=(0, )),
        decode_head=dict(
            _delete_=True,
            type='CoordMaskHead',
            in_channels=16,
            channels=16,
            loss_decode=CE))


def _gate(**changes):
    return dict(backbone=dict(gate=changes))


def _head(**changes):
    return dict(decode_head=changes)


def _queries(*stages):
    return dict(
        backbone=dict(query_stages=stages),
        decode_head=dict(num_queries=len(stages)))


LDA_NECK = dict(
    _delete_=True,
    type='ASPPNeck',
    in_channels=[8, 16, 32, 64],
    dilations=[(1, ), (1, 2, 3), (1, 2), (1, 2)],
    channels=16)


def _lda(neck=LDA_NECK, in_channels=64, **fusion):
    return dict(
        backbone=dict(
            # hidden layers of so few channels can be dead from the start
            fusion=dict(type='LDA', reduction=1, **fusion),
            gate=None,
            query_stages=()),
        neck=neck,
        decode_head=dict(
            _delete_=True,
            type='CoordMaskHead',
            in_channels=in_channels,
            channels=16,
            loss_decode=CE))


DECODER = dict(
    type='ReferringPixelDecoder',
    in_channels=[8, 16, 16, 16],
    channels=16,
    out_channels=16,
    out_indices=(0, ),
    out_norm_cfg=dict(type='GN', num_groups=4))
LDA_DECODER = dict(
    LDA_NECK, dilations=[None, (1, 2, 3), (1, 2), (1, 2)], decoder=DECODER)


def _two_stage(alignment=dict(type='GlobalAlignment'), **head):
    alignment = dict(alignment, language_channels='auto', channels=8)
    return dict(
        backbone=dict(
            _delete_=True,
            type='SwinTransformer',
            embed_dims=8,
            depths=[2, 1, 2, 1],
            num_heads=[1, 2, 4, 8],
            window_size=4,
            drop_path_rate=0.),
        neck=dict(
            _delete_=True,
            type='MultiLevelInteraction',
            in_channels=[8, 16, 32, 64],
            channels=16,
            num_heads=4,
            ffn_channels=24,
            decoder=DECODER),
        decode_head=dict(
            _delete_=True,
            type='CoordMaskHead',
            in_channels=16,
            channels=16,
            alignment=alignment,
            loss_decode=CE,
            **head))


VARIANTS = {
    'default': {},
    'prior_loss_weight_0': _head(prior_loss_weight=0.),
    'no_prior': _without_prior(),
    'no_prior_no_gate': _without_prior(gate=None),
    'queries_1_2': _queries(0, 1),
    'queries_3_4': _queries(2, 3),
    'queries_1': _queries(0),
    'queries_4': _queries(3),
    'no_gate': dict(backbone=dict(gate=None)),
    'gate_literal': _gate(combine='literal'),
    'gate_single': _gate(combine='single'),
    'gate_spatial_channel': _gate(pool=(True, False)),
    'gate_spatial_spatial': _gate(pool=(False, False)),
    'gate_gn': _gate(norm_cfg=dict(type='GN', num_groups=1)),
    'attention_map_after': _head(attention_map='after'),
    'attention_map_after_lambda_0': _head(
        attention_map='after', prior_loss_weight=0.),
    'layers_1': _head(num_layers=1),
    'layers_1_lambda_0': _head(num_layers=1, prior_loss_weight=0.),
    'kernel_size_1': _head(kernel_size=1),
    'no_coords': _head(with_coords=False),
    'existence': _head(existence=dict(channels=8)),
    'existence_words': _head(
        existence=dict(channels=8, query_channels=None, language_channels=16)),
    'existence_sentence_auto': _head(
        existence=dict(channels=8, language_channels='auto')),
    'one_channel': _head(
        out_channels=1,
        loss_decode=dict(use_sigmoid=True, avg_non_ignore=False)),
    'kernel_size_1_no_coords': _head(kernel_size=1, with_coords=False),
    'class_weight': _head(
        # mmseg's loss cannot do both
        loss_decode=dict(class_weight=[0.9, 1.1], avg_non_ignore=False)),
    'output_norm': dict(backbone=dict(output_norm=True)),
    'frozen_bert': dict(language_encoder=dict(frozen=True)),
    'last_layer_of_bert': dict(
        language_encoder=dict(trainable_layers=[1], train_embeddings=False)),
    'frozen_stage': dict(backbone=dict(frozen_stages=1)),
    'heads': dict(backbone=dict(fusion=dict(num_heads=4))),
    'wgfm': _without_prior(fusion=dict(type='WGFM')),
    'heads_no_prior': _without_prior(fusion=dict(num_heads=4)),
    'lda': _lda(),
    'lda_mean': _lda(integration='mean'),
    'lda_channels': _lda(spatial_attention=False),
    'lda_pixels': _lda(channel_attention=False),
    'lda_decoder': _lda(LDA_DECODER, 16),
    'two_stage': _two_stage(),
    'two_stage_pixels': _two_stage(dict(region_weight=0.)),
    'two_stage_existence': _two_stage(
        existence=dict(channels=8, language_channels='auto')),
}


def _gradients(model, batch):
    """max |gradient| of each trained parameter after one step."""
    model.double().train()
    data = model.data_preprocessor(batch, training=True)
    losses = model.loss(**data)
    total, _ = model.parse_losses(losses)
    total.backward()
    return {
        name: 0. if p.grad is None else p.grad.abs().max().item()
        for name, p in model.named_parameters() if p.requires_grad
    }


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_trained_parameter_has_a_gradient(variant, tiny_segmentor,
                                                make_batch):
    model = tiny_segmentor(randomise=False, **VARIANTS[variant])
    # Four sentences: batch norm over two pooled maps gives 1 and -1 whatever
    # comes in, so hardly any gradient.
    found = _gradients(model, make_batch([(64, 64)] * 4))
    none = {name for name, size in found.items() if not size > SMALLEST}
    assert not none
    frozen = {
        name
        for name, p in model.named_parameters() if not p.requires_grad
    }
    # Only what is exempt or was asked for does not train.
    asked = {
        'frozen_bert': ('language_encoder.', ),
        'last_layer_of_bert': ('language_encoder.bert.embeddings.',
                               'language_encoder.bert.encoder.layer.0.'),
        'frozen_stage': ('backbone.patch_embed.', 'backbone.stages.0.'),
    }.get(variant, ('none of them', ))
    assert {
        name
        for name in frozen
        if not name.endswith(tuple(EXEMPTIONS)) and not name.startswith(asked)
    } == set()


def test_lavt_trains_all_but_its_exemptions(tiny_segmentor, tiny_lavt,
                                            make_batch):
    model = tiny_segmentor(randomise=False, **tiny_lavt)
    found = _gradients(model, make_batch([(64, 64)] * 4))
    assert not {name for name, size in found.items() if not size > SMALLEST}
    asked = ('language_encoder.bert.embeddings.',
             'language_encoder.bert.encoder.layer.1.')
    frozen = {
        name
        for name, p in model.named_parameters()
        if not p.requires_grad and not name.startswith(asked)
    }
    assert all(name.endswith(tuple(LAVT_EXEMPTIONS)) for name in frozen)
    # Four biases of each fusion, the gate, and BERT's in its first layer.
    assert len(frozen) == 4 * 4 + 2 + 1


@pytest.mark.parametrize('no_target', [[], [1, 2], [0, 1, 2, 3]])
def test_refsegformer_trains_all_but_its_exemptions(
        no_target, tiny_segmentor, tiny_refsegformer, make_batch):
    # Random: as they start, products of small weights hide gradients.
    model = tiny_segmentor(**tiny_refsegformer)
    batch = make_batch([(64, 64)] * 4)
    for row in no_target:
        batch['data_samples'][row].gt_sem_seg.data.zero_()
    found = _gradients(model, batch)
    assert not {name for name, size in found.items() if not size > SMALLEST}
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert all(n.endswith(tuple(REFSEGFORMER_EXEMPTIONS)) for n in frozen)
    # The bias of the last map, and one of each layer of BERT.
    assert len(frozen) == 1 + 2


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.name)
def test_the_rule_holds_in_every_row_of_the_ablations(row, tiny_config,
                                                      make_batch, tmp_path):
    path = tmp_path / 'row.py'
    path.write_text(lay_over(row, tiny_config))
    init_default_scope('mmrefseg')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(path).model)
    model.init_weights()
    found = _gradients(model, make_batch([(64, 64)] * 4))
    assert not {name for name, size in found.items() if not size > SMALLEST}
    assert all(
        name.endswith(tuple(EXEMPTIONS))
        for name, p in model.named_parameters() if not p.requires_grad)


def test_the_rule_sees_a_parameter_that_feeds_nothing(tiny_segmentor,
                                                      make_batch):
    """A projection of a map that no one reads."""
    changes = _without_prior()
    changes['neck'] = {}
    model = tiny_segmentor(randomise=False, **changes)
    found = _gradients(model, make_batch([(64, 64)] * 4))
    assert {name.split('.')[2] for name, size in found.items()
            if size == 0} == {'1', '2', '3'}


@pytest.mark.parametrize(
    'method, name',
    [*(('default', name) for name in EXEMPTIONS),
     *(('lavt', name) for name in LAVT_EXEMPTIONS),
     *(('refsegformer', name) for name in REFSEGFORMER_EXEMPTIONS)])
def test_exemptions_are_needed(method, name, tiny_segmentor, tiny_lavt,
                               tiny_refsegformer, make_batch):
    """Trained after all, such a parameter gets rounding noise at most."""
    parts = dict(default={}, lavt=tiny_lavt, refsegformer=tiny_refsegformer)
    model = tiny_segmentor(**parts[method])
    exempt = [p for n, p in model.named_parameters() if n.endswith(name)]
    assert exempt
    for parameter in exempt:
        parameter.requires_grad_(True)
    found = _gradients(model, make_batch([(64, 64)] * 4))
    assert all(size < SMALLEST for n, size in found.items()
               if n.endswith(name))

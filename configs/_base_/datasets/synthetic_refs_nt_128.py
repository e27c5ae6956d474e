# Synthetic scenes with sentences that mean one object, several or none, at
# 128 x 128, made by
#   python tools/dataset_converters/make_synthetic_refs.py \
#       data/synthetic_refs_any --targets any
# Pictures and sentences about one object are those of synthetic_refs_128.py.
_base_ = './synthetic_refs_128.py'

image_scale = (128, 128)
meta_keys = ('img_path', 'ori_shape', 'img_shape', 'pad_shape',
             'scale_factor', 'text', 'ref_id', 'sent_id', 'image_id',
             'ann_id', 'kind', 'wrong', 'no_target')
train_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='LoadRefMask'),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
changes = dict(
    type='GRefCOCODataset',
    data_root='data/synthetic_refs_any',
    extra_fields=('kind', 'wrong'))

train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **changes))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **changes))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline, **changes))

# gIoU, cIoU, N-acc and T-acc beside the classic scores; of sentences that mean
# nothing also by what is wrong in them
val_evaluator = dict(no_target='rela', breakdown=('kind', 'wrong'))
test_evaluator = dict(no_target='rela', breakdown=('kind', 'wrong'))

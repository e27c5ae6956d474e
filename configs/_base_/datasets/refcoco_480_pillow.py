# RefCOCO, UNC's split, at 480 x 480, resized by Pillow, which averages where
# it shrinks: LAVT's weights were trained on such images.
_base_ = './refcoco.py'

image_scale = (480, 480)

meta_keys = ('img_path', 'ori_shape', 'img_shape', 'pad_shape',
             'scale_factor', 'text', 'ref_id', 'sent_id', 'image_id',
             'ann_id', 'kind', 'split')
resize = dict(
    type='Resize', scale=image_scale, keep_ratio=False, backend='pillow')
train_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'), resize,
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='LoadRefImage'), resize,
    dict(type='LoadRefMask'),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

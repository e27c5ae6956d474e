# Photographs at 320 x 320 with derived sentences, made from any annotations in
# COCO's layout by compose_coco.py and coco_to_refs.py of
# tools/dataset_converters (docs/derived_refs.md). data/photo_refs holds
# train/images, train.jsonl, val/images and val.jsonl.
dataset_type = 'JSONLinesRefDataset'
data_root = 'data/photo_refs/'
image_scale = (320, 320)

# Flips, colours and pasted things are in the images already: their sentences
# were derived afterwards, and maps of frozen backbones can be kept.
train_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='PackRefInputs')
]
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    # four sentences for each visit of an image
    sampler=dict(
        type='OneSentencePerRefSampler', shuffle=True, refs_per_image=4),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train.jsonl',
        data_prefix=dict(img_path='train/images/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val.jsonl',
        data_prefix=dict(img_path='val/images/'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='ReferringIoUMetric', breakdown=('kind', ))
test_evaluator = val_evaluator

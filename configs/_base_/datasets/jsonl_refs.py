# Your own data at 448 x 448: a text file with one sentence per line, see
# docs/data.md. Here in data/my_refs: train.jsonl, val.jsonl and the images
# and masks that they name.
dataset_type = 'JSONLinesRefDataset'
data_root = 'data/my_refs/'
data_prefix = dict(img_path='images/', mask_path='masks/')
image_scale = (448, 448)

# No flips and no crops: left and right are words.
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

# An epoch visits each object once, with one of its sentences.
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='OneSentencePerRefSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train.jsonl',
        data_prefix=data_prefix,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val.jsonl',
        data_prefix=data_prefix,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='ReferringIoUMetric')
test_evaluator = val_evaluator

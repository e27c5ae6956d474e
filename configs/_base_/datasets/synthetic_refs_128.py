# Synthetic scenes at 128 x 128, made by
#   python tools/dataset_converters/make_synthetic_refs.py data/synthetic_refs
# Batch: 16 sentences on one GPU or CPU.
dataset_type = 'RefCOCODataset'
data_root = 'data/synthetic_refs'
image_scale = (128, 128)

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
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='OneSentencePerRefSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images'),
        split_by='synthetic',
        split='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images'),
        split_by='synthetic',
        split='val',
        pipeline=test_pipeline))
# testA (scenes as in val) and testB (crowded) by
#   --cfg-options test_dataloader.dataset.split=testB
test_dataloader = val_dataloader

val_evaluator = dict(type='ReferringIoUMetric', breakdown=('kind', ))
test_evaluator = val_evaluator

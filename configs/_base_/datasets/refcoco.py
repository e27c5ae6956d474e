# RefCOCO, UNC's split, at 448 x 448. The other sets of this folder are small
# changes of this file. Files: see data/README.md.
dataset_type = 'RefCOCODataset'
data_root = 'data/coco/'
ann_file = 'refcoco/instances.json'
split_by = 'unc'
image_scale = (448, 448)

# No flips and no crops: left and right are words.
train_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='PackRefInputs')
]
# The mask is loaded after Resize: it stays at the size of the image file,
# where masks are compared.
test_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='Resize', scale=image_scale, keep_ratio=False),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]

# An epoch visits each of the 42,404 refs once, with one of its 2.8 sentences:
# 5,300 iterations of 8 sentences on one GPU. The last, smaller batch is left
# out, since batch norm needs several sentences.
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='OneSentencePerRefSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img_path='train2014/'),
        split_by=split_by,
        split='train',
        pipeline=train_pipeline))
# Every sentence of val counts: 10,834.
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img_path='train2014/'),
        split_by=split_by,
        split='val',
        pipeline=test_pipeline))
# Both test splits in one run. Published are the rows of each, testA and
# testB; the total over both is no number of the literature.
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img_path='train2014/'),
        split_by=split_by,
        split=['testA', 'testB'],
        pipeline=test_pipeline))

val_evaluator = dict(type='ReferringIoUMetric')
test_evaluator = dict(type='ReferringIoUMetric', breakdown=('split', ))

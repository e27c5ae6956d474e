# RefCOCOg, UMD's split, at 448 x 448: longer sentences, one test split.
# An epoch is 42,226 refs: 5,278 iterations of 8 sentences on one GPU.
_base_ = './refcoco.py'

ann_file = 'refcocog/instances.json'
split_by = 'umd'

train_dataloader = dict(dataset=dict(ann_file=ann_file, split_by=split_by))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split_by=split_by))
test_dataloader = dict(
    dataset=dict(ann_file=ann_file, split_by=split_by, split='test'))

test_evaluator = dict(breakdown=())

# UMD's split, one test split. An epoch is 42,226 refs: 1,319 iterations of 32
# sentences.
_base_ = './lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'
ann_file = 'refcocog/instances.json'
split_by = 'umd'
train_dataloader = dict(dataset=dict(ann_file=ann_file, split_by=split_by))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split_by=split_by))
test_dataloader = dict(
    dataset=dict(ann_file=ann_file, split_by=split_by, split='test'))
test_evaluator = dict(breakdown=())

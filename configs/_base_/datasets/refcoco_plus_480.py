# RefCOCO+, UNC's split, at 480 x 480: sentences without words of location.
# An epoch is 42,278 refs: 5,284 iterations of 8 sentences on one GPU.
_base_ = './refcoco_480.py'

ann_file = 'refcoco+/instances.json'

train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file))
test_dataloader = dict(dataset=dict(ann_file=ann_file))

# An epoch is 42,278 refs: 1,321 iterations of 32 sentences.
_base_ = './lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'
ann_file = 'refcoco+/instances.json'
train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file))
test_dataloader = dict(dataset=dict(ann_file=ann_file))

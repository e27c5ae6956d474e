# RefCOCOg, Google's split, at 448 x 448. It has no public test split, and its
# val shares images with train (not objects); so test is val.
# An epoch is 44,822 refs: 5,602 iterations of 8 sentences on one GPU.
_base_ = './refcocog_umd.py'

split_by = 'google'

train_dataloader = dict(dataset=dict(split_by=split_by))
val_dataloader = dict(dataset=dict(split_by=split_by))
test_dataloader = dict(dataset=dict(split_by=split_by, split='val'))

# gRefCOCO, UNC's split, at 448 x 448: sentences with one target, several or
# none. The public file has refs without sentences: they are left out, and a
# warning names them.
_base_ = './refcoco.py'

dataset_type = 'GRefCOCODataset'
ann_file = 'grefcoco/instances.json'
changes = dict(type=dataset_type, ann_file=ann_file, empty_sentences='skip')

train_dataloader = dict(dataset=changes)
val_dataloader = dict(dataset=changes)
test_dataloader = dict(dataset=changes)

# gIoU, cIoU, N-acc and T-acc beside the classic scores
val_evaluator = dict(no_target='rela')
test_evaluator = dict(no_target='rela')

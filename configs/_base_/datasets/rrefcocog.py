# R-RefCOCOg, UMD's split, at 448 x 448: some of the sentences have
# no target. Test is val; other splits by
#   --cfg-options test_dataloader.dataset.split=test
_base_ = './refcocog_umd.py'

dataset_type = 'RRefCOCODataset'
ann_file = 'rrefcocog/instances.json'

train_dataloader = dict(dataset=dict(type=dataset_type, ann_file=ann_file))
val_dataloader = dict(dataset=dict(type=dataset_type, ann_file=ann_file))
test_dataloader = dict(
    dataset=dict(type=dataset_type, ann_file=ann_file, split='val'))

# mRR and rIoU beside the classic scores
val_evaluator = dict(no_target='rris')
test_evaluator = dict(no_target='rris', breakdown=())

# Talk2Car-RegSeg, for testing alone: photos
# at their own size, for a model that resizes and normalises them itself.
_base_ = '../datasets/talk2car_regseg.py'

test_pipeline = [
    dict(type='LoadRefImage'),
    dict(type='LoadRefMask'),
    dict(type='PackRefInputs')
]
train_dataloader = val_dataloader = val_evaluator = None
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_cfg = dict(type='TestLoop')

# RefCOCO, UNC's split, at 480 x 480, resized by Pillow, which averages where
# it shrinks: LAVT's weights were trained on such images.
_base_ = './refcoco_480.py'

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].backend = test_pipeline[1].backend = 'pillow'

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# Photographs, to train on at 256 x 256 and to test at 320 x 320, with derived
# sentences, made from any annotations in
# COCO's layout by compose_coco.py and coco_to_refs.py of
# tools/dataset_converters (docs/derived_refs.md). data/photo_refs holds
# train/images, train.jsonl, val/images and val.jsonl.
# Flips, colours and pasted things are in the images already: their sentences
# were derived afterwards, and maps of frozen backbones can be kept.
_base_ = './jsonl_refs.py'

data_root = 'data/photo_refs/'
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = (256, 256)
test_pipeline[1].scale = (320, 320)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    # four sentences for each visit of an image
    sampler=dict(refs_per_image=4),
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img_path='train/images/', mask_path=''),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img_path='val/images/', mask_path=''),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='ReferringIoUMetric', breakdown=('kind', ))
test_evaluator = val_evaluator

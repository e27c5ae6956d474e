# Talk2Car-RegSeg at 448 x 448: regions that a car should go to, as JSON lines
# that tools/dataset_converters/convert_refs.py makes (format talk2car-regseg,
# see docs/data.md). Several regions may be right, so it also counts whether
# the most probable pixel is in one of them.
_base_ = './jsonl_refs.py'

data_root = 'data/talk2car_regseg/'
data_prefix = dict(img_path='imgs/', mask_path='')
train_dataloader = dict(
    drop_last=True,
    dataset=dict(
        data_root=data_root,
        ann_file='refs.jsonl',
        split='train',
        data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='refs.jsonl',
        split='val',
        data_prefix=data_prefix))
# The short commands of the test are a file of their own; for them, change
# ann_file and img_path. Here as in val.
test_dataloader = val_dataloader

val_evaluator = dict(pointing=True)
test_evaluator = val_evaluator

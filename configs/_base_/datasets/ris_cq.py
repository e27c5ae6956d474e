# RIS-CQ at 448 x 448: complex sentences about things and stuff of COCO 2017,
# as JSON lines that tools/dataset_converters/convert_refs.py makes (format
# ris-cq, see docs/data.md). The public file has no splits: train.jsonl and
# val.jsonl are of whatever two files one has.
_base_ = './jsonl_refs.py'

data_root = 'data/coco/'
data_prefix = dict(img_path='', mask_path='')
train_dataloader = dict(
    drop_last=True,
    dataset=dict(
        data_root=data_root,
        ann_file='ris_cq/train.jsonl',
        data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='ris_cq/val.jsonl',
        data_prefix=data_prefix))
test_dataloader = val_dataloader

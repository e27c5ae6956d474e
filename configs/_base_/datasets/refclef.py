# RefCLEF (ReferIt), UNC's split, at 448 x 448: photos and masks of SAIAPR
# TC-12.
# Split 'test' is every split of the file whose name contains 'test'.
_base_ = './refcoco.py'

data_root = 'data/refclef/'
ann_file = 'instances.json'
data_prefix = dict(img_path='saiapr_tc-12/')

train_dataloader = dict(
    dataset=dict(
        data_root=data_root, ann_file=ann_file, data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root, ann_file=ann_file, data_prefix=data_prefix))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=data_prefix,
        split='test'))

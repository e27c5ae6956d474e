# RefCOCO, RefCOCO+ and RefCOCOg (UMD) together, at 448 x 448, without the
# images of any val or test split of the three: what one trains on, another
# tests on. The log says how many refs are left out of each. Val and test are
# RefCOCO's; the others by
#   --cfg-options test_dataloader.dataset.ann_file=refcoco+/instances.json
_base_ = './refcoco.py'

held_out = [
    'refcoco/refs(unc).p', 'refcoco+/refs(unc).p', 'refcocog/refs(umd).p'
]
shared = dict(
    type='RefCOCODataset',
    data_root='data/coco/',
    data_prefix=dict(img_path='train2014/'),
    split='train',
    exclude_images=held_out,
    pipeline=_base_.train_pipeline)

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(ann_file='refcoco/instances.json', split_by='unc', **shared),
            dict(ann_file='refcoco+/instances.json', split_by='unc', **shared),
            dict(ann_file='refcocog/instances.json', split_by='umd', **shared)
        ]))

# RefCOCO+, with its own words.
_base_ = [
    '../_base_/models/cmsa_r101-d8.py',
    '../_base_/datasets/refcoco_plus_320.py',
    '../_base_/schedules/schedule_100000it.py',
    '../_base_/default_runtime.py'
]
model = dict(language_encoder=dict(vocab='data/coco/refcoco+/words.txt'))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=10000, max_keep_ckpts=2))

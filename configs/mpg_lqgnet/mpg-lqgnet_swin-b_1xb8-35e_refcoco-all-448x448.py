# RefCOCO, RefCOCO+ and RefCOCOg (UMD) together, without the images of any val
# or test split of the three. An epoch is about three times as long.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py',
    '../_base_/datasets/refcoco_all.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]

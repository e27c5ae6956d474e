# RefCOCO, RefCOCO+ and RefCOCOg (UMD) together, without the images of any val
# or test split of the three. An epoch is about three times as long. Images
# are resized by OpenCV, not by Pillow as in LAVT's own recipe.
_base_ = [
    '../_base_/models/lavt_swin-b.py',
    '../_base_/datasets/refcoco_all_480.py',
    '../_base_/schedules/schedule_40e.py', '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=4)
sync_bn = 'torch'

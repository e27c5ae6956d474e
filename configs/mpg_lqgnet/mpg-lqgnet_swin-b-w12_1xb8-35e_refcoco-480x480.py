# Windows of 12 fit 480 x 480 (a third of the finest map's 120 is 40, and the
# coarsest map of 15 is padded to 24); the tables of relative positions of a
# window-7 file are resized when it loads.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py',
    '../_base_/datasets/refcoco_480.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(backbone=dict(window_size=12))

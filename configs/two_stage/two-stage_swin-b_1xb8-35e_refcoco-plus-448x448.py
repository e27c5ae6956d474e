_base_ = [
    '../_base_/models/two-stage_swin-b.py',
    '../_base_/datasets/refcoco_plus.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]

_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py',
    '../_base_/datasets/ris_cq.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(language_encoder=dict(max_tokens=64))

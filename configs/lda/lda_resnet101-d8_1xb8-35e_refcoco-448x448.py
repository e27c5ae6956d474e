# AdamW at 1e-4, a tenth of it for what is pretrained; the abstract names no
# recipe.
_base_ = [
    '../_base_/models/lda_resnet101-d8.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(
        lr_mult={
            'backbone.backbone': 0.1,
            'language_encoder': 0.1
        }))

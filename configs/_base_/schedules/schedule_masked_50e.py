# MaskRIS's schedule for masked training: AdamW at 1e-4, a tenth of it for the
# pretrained Swin and BERT, a warm-up of 1,500 iterations, gradients clipped at
# 1.0, 50 epochs, batch 16. RefCOCO has 42,404 refs: 2,650 iterations of 16 an
# epoch, 132,500 in all. That the rate falls polynomially after the warm-up,
# as in schedule_35e.py, and that fusions and gates, which start from scratch,
# have the whole rate, is our choice.
_base_ = './schedule_35e.py'
max_epochs = 50
train_cfg = dict(max_epochs=max_epochs)

optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(
        lr_mult={
            'language_encoder': 0.1,
            'backbone': 0.1,
            'backbone.fusions': 1.0,
            'backbone.gates': 1.0
        }),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1500),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=16)

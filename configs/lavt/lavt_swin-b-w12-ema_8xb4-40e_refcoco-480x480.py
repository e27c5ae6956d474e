# Validated and saved is a moving average of the weights over about 1,250
# iterations, one epoch.
_base_ = './lavt_swin-b-w12_8xb4-40e_refcoco-480x480.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=8e-4, update_buffers=True)
]

# Validated and saved is a moving average of the weights over about 100
# iterations.
_base_ = './lavt_nano_1xb32-1250it_synthetic-128x128.py'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', momentum=0.01, update_buffers=True)
]

# The run behind the weights that come with the package, second part: scenes
# in many styles beside those of the first part, whose weights it starts from.
#   python tools/dataset_converters/make_synthetic_refs.py \
#       data/synthetic_varied --train 5000 --varied 7200 --unseenA 200 \
#       --unseenB 200
#   python tools/train.py THIS --cfg-options load_from=WEIGHTS
# with the weights of mpg-lqgnet_nano_1xb32-10000it_synthetic-128x128.py.
# About one visit to each scene. The splits unseenA and unseenB are drawn in
# ways that training never sees.
_base_ = './mpg-lqgnet_nano_1xb32-1250it_synthetic-128x128.py'
data_root = 'data/synthetic_varied'
train_dataloader = dict(
    dataset=dict(data_root=data_root, split=('train', 'varied')))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))

max_iters = 1500
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
# two fifths of the learning rates from scratch, warmed up for 100 iterations
optim_wrapper = dict(
    optimizer=dict(lr=1.2e-3), paramwise_cfg=dict(muon_lr=0.004))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = 100
param_scheduler[1].end = max_iters
default_hooks = dict(checkpoint=dict(interval=250))

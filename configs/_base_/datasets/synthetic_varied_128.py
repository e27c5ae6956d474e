# Synthetic scenes at 128 x 128, of which more than half have a style and a
# size of their own each. The test is on the scenes of two renderers that
# training never sees, together and each. Made by
#   python tools/dataset_converters/make_synthetic_refs.py \
#       data/synthetic_varied --train 5000 --varied 7200 --unseenA 200 \
#       --unseenB 200
# Val, testA and testB, drawn as ever, by
#   --cfg-options test_dataloader.dataset.split=val
_base_ = './synthetic_refs_128.py'
data_root = 'data/synthetic_varied'

train_dataloader = dict(
    dataset=dict(data_root=data_root, split=('train', 'varied')))
val_dataloader = dict(dataset=dict(data_root=data_root))

# each item says of which split it is
test_pipeline = [
    *_base_.test_pipeline[:-1],
    dict(type='PackRefInputs', extra_keys=('split', ))
]
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        split=('unseenA', 'unseenB'),
        pipeline=test_pipeline))
test_evaluator = dict(breakdown=('kind', 'split'))

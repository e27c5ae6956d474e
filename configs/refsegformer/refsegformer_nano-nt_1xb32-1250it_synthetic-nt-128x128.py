# The nano model on scenes where some sentences mean several objects and some
# none: existence from the tokens, masks of no-target sentences weighted.
_base_ = [
    '../_base_/models/refsegformer_nano.py',
    '../_base_/datasets/synthetic_refs_nt_128.py',
    '../_base_/schedules/schedule_synthetic.py',
    '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(vocab='synthetic-any'),
    # tokens of the second stage, for existence
    backbone=dict(query_channels=64, query_stages=(1, )),
    decode_head=dict(
        no_target_weight=0.4,
        existence=dict(
            type='TokenExistencePredictor',
            token_channels=64,
            channels=64,
            num_heads=2)),
    train_cfg=dict(share_images=True))
train_dataloader = dict(batch_size=32, sampler=dict(refs_per_image=4))
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))

# ConvNeXt V2-B, early fusion; the text tower of CLIP-L reads, frozen.
_base_ = [
    '../_base_/models/mpg-lqgnet_swin-b.py', '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_35e.py', '../_base_/default_runtime.py'
]
model = dict(
    language_encoder=dict(
        _delete_=True,
        type='HFTextEncoder',
        pretrained='openai/clip-vit-large-patch14',
        arch=dict(
            model_type='clip_text_model', hidden_size=768,
            intermediate_size=3072, num_attention_heads=12,
            eos_token_id=49407),
        frozen=True,
        cache=True),
    backbone=dict(
        _delete_=True,
        type='EarlyFusionBackbone',
        backbone=dict(
            type='HFBackbone',
            pretrained='facebook/convnextv2-base-22k-384',
            arch=dict(
                model_type='convnextv2', depths=[3, 3, 27, 3],
                hidden_sizes=[128, 256, 512, 1024], drop_path_rate=0.1)),
        fusion=dict(type='BSAM'),
        gate=dict(type='CAFG')))

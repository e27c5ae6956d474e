# The smallest pair: Grounding DINO with Swin-T, which was not trained on
# RefCOCO, and SAM with ViT-B.
_base_ = ['../_base_/unresized/refcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='GroundedSAM',
    detector='IDEA-Research/grounding-dino-tiny',
    segmenter='facebook/sam-vit-base',
    boxes='best',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.)  # every sentence of RefCOCO has a target

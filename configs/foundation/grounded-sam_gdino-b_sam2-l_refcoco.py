# Grounding DINO with Swin-B, which was trained on RefCOCO among others, and
# SAM 2.1 with Hiera-L. Needs transformers 4.56 and torchvision.
_base_ = ['../_base_/unresized/refcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='GroundedSAM',
    detector='IDEA-Research/grounding-dino-base',
    segmenter='facebook/sam2.1-hiera-large',
    boxes='best',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.)  # every sentence of RefCOCO has a target

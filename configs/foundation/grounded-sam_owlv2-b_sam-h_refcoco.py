# OWLv2 with ViT-B/16, which reads at most 16 tokens, and SAM with ViT-H.
_base_ = ['../_base_/unresized/refcoco.py', '../_base_/default_runtime.py']

model = dict(
    type='GroundedSAM',
    detector='google/owlv2-base-patch16-ensemble',
    segmenter='facebook/sam-vit-huge',
    boxes='best',
    dtype='float32',
    local_files_only=False,
    existence_threshold=0.)  # every sentence of RefCOCO has a target

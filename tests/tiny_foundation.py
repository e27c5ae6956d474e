# Licensed under the Apache License, Version 2.0.
"""Tiny random foundation models, saved to disk in the files of a model hub.

Each ``write_*`` makes a folder with ``config.json``, ``model.safetensors``,
``preprocessor_config.json`` and, where the model reads words, a tokenizer:
what ``from_pretrained`` finds under a name of the hub.
"""

import importlib.util
import json

import torch
import transformers

WORDS = 'the red blue green circle square star left right of on a'.split()
MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
HAS_TORCHVISION = importlib.util.find_spec('torchvision') is not None


def missing(kind):
    """Why a kind cannot be built here, or None."""
    classes = dict(sam2='Sam2Model', sam3='Sam3Model')
    if kind not in classes:
        return None
    if getattr(transformers, classes[kind], None) is None:
        return f'transformers {transformers.__version__} has no {kind}'
    return None if HAS_TORCHVISION else f'{kind} needs torchvision'


def write(kind, folder, seed=0):
    """Write a tiny model of a kind ('clipseg', 'grounding-dino', 'owlv2',
    'sam', 'sam2', 'sam3') and return its folder as a str."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = _WRITERS[kind](folder)
    for name, value in model.named_parameters():
        # Initial values are small: nothing would depend on the input.
        if value.dim() > 1 and 'embed' not in name:
            value.data.copy_(
                torch.randn(value.shape) * (2 / value[0].numel())**0.5)
    model.save_pretrained(folder, safe_serialization=True)
    return str(folder)


def _json(folder, name, **content):
    (folder / name).write_text(json.dumps(content))


def _clip_tokenizer(folder, length):
    """CLIP's tokenizer with letters, and one merge a step for each word."""
    letters = [chr(i) for i in range(33, 127)]
    tokens = letters + [f'{letter}</w>' for letter in letters]
    merges = []
    for word in WORDS:
        parts = [*word[:-1], f'{word[-1]}</w>']
        while len(parts) > 1:
            pair = f'{parts[0]} {parts[1]}'
            parts[:2] = [parts[0] + parts[1]]
            if pair not in merges:
                merges.append(pair)
            if parts[0] not in tokens:
                tokens.append(parts[0])
    start, end = '<|startoftext|>', '<|endoftext|>'
    tokens += [start, end]
    _json(folder, 'vocab.json', **{x: i for i, x in enumerate(tokens)})
    (folder / 'merges.txt').write_text(
        '\n'.join(['#version: 0.2', *merges]) + '\n')
    _json(
        folder,
        'tokenizer_config.json',
        tokenizer_class='CLIPTokenizer',
        bos_token=start,
        eos_token=end,
        unk_token=end,
        pad_token=end,
        model_max_length=length)
    return dict(
        vocab_size=len(tokens),
        max_position_embeddings=length,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
        pad_token_id=len(tokens) - 1)


def _bert_tokenizer(folder):
    letters = [chr(i) for i in range(97, 123)]
    tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', ',', '?']
    tokens += letters + [f'##{x}' for x in letters] + WORDS
    tokens = list(dict.fromkeys(tokens))
    (folder / 'vocab.txt').write_text('\n'.join(tokens) + '\n')
    _json(
        folder,
        'tokenizer_config.json',
        tokenizer_class='BertTokenizer',
        do_lower_case=True,
        model_max_length=512)
    return len(tokens)


def _image_processor(folder, kind, **settings):
    base = dict(
        image_processor_type=kind,
        do_resize=True,
        do_rescale=True,
        do_normalize=True,
        rescale_factor=1 / 255,
        image_mean=MEAN,
        image_std=STD)
    _json(folder, 'preprocessor_config.json', **{**base, **settings})


_TEXT = dict(
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2)


def _clipseg(folder):
    text = _clip_tokenizer(folder, 77)
    _image_processor(
        folder,
        'ViTImageProcessor',
        processor_class='CLIPSegProcessor',
        resample=2,
        size=dict(height=32, width=32))
    return transformers.CLIPSegForImageSegmentation(
        transformers.CLIPSegConfig(
            text_config=dict(_TEXT, **text),
            vision_config=dict(_TEXT, image_size=16, patch_size=4),
            projection_dim=16,
            extract_layers=[0, 1],
            reduce_dim=16,
            decoder_num_attention_heads=2,
            decoder_intermediate_size=32,
            conditional_layer=0))


def _grounding_dino(folder):
    _image_processor(
        folder,
        'GroundingDinoImageProcessor',
        processor_class='GroundingDinoProcessor',
        do_pad=True,
        format='coco_detection',
        resample=2,
        size=dict(shortest_edge=96, longest_edge=128))
    backbone = transformers.SwinConfig(
        image_size=64,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=['stage2', 'stage3', 'stage4'])
    return transformers.GroundingDinoForObjectDetection(
        transformers.GroundingDinoConfig(
            backbone_config=backbone,
            text_config=dict(
                _TEXT,
                model_type='bert',
                vocab_size=_bert_tokenizer(folder),
                max_position_embeddings=512),
            d_model=32,
            encoder_layers=1,
            encoder_ffn_dim=32,
            encoder_attention_heads=2,
            decoder_layers=2,
            decoder_ffn_dim=32,
            decoder_attention_heads=2,
            num_queries=8,
            num_feature_levels=4,
            encoder_n_points=2,
            decoder_n_points=2,
            disable_custom_kernels=True))


def _owlv2(folder):
    text = _clip_tokenizer(folder, 16)
    _image_processor(
        folder,
        'Owlv2ImageProcessor',
        processor_class='Owlv2Processor',
        do_pad=True,
        resample=2,
        size=dict(height=32, width=32))
    return transformers.Owlv2ForObjectDetection(
        transformers.Owlv2Config(
            text_config=dict(_TEXT, **text),
            vision_config=dict(_TEXT, image_size=32, patch_size=8),
            projection_dim=16))


def _sam(folder):
    _image_processor(
        folder,
        'SamImageProcessor',
        processor_class='SamProcessor',
        do_pad=True,
        do_convert_rgb=True,
        resample=2,
        mask_size=dict(longest_edge=16),
        mask_pad_size=dict(height=16, width=16),
        size=dict(longest_edge=64),
        pad_size=dict(height=64, width=64))
    return transformers.SamModel(
        transformers.SamConfig(
            vision_config=dict(
                hidden_size=16,
                output_channels=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=64,
                patch_size=16,
                mlp_ratio=2.0,
                window_size=2,
                global_attn_indexes=[1],
                num_pos_feats=8,
                mlp_dim=32),
            prompt_encoder_config=dict(
                hidden_size=16,
                image_size=64,
                patch_size=16,
                mask_input_channels=8),
            mask_decoder_config=dict(
                hidden_size=16,
                mlp_dim=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                iou_head_hidden_dim=16)))


def _sam2(folder):
    _image_processor(
        folder,
        'Sam2ImageProcessorFast',
        processor_class='Sam2Processor',
        do_convert_rgb=True,
        resample=2,
        mask_size=dict(height=16, width=16),
        size=dict(height=64, width=64))
    backbone = dict(
        model_type='sam2_hiera_det_model',
        hidden_size=8,
        num_attention_heads=1,
        image_size=[64, 64],
        window_positional_embedding_background_size=[2, 2],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[3])
    return transformers.Sam2Model(
        transformers.Sam2Config(
            vision_config=dict(
                model_type='sam2_vision_model',
                backbone_config=backbone,
                backbone_channel_list=[64, 32, 16, 8],
                backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
                fpn_hidden_size=32),
            prompt_encoder_config=dict(
                hidden_size=32,
                image_size=64,
                patch_size=16,
                mask_input_channels=8),
            mask_decoder_config=dict(
                hidden_size=32,
                mlp_dim=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                iou_head_hidden_dim=16)))


def _sam3(folder):
    text = _clip_tokenizer(folder, 32)
    _image_processor(
        folder,
        'Sam3ImageProcessorFast',
        processor_class='Sam3Processor',
        do_convert_rgb=True,
        resample=2,
        mask_size=dict(height=16, width=16),
        size=dict(height=56, width=56))
    part = dict(hidden_size=32, num_attention_heads=2)
    layers = dict(part, intermediate_size=32, num_layers=1)
    return transformers.Sam3Model(
        transformers.Sam3Config(
            vision_config=dict(
                model_type='sam3_vision_model',
                backbone_config=dict(
                    _TEXT,
                    model_type='sam3_vit_model',
                    image_size=56,
                    patch_size=14,
                    window_size=2,
                    global_attn_indexes=[1],
                    pretrain_image_size=28),
                fpn_hidden_size=32,
                backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]]),
            text_config=dict(
                _TEXT, model_type='clip_text_model', projection_dim=16,
                **text),
            geometry_encoder_config=layers,
            detr_encoder_config=layers,
            detr_decoder_config=dict(layers, num_queries=6),
            mask_decoder_config=part))


_WRITERS = {
    'clipseg': _clipseg,
    'grounding-dino': _grounding_dino,
    'owlv2': _owlv2,
    'sam': _sam,
    'sam2': _sam2,
    'sam3': _sam3,
}

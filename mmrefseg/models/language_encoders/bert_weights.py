# Licensed under the Apache License, Version 2.0.
"""Weights of a pretrained BERT, from the files that people have."""

import re
from collections.abc import Collection

from mmengine.logging import print_log
from torch import Tensor
from transformers import BertModel

from mmrefseg.fileio import CheckpointAdapter, name_some, read_weights
from mmrefseg.fileio.weights import StateDict, find_state_dict
from .bert_files import find_weights

# Heads that files of weights have and an encoder of words lacks.
_HEADS = ('pooler.', 'cls.', 'classifier.', 'qa_outputs.',
          'embeddings.position_ids', 'embeddings.token_type_ids')


class BertNames(CheckpointAdapter):
    """The names of transformers, of old and new files, with any head."""

    def matches(self, names: Collection[str]) -> bool:
        return any('embeddings.word_embeddings' in name for name in names)

    def rename(self, name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
        name = name.removeprefix('module.').removeprefix('bert.')
        if name.startswith(_HEADS):
            return None
        # Files written before 2019 name the parts of a LayerNorm like this.
        name = re.sub(r'LayerNorm\.gamma$', 'LayerNorm.weight', name)
        return re.sub(r'LayerNorm\.beta$', 'LayerNorm.bias', name), tensor


def read_bert_weights(pretrained: str) -> StateDict:
    """Read the weights of a pretrained BERT, in BertModel's names.

    Args:
        pretrained (str): Folder or hub name; ``model.safetensors`` goes
            before ``pytorch_model.bin``.

    Returns:
        dict[str, Tensor]: Names without prefix (``embeddings.``,
        ``encoder.``, ...), norms named weight and bias; no heads.

    Raises:
        FileNotFoundError: There are no weights; the message says what to set.
        ValueError: The file cannot be read as tensors, or nothing in it is
            of a BERT.
    """
    content = read_weights(
        find_weights(pretrained),
        if_trusted='load it and save its state dict once with torch')
    given, adapter = find_state_dict(content), BertNames()
    if not adapter.matches(given):
        raise ValueError(
            f"Nothing in the weights of '{pretrained}' matches a BERT: its "
            f'tensors are named like {name_some(list(given))}.')
    renamed = (adapter.rename(*item) for item in given.items())
    return dict(item for item in renamed if item is not None)


def load_bert_weights(bert: BertModel, pretrained: str) -> None:
    """Load the weights of a folder or hub name into a BERT.

    Heads are ignored, and so are layers that the file has beyond those of
    ``bert``, which are named in the log.

    Args:
        bert (BertModel): The model, without pooler.
        pretrained (str): Folder or hub name.

    Raises:
        FileNotFoundError: There are no weights.
        ValueError: Nothing matches, a tensor is missing, or shapes differ.
    """
    given = read_bert_weights(pretrained)
    wanted = bert.state_dict()
    missing = [name for name in wanted if name not in given]
    if missing:
        raise ValueError(
            f"The weights of '{pretrained}' lack {len(missing)} tensors of "
            f'this BERT ({name_some(missing)}): make arch fit them.')
    for name, tensor in wanted.items():
        if tensor.shape != given[name].shape:
            raise ValueError(
                f"'{name}' has shape {tuple(given[name].shape)} in the "
                f"weights of '{pretrained}' and {tuple(tensor.shape)} in this "
                'BERT: make arch and vocab fit them.')
    bert.load_state_dict({name: given[name] for name in wanted})
    surplus = [name for name in given if name not in wanted]
    message = f"BERT: loaded {len(wanted)} tensors of '{pretrained}'"
    if surplus:
        message += (f'; left out {len(surplus)} that this BERT does not have '
                    f'({name_some(surplus)})')
    print_log(message + '.', 'current')

# Licensed under the Apache License, Version 2.0.
from mmengine.dataset import BaseDataset

from mmrefseg.registry import DATASETS


@DATASETS.register_module()
class ExchangedSentences:
    """A control: the sentences of each image change places among its refs.

    Every sentence of a ref is held against the mask of the next ref of the
    same image. A model that reads must do badly here; one that always takes
    the most striking thing does as well as before. Images with a single ref
    offer no exchange and are left out.

    Args:
        dataset (dict | BaseDataset): A dataset of refs, or its config.

    Raises:
        ValueError: No image has two refs.

    Example:
        >>> val = dict(type='RefCOCODataset', split='val', split_by='unc')
        >>> test_dataloader = dict(
        ...     dataset=dict(type='ExchangedSentences', dataset=val))
    """

    def __init__(self, *, dataset: dict | BaseDataset) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        self.dataset = dataset
        refs: dict[object, list] = {}
        for group in dataset.get_ref_groups():
            info = dataset.get_data_info(int(group[0]))
            refs.setdefault(info['image_id'], []).append(group)
        # (item whose image and mask are shown, item whose text is read)
        self._pairs = []
        for groups in refs.values():
            for shown, read in zip(groups, groups[1:] + groups[:1]):
                if shown is not read:
                    self._pairs += [(int(shown[0]), int(i)) for i in read]
        if not self._pairs:
            raise ValueError('No image of this dataset has two refs, so there '
                             'are no sentences to exchange.')

    @property
    def metainfo(self) -> dict:
        """dict: Meta information of the dataset inside."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> dict:
        """Give image and mask of one ref, and a sentence of another."""
        shown, read = self._pairs[index]
        item = self.dataset.get_data_info(shown)
        other = self.dataset.get_data_info(read)
        for key in ('text', 'sent_id', 'kind'):
            if key in other:
                item[key] = other[key]
        return self.dataset.pipeline(item)

# Licensed under the Apache License, Version 2.0.
"""How long a large dataset takes to load, and how much memory it holds.

Writes a set in the REFER layout of random polygons into a temporary folder
(by default 50,000 refs with 3 sentences each over 200,000 annotations, the
size of RefCOCO), loads it, and reads all items in worker processes.
"""

import argparse
import copy
import json
import multiprocessing
import os.path as osp
import pickle
import random
import sys
import tempfile
import time

from torch.utils.data import DataLoader, get_worker_info

from mmrefseg.datasets import RefCOCODataset

WORDS = ('left', 'right', 'man', 'woman', 'in', 'the', 'red', 'blue', 'shirt',
         'with', 'a', 'hat', 'next', 'to', 'dog', 'car')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--refs', type=int, default=50000)
    parser.add_argument('--annotations', type=int, default=200000)
    parser.add_argument('--sentences', type=int, default=3, help='per ref')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument(
        '--plain',
        action='store_true',
        help='for comparison, json.load and a list of dicts with their masks')
    return parser.parse_args()


def write_set(folder: str, refs: int, annotations: int,
              sentences: int) -> None:
    """Write ``instances.json``, ``refs(unc).p`` and one empty image file."""
    rng = random.Random(0)
    images = max(1, annotations // 10)

    def polygon() -> list[float]:
        # COCO's polygons have 25 corners or so, with two decimals.
        return [
            round(rng.uniform(0, 640), 2)
            for _ in range(2 * rng.randint(10, 40))
        ]

    with open(osp.join(folder, 'instances.json'), 'w') as file:
        file.write('{"images": ')
        json.dump([
            dict(id=i, file_name=f'{i:012d}.jpg', height=480, width=640)
            for i in range(images)
        ], file)
        file.write(', "annotations": [')
        for i in range(annotations):
            file.write(', ' if i else '')
            json.dump(
                dict(
                    id=i,
                    image_id=i % images,
                    category_id=1,
                    iscrowd=0,
                    area=100.,
                    bbox=[0., 0., 10., 10.],
                    segmentation=[polygon()]), file)
        file.write(']}')

    records = []
    for ref_id in range(refs):
        ann_id = ref_id * annotations // refs
        texts = []
        for sent_id in range(ref_id * sentences, (ref_id + 1) * sentences):
            words = rng.choices(WORDS, k=rng.randint(2, 6))
            text = ' '.join(words)
            texts.append(
                dict(sent_id=sent_id, raw=text, sent=text, tokens=words))
        records.append(
            dict(
                ref_id=ref_id,
                ann_id=ann_id,
                image_id=ann_id % images,
                category_id=1,
                split='train',
                sentences=texts,
                sent_ids=[x['sent_id'] for x in texts]))
    with open(osp.join(folder, 'refs(unc).p'), 'wb') as file:
        pickle.dump(records, file, protocol=2)
    open(osp.join(folder, f'{0:012d}.jpg'), 'w').close()


def memory() -> dict[str, float]:
    """MB of this process: all it holds, its peak, and what it shares with no
    other. Zeros where there is no Linux to ask."""
    values = dict(VmRSS=0., VmHWM=0., Private=0.)
    for path in ('/proc/self/status', '/proc/self/smaps_rollup'):
        if not osp.exists(path):
            continue
        with open(path) as file:
            for line in file:
                key = line.split(':')[0].split('_')[0]
                if key in values and line.rstrip().endswith('kB'):
                    values[key] += int(line.split()[1]) / 1024
    return values


class PlainDataset:
    """The plain way: everything parsed, and a mask in each item."""

    def __init__(self, folder: str) -> None:
        with open(osp.join(folder, 'instances.json')) as file:
            self.instances = json.load(file)
        with open(osp.join(folder, 'refs(unc).p'), 'rb') as file:
            self.refs = pickle.load(file)  # written above
        masks = {
            x['id']: x['segmentation']
            for x in self.instances['annotations']
        }
        self.items = [
            dict(text=sentence['raw'], segmentation=masks[ref['ann_id']])
            for ref in self.refs for sentence in ref['sentences']
        ]

    def __len__(self) -> int:
        return len(self.items)

    def get_data_info(self, index: int) -> dict:
        return copy.deepcopy(self.items[index])


class WorkerProbe:
    """Reads an item and says how much memory its worker holds alone."""

    def __init__(self, dataset) -> None:
        self.dataset = dataset
        self.first: float | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple:
        if self.first is None:
            self.first = memory()['Private']
        self.dataset.get_data_info(index)
        # Asking is slow, and one answer per batch is enough.
        if index % 1000 and index != len(self) - 1:
            return -1, 0., 0.
        return get_worker_info().id, self.first, memory()['Private']


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        writer = multiprocessing.get_context('spawn').Process(
            target=write_set,
            args=(folder, args.refs, args.annotations, args.sentences))
        writer.start()
        writer.join()
        if writer.exitcode:
            sys.exit('The set could not be written.')
        size = osp.getsize(osp.join(folder, 'instances.json')) / 2**20
        print(f'{args.refs} refs, {args.refs * args.sentences} sentences, '
              f'{args.annotations} annotations; instances.json {size:.0f} MB')

        before = memory()
        start, cpu_start = time.perf_counter(), time.process_time()
        if args.plain:
            dataset = PlainDataset(folder)
        else:
            dataset = RefCOCODataset(
                data_root=folder,
                data_prefix=dict(img_path=''),
                split='train',
                split_by='unc')
        seconds = time.perf_counter() - start
        cpu_seconds = time.process_time() - cpu_start
        after = memory()
        start = time.perf_counter()
        for index in range(0, len(dataset), 10):
            dataset.get_data_info(index)
        item = (time.perf_counter() - start) / (len(dataset) / 10)

    print(f'load:          {seconds:8.1f} s ({cpu_seconds:.1f} s of CPU)')
    print(f'peak:          {after["VmHWM"] - before["VmRSS"]:8.0f} MB '
          'above the memory before')
    print(f'held:          {after["VmRSS"] - before["VmRSS"]:8.0f} MB '
          'after loading')
    if not args.plain:
        print(f'masks:         {dataset.masks.nbytes / 2**20:8.0f} MB')
        print(f'items:         {dataset.data_bytes.nbytes / 2**20:8.0f} MB')
    print(f'one item:      {item * 1e6:8.0f} us')

    loader = DataLoader(
        WorkerProbe(dataset),
        batch_size=1000,
        num_workers=args.workers,
        collate_fn=list)
    grown = {}
    for batch in loader:
        for worker, first, now in batch:
            if worker >= 0:
                grown[worker] = now - first
    for worker, growth in sorted(grown.items()):
        print(f'worker {worker}:      {growth:8.1f} MB of its own more '
              'after reading its share of all items')


if __name__ == '__main__':
    main()

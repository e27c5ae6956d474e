# Licensed under the Apache License, Version 2.0.
"""Tables of published results, and the configs that are to meet them."""

import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, replace

import yaml

HERE = osp.dirname(osp.abspath(__file__))
ROOT = osp.dirname(osp.dirname(HERE))
TABLES = osp.join(HERE, 'tables.yml')


@dataclass(frozen=True)
class Row:
    """A model and a set: one training, tested on several splits.

    Attributes:
        name (str): Its name, such as 'refcoco+'.
        what (str): The set, in words.
        config (str): Path of its config.
        folder (str): Folder of its annotations, within the data.
        split_by (str): Which refs file of it.
        published (dict[str, float | None]): Published oIoU by split; None
            where there is none.
    """
    name: str
    what: str
    config: str
    folder: str
    split_by: str
    published: dict[str, float | None]

    @property
    def splits(self) -> list[str]:
        """list[str]: The splits that it is tested on."""
        return list(self.published)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name (str): Its name, such as 'table1'.
        title (str): What it is, in words.
        data (str): Where the data lies if nothing else is said.
        convention (str): How its published masks were compared, see
            ``ReferringIoUMetric``.
        rows (tuple[Row]): Its rows.
    """
    name: str
    title: str
    data: str
    convention: str
    rows: tuple[Row, ...]

    def only(self, names: Sequence[str] | None) -> 'Table':
        """The table with some of its rows.

        Args:
            names (Sequence[str], optional): Of the rows. None means all.

        Raises:
            ValueError: There is no such row.
        """
        if names is None:
            return self
        known = [row.name for row in self.rows]
        for name in names:
            if name not in known:
                raise ValueError(f'{self.name} has no row {name!r}: it has '
                                 f'{", ".join(known)}.')
        return replace(
            self, rows=tuple(x for x in self.rows if x.name in names))


def read_tables(path: str = TABLES) -> dict[str, Table]:
    """Read a list of tables.

    Args:
        path (str): A YAML file such as tools/reproduction/tables.yml.

    Returns:
        dict[str, Table]: By name.
    """
    with open(path, encoding='utf-8') as file:
        content = yaml.safe_load(file)
    return {
        name: Table(
            name=name,
            title=table['title'],
            data=table['data'],
            convention=table['convention'],
            rows=tuple(
                Row(name=row['row'],
                    what=row['what'],
                    config=osp.join(ROOT, 'configs', row['config']),
                    folder=row['folder'],
                    split_by=row['split_by'],
                    published=row['published']) for row in table['rows']))
        for name, table in content.items()
    }

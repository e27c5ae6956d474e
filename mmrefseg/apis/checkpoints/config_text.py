# Licensed under the Apache License, Version 2.0.
"""Configs in checkpoints: text that is read without being run."""

import ast
from typing import Any

from mmengine.config import Config


def parse_config_text(text: str) -> Config:
    """Read the text of a config as MMEngine prints it.

    Such a text is Python, and :meth:`Config.fromstring` runs it. A checkpoint
    may come from anywhere, so here it is only read: assignments of literals,
    lists, tuples, dicts and ``dict(...)``.

    Args:
        text (str): What ``Config.pretty_text`` gave.

    Returns:
        Config: The config.

    Raises:
        ValueError: The text holds anything else.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f'The config in the checkpoint is no text of a config: {error}.'
        ) from None
    values = {}
    for statement in statements:
        if (not isinstance(statement, ast.Assign)
                or len(statement.targets) != 1
                or not isinstance(statement.targets[0], ast.Name)):
            raise ValueError(_refusal(statement))
        values[statement.targets[0].id] = _value(statement.value)
    return Config(values)


class _DictCalls(ast.NodeTransformer):
    """Makes literals of ``dict(a=1)`` and ``dict({'a.b': 1}, c=2)``, as which
    MMEngine prints dicts."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict':
            return node
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for inner in node.args:
            if not isinstance(inner, ast.Dict):
                return node
            keys += inner.keys
            values += inner.values
        for keyword in node.keywords:
            keys.append(ast.Constant(keyword.arg) if keyword.arg else None)
            values.append(keyword.value)
        return ast.Dict(keys, values)


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(_DictCalls().visit(node))
    except (ValueError, TypeError):
        raise ValueError(_refusal(node)) from None


def _refusal(node: ast.AST) -> str:
    return ('The config in the checkpoint is more than plain values, at '
            f'`{ast.unparse(node)[:80]}`: give the config as a file.')

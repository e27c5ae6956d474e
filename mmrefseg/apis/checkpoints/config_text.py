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


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Dict):
        keys = [key for key in node.keys if key is not None]
        if len(keys) < len(node.keys):  # **of another dict
            raise ValueError(_refusal(node))
        return {_value(k): _value(x) for k, x in zip(keys, node.values)}
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_value(item) for item in node.elts)
    if isinstance(node, ast.Call) and _makes_plain_dict(node):
        # MMEngine prints keys that are no names as dict({...}).
        result = _value(node.args[0]) if node.args else {}
        result.update((keyword.arg, _value(keyword.value))
                      for keyword in node.keywords)
        return result
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise ValueError(_refusal(node)) from None


def _makes_plain_dict(node: ast.Call) -> bool:
    return (isinstance(node.func, ast.Name) and node.func.id == 'dict'
            and len(node.args) <= 1
            and all(isinstance(arg, ast.Dict) for arg in node.args)
            and all(keyword.arg is not None for keyword in node.keywords))


def _refusal(node: ast.AST) -> str:
    return ('The config in the checkpoint is more than plain values, at '
            f'`{ast.unparse(node)[:80]}`: give the config as a file.')

# Licensed under the Apache License, Version 2.0.
"""The parts of tools/reproduce.py: tables, runs, commands, costs, reports."""

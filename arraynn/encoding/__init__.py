"""Encodes tables as a network's inputs and targets. The encoding of each column is a value, saved with the model."""

from ._columns import CategoryColumn, DateColumn, EmbeddedColumn, FlagColumn, LeftOut, NumberColumn
from ._frame import Column, Table, as_table, checked_names, is_table, of_objects
from ._learn import Learnt, learn, learn_target, order_of
from ._rules import RULES, rules_table
from ._table import Parts, TableEncoding, forget, rows_of_table
from ._targets import ClassTarget, Places, ValueTarget
from ._values import MISSING, is_missing, is_padded, number

__all__ = [
    "MISSING",
    "RULES",
    "CategoryColumn",
    "ClassTarget",
    "Column",
    "DateColumn",
    "EmbeddedColumn",
    "FlagColumn",
    "Learnt",
    "LeftOut",
    "NumberColumn",
    "Parts",
    "Places",
    "Table",
    "TableEncoding",
    "ValueTarget",
    "as_table",
    "checked_names",
    "forget",
    "is_missing",
    "is_padded",
    "is_table",
    "learn",
    "learn_target",
    "number",
    "of_objects",
    "order_of",
    "rows_of_table",
    "rules_table",
]

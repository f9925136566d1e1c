"""What the tests of the page share, besides what they import: installed once."""

from tests.support.node import node_modules

__all__ = ["node_modules"]

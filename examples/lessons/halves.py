"""The half of a module that serves some of its paths: what `/broken` needs, or what `/fixed` needs."""

import ast
from collections.abc import Collection, Iterator


def half(source: str, others: Collection[str]) -> str:
    """The code of a module without what serves nothing but the `others` among its paths."""
    tree = ast.parse(source)
    statements = [each for each in tree.body[1:] if not isinstance(each, ast.If)]
    needed = [each for each in statements if routes(each) - {*others}]
    for each in needed:  # which grows meanwhile
        names = used(each)
        needed += [other for other in statements if other not in needed and defined(other) & names]
    return "\n".join(pieces(source, statements, needed)).strip() + "\n"


def pieces(source: str, statements: list[ast.stmt], needed: list[ast.stmt]) -> Iterator[str]:
    """The needed statements, with the comments and blank lines before them; of imports what is used."""
    lines = source.splitlines()
    names = {name for each in needed if not is_import(each) for name in used(each)}
    end = statements[0].lineno - 1
    blank: list[str] = []  # before statements that are left out
    for each in statements:
        first, last = first_line(each), each.end_lineno or each.lineno
        before, end = lines[end : first - 1], last
        if each not in needed or (is_import(each) and not defined(each) & names):
            blank = max(blank, [line for line in before if not line], key=len)
            continue
        yield from blank[len(before) :]
        yield from before
        yield from [import_of(each, names)] if is_import(each) else lines[first - 1 : last]
        blank = []


def first_line(statement: ast.stmt) -> int:
    """Where a statement begins, with its decorators."""
    return min([statement.lineno, *(each.lineno for each in decorators(statement))])


def decorators(statement: ast.stmt) -> list[ast.expr]:
    """Those of a function or class."""
    found: list[ast.expr] = getattr(statement, "decorator_list", [])
    return found


def is_import(statement: ast.stmt) -> bool:
    """Whether it imports."""
    return isinstance(statement, ast.Import | ast.ImportFrom)


def import_of(statement: ast.stmt, names: set[str]) -> str:
    """An import of nothing but these names."""
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    statement.names = [each for each in statement.names if (each.asname or each.name) in names]
    return ast.unparse(statement)


def defined(statement: ast.stmt) -> set[str]:
    """The names that a top-level statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name for each in names}
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def used(statement: ast.stmt) -> set[str]:
    """The names that it uses."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def routes(statement: ast.stmt) -> set[str]:
    """The paths that it serves, as `@app.get(path)` or `app.mount(path, …)`."""
    candidates = [statement.value] if isinstance(statement, ast.Expr) else decorators(statement)
    return {
        str(call.args[0].value)
        for call in candidates
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
    }

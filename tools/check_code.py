"""Checks a package: functions under 40 lines, files under 400, no import cycles between its modules."""

import ast
import sys
from pathlib import Path

import grimp

FUNCTION_LINES, FILE_LINES = 40, 400


def long_parts(path: Path) -> list[str]:
    """What is too long in a file."""
    text = path.read_text()
    found = []
    if text.count("\n") >= FILE_LINES:
        found.append(f"{path}: {text.count(chr(10))} lines, the limit is {FILE_LINES}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length >= FUNCTION_LINES:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines, the limit is {FUNCTION_LINES}")
    return found


def cycles(package: str) -> list[str]:
    """Import cycles between modules of the package; a package's own `__init__` re-exports do not count."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True)
    imports = {
        module: {m for m in graph.find_modules_directly_imported_by(module) if m.startswith(package)}
        for module in graph.modules
    }
    found, done = [], set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            found.append("import cycle: " + " -> ".join((*trail[trail.index(module) :], module)))
        elif module not in done:
            for imported in sorted(imports.get(module, ())):
                visit(imported, (*trail, module))
            done.add(module)

    for module in sorted(graph.modules):
        visit(module, ())
    return found


def main(folder: str) -> int:
    """The number of complaints, printed one a line."""
    complaints = [c for path in sorted(Path(folder).rglob("*.py")) for c in long_parts(path)] + cycles(
        Path(folder).name
    )
    print("\n".join(complaints) or f"{folder}: sizes and imports are in order")
    return min(1, len(complaints))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

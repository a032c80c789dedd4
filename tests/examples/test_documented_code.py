"""Code in the documentation names what it imports: every class and module in it is imported on its page."""

import ast
import builtins
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    (page.name, block)
    for page in PAGES
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if "receive_…" not in block  # a signature, and no code
]
OURS = {
    *("os", "ssl", "time", "asyncio", "anyio", "json", "monotonic", "partial"),
    *("carry", "connect_station", "connection_url", "files", "open_rpc", "peer_certificate", "recording"),
    *("secret_file", "serve", "telling"),
}
"""What has to be imported, beside classes."""


def parsed(block: str) -> ast.Module:
    """A block, which may await and yield outside of functions, and may leave arguments out."""
    module = compile(
        block.replace("(…)", "()").replace("=…", "=None"),
        "documentation",
        "exec",
        ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    assert isinstance(module, ast.Module)
    return module


def imports(block: str) -> list[ast.stmt]:
    return [it for it in ast.walk(parsed(block)) if isinstance(it, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_what_is_imported_is_there(page: str, block: str) -> None:
    for statement in imports(block):
        exec(ast.unparse(statement), {})


@pytest.mark.parametrize("page", dict.fromkeys(page for page, _ in BLOCKS))
def test_what_is_used_is_imported(page: str) -> None:
    known = set(dir(builtins))
    for block in (block for name, block in BLOCKS if name == page):
        for node in ast.walk(parsed(block)):
            match node:
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    known |= {(name.asname or name.name).partition(".")[0] for name in names}
                case ast.ClassDef(name=name):
                    known.add(name)
        used = {node.id for node in ast.walk(parsed(block)) if isinstance(node, ast.Name)}
        assert {name for name in used if name[0].isupper() or name in OURS} <= known, block

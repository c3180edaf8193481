"""Python files of a user: read once, run as modules, and sent as text to every process that needs them.

``PATH/FILE.py:NAME`` may stand on a command line wherever a built-in name may. A cell is measured in another process,
maybe on another machine or after the file was edited; pickling therefore carries the content of the file. cloudpickle
would carry classes and functions without a module, but torch.compile looks modules up.
"""

from __future__ import annotations

import difflib
import hashlib
import pickle
import re
import sys
import traceback
import types
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import INSTALLED
from ..utils.errors import UserError, in_a_line
from ..utils.terminal import stdout_to_stderr

NAME = re.compile(r"[A-Za-z_]\w*")
REFERENCE = re.compile(rf"(?P<path>[^(),=]*\.py):(?P<name>{NAME.pattern})")
MENTION = re.compile(r"\.py\b")
"""Matches any call that names a file; calls of built-in names hold no attributes."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LARGEST = 1_000_000
"""Bytes of a file."""
CHECKOUT = {"solvers": "eqgrad", "bench": "eqgrad.bench", "theory_checks": "eqgrad.theory_checks"}
"""Packages by their names in a checkout."""
PREFIX = "eqgrad_own_"
"""Beginning of the names of modules made from users' files."""


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file as it was when it was read; pickling carries the content.

    Attributes:
        file: name without the folder.
        path: where it was read, for tracebacks.
        content: bytes of the file.
    """

    file: str
    path: str = field(compare=False, repr=False)
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the content, 16 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    @property
    def module_name(self) -> str:
        """Name of its module in ``sys.modules``."""
        return f"{PREFIX}{self.digest}"

    def module(self) -> types.ModuleType:
        """Run the file, once in a process. Returns its module. Raises whatever the file raises."""
        if self.module_name in sys.modules:
            return sys.modules[self.module_name]
        module = types.ModuleType(self.module_name)
        module.__file__ = self.path
        # Before the file runs: dataclasses look their module up by name, as pickle does later.
        sys.modules[self.module_name] = module
        try:
            with stdout_to_stderr():
                exec(compile(self.content, self.path, "exec"), module.__dict__)
        except BaseException:
            del sys.modules[self.module_name]
            raise
        return module

    def __reduce__(self) -> tuple[Callable[..., UserFile], tuple[str, str, bytes]]:
        return _unpickle, (self.file, self.path, self.content)


def _unpickle(file: str, path: str, content: bytes) -> UserFile:
    # What is unpickled after the file may need its module.
    source = UserFile(file, path, content)
    source.module()
    return source


def forget_modules() -> None:
    """Remove the modules of users' files from ``sys.modules``, so that the files run again when needed."""
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        del sys.modules[name]


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """A call whose references to files were looked up.

    Attributes:
        text: the call, with names in place of references.
        factories: the callables of these names.
        sources: the files that define them.
    """

    text: str
    factories: dict[str, Callable[..., Any]]
    sources: tuple[UserFile, ...]


def resolve(text: str) -> ResolvedCall:
    """Look up every reference ``PATH/FILE.py:NAME`` in a call.

    Raises:
        UserError: there is no such file or name, a file raises, or two files define the same name.
    """
    factories: dict[str, Callable[..., Any]] = {}
    sources: dict[UserFile, None] = {}
    plain, rest = "", text.strip()
    while (reference := _first_reference(rest)) is not None:
        path, name, start, end = reference
        source, factory = load_name(path, name)
        if factories.setdefault(name, factory) is not factory:
            raise UserError(f"{text!r}: two files define {name}: give one of them another name")
        sources[source] = None
        plain, rest = plain + rest[:start] + name, rest[end:]
    plain += rest
    if MENTION.search(plain):
        raise UserError(f"{text!r}: write PATH/FILE.py:NAME, or a call of that")
    return ResolvedCall(plain, factories, tuple(sources))


def _first_reference(text: str) -> tuple[str, str, int, int] | None:
    """Path, name, start and end of the first reference; ``None`` if there is none."""
    # A path may hold commas and parentheses: if all of the text before the colon is a file, it is the path.
    path, _, after = text.partition(".py:")
    if (name := NAME.match(after)) is not None and is_file(f"{path}.py"):
        return f"{path}.py", name[0], 0, len(path) + len(".py:") + len(name[0])
    if (match := REFERENCE.search(text)) is None:
        return None
    path = match["path"].strip()
    return path, match["name"], match.start() + match["path"].index(path), match.end()


def load_name(path: str, name: str) -> tuple[UserFile, Callable[..., Any]]:
    """Run a file. Returns it, and the callable that it calls ``name``.

    Raises:
        UserError: there is no such file, it raises, or it defines no callable of that name.
    """
    if not is_file(path):
        raise UserError(f"there is no Python file {path}")
    file = Path(path).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise UserError(f"{path} has {len(content)} bytes, more than {LARGEST}: it cannot be a file of code")
    source = UserFile(file.name, str(file.resolve()), content)
    try:
        module = source.module()
    except (Exception, SystemExit) as error:
        raise UserError(f"{path}: the file raises {error_text(error, (source,))}") from error
    factory = getattr(module, name, None)
    if not callable(factory):
        names = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"{path}: the file defines no function {name}{hint}")
    return source, factory


def is_file(path: str) -> bool:
    """Whether a path, which may begin with ``~``, is a file; false for impossible paths."""
    try:
        return Path(path).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # too long, home of an unknown user, or a zero byte
        return False


def error_text(error: BaseException, sources: tuple[UserFile, ...]) -> str:
    """Describe an error of a user's file in a line: ``ValueError: no luck (line 3 of mine.py)``."""
    files = {source.path: source.file for source in sources}
    # A file of the same content may have been run earlier from another path, which then stands in tracebacks.
    files |= {
        str(sys.modules[s.module_name].__file__): s.file for s in sources if s.module_name in sys.modules
    }
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno} of {files[error.filename]})"
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    place = f" (line {lines[-1].lineno} of {files[lines[-1].filename]})" if lines else ""
    return in_a_line(error) + place + _name_here(error)


def _name_here(error: BaseException) -> str:
    """The name of a package of this project, where a file imports the name that it has elsewhere."""
    top = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if INSTALLED and top in CHECKOUT:
        return f": where eqgrad is installed it is {CHECKOUT[top]}"
    return ": a checkout has it after pip install -e ." if top == "eqgrad" and not INSTALLED else ""


@contextmanager
def blame_user_files(what: str, sources: tuple[UserFile, ...]) -> Generator[None]:
    """Re-raise exceptions as ``UserError`` if there are files of the user; print their output to standard error."""
    try:
        with stdout_to_stderr():
            yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if not sources:
            raise
        raise UserError(f"{what} raises {error_text(error, sources)}") from error


def check_portable(value: object, text: str, sources: tuple[UserFile, ...]) -> None:
    """Raise ``UserError`` if a value cannot be pickled, or if its ``repr``, part of keys of records, is not stable."""
    try:
        copy = pickle.loads(pickle.dumps(value))
    except Exception as error:
        raise UserError(
            f"{text} cannot be sent to the process of a cell: define its classes and functions at the top of the file "
            f"({error_text(error, sources)})"
        ) from error
    words = repr(value)
    if (address := ADDRESS.search(words)) is not None or repr(copy) != words:
        part = words[max(0, address.start() - 40) : address.end()] if address else words[:80]
        raise UserError(
            f"{text} prints as another text in every process (…{part}…): "
            "make its parts frozen dataclasses, which print their settings"
        )

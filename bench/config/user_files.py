"""A file of a user's own: read once, run as a module, and carried as text to every process that needs what it defines.

A reference, ``PATH/FILE.py:NAME``, may stand on a command line wherever a name of a roster may. A cell is measured in
another process, maybe on another machine and after the file was edited: what travels there is the file's content.
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

from ..utils.errors import UserError, in_a_line
from ..utils.terminal import stdout_to_stderr

REFERENCE = re.compile(r"(?P<path>[^(),=]*\.py):(?P<name>[A-Za-z_]\w*)")
MENTION = re.compile(r"\.py\b")
"""What no call of a roster holds, for it has no attributes."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LARGEST = 1_000_000
"""Bytes of a file."""
PREFIX = "eqgrad_own_"
"""Of the names of their modules."""


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file as it was when it was read; pickling it carries the content.

    Attributes:
        file: its name, without the folder.
        path: where it was, for the lines of a traceback.
        content: all of it.
    """

    file: str
    path: str = field(compare=False, repr=False)
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """Of the content, 16 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Of its module."""
        return f"{PREFIX}{self.digest}"

    def module(self) -> types.ModuleType:
        """The module that it makes, the same one each time. Raises what the file raises."""
        if self.name in sys.modules:
            return sys.modules[self.name]
        module = types.ModuleType(self.name)
        module.__file__ = self.path
        # Dataclasses look their module up by name, and so does pickle.
        sys.modules[self.name] = module
        try:
            with stdout_to_stderr():
                exec(compile(self.content, self.path, "exec"), module.__dict__)
        except BaseException:
            del sys.modules[self.name]
            raise
        return module

    def __reduce__(self) -> tuple[Callable[..., UserFile], tuple[str, str, bytes]]:
        return _carried, (self.file, self.path, self.content)


def forget_modules() -> None:
    """Drop the modules of users' files: the next time one is needed, its file is run anew."""
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        del sys.modules[name]


def _carried(file: str, path: str, content: bytes) -> UserFile:
    """A source in another process, whose module is there for what is unpickled after it."""
    source = UserFile(file, path, content)
    source.module()
    return source


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call whose references were looked up.

    Attributes:
        text: the call, with names in place of references.
        made: the factories, by these names.
        sources: the files that they are from.
    """

    text: str
    made: dict[str, Callable[..., Any]]
    sources: tuple[UserFile, ...]


def taken(text: str) -> ParsedCall:
    """Look up every reference in a call.

    Raises:
        UserError: there is no such file or name, the file raises, or two files give the same name.
    """
    made: dict[str, Callable[..., Any]] = {}
    sources: dict[UserFile, None] = {}
    plain, rest = "", text.strip()
    while rest:
        path, name, start, end = _next(rest)
        if not name:
            plain += rest
            break
        source, make = look_up(path, name)
        if made.get(name, make) is not make:
            raise UserError(f"{text!r}: two files define {name}: give one of them another name")
        made[name] = make
        sources[source] = None
        plain, rest = plain + rest[:start] + name, rest[end:]
    if MENTION.search(plain):
        raise UserError(f"{text!r}: write PATH/FILE.py:NAME, or a call of that")
    return ParsedCall(plain, made, tuple(sources))


def _next(rest: str) -> tuple[str, str, int, int]:
    """Path, name and place of the first reference; no name where there is none."""
    # A path may hold what has a meaning in a call: where all before the colon is a file, it is meant.
    path, _, after = rest.partition(".py:")
    name = re.match(r"[A-Za-z_]\w*", after)
    if name is not None and is_file(f"{path}.py"):
        return f"{path}.py", name[0], 0, len(path) + len(".py:") + len(name[0])
    found = REFERENCE.search(rest)
    if found is None:
        return "", "", 0, 0
    path = found["path"].strip()
    return path, found["name"], found.start() + found["path"].index(path), found.end()


def look_up(path: str, name: str) -> tuple[UserFile, Callable[..., Any]]:
    """What a file calls ``name``, and the file.

    Raises:
        UserError: there is no such file, it raises, or it defines nothing callable of that name.
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
        raise UserError(f"{path}: the file raises {told(error, (source,))}") from error
    make = getattr(module, name, None)
    if not callable(make):
        there = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
        near = difflib.get_close_matches(name, there, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"{path}: the file defines no function {name}{hint}")
    return source, make


def is_file(path: str) -> bool:
    """Whether there is a file of that name, ``~`` included; of a name that cannot be there is none."""
    try:
        return Path(path).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # too long, of nobody's home, or with a zero byte in it
        return False


def told(error: BaseException, sources: tuple[UserFile, ...]) -> str:
    """``ValueError: no luck (line 3 of mine.py)``: an error of a user's file, in a line."""
    text = in_a_line(error)
    files = {source.path: source.file for source in sources}
    # The same content may have been read elsewhere before, and its lines are those of that place.
    files |= {str(sys.modules[s.name].__file__): s.file for s in sources if s.name in sys.modules}
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno} of {files[error.filename]})"
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    return f"{text} (line {lines[-1].lineno} of {files[lines[-1].filename]})" if lines else text


@contextmanager
def blamed(what: str, sources: tuple[UserFile, ...]) -> Generator[None]:
    """Whatever a user's files raise in here becomes a ``UserError``; errors of the project's own code pass.

    What they print goes to standard error.
    """
    try:
        with stdout_to_stderr():
            yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if not sources:
            raise
        raise UserError(f"{what} raises {told(error, sources)}") from error


def check_portable(value: object, text: str, sources: tuple[UserFile, ...]) -> None:
    """Raise ``UserError`` for a value that another process could not have, or would not know for the same."""
    try:
        again = pickle.loads(pickle.dumps(value))
    except Exception as error:
        raise UserError(
            f"{text} cannot be sent to the process of a cell: define its classes and functions at the top of the file "
            f"({told(error, sources)})"
        ) from error
    shown = repr(value)
    if (found := ADDRESS.search(shown)) is not None or repr(again) != shown:
        near = shown[max(0, found.start() - 40) : found.end()] if found else shown[:80]
        raise UserError(
            f"{text} prints as another text in every process (…{near}…): "
            "make its parts frozen dataclasses, which print their settings"
        )

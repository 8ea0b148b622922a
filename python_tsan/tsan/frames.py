"""Decide which frames of a stack matter, and spell a symbol the same for every compiler."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from python_tsan.tsan.finding import Access, Acquisition, Frame, Mutex, Stack, Thread


class HasStacks(Protocol):
    """The parts of a finding that have stacks."""

    @property
    def accesses(self) -> tuple[Access, ...]: ...  # noqa: D102 -- as of Finding
    @property
    def acquisitions(self) -> tuple[Acquisition, ...]: ...  # noqa: D102 -- as of Finding
    @property
    def stacks(self) -> tuple[Stack, ...]: ...  # noqa: D102 -- as of Finding
    @property
    def threads(self) -> tuple[Thread, ...]: ...  # noqa: D102 -- as of Finding
    @property
    def mutexes(self) -> tuple[Mutex, ...]: ...  # noqa: D102 -- as of Finding


# Frames come again and again; what is known of so many of them is remembered.
REMEMBERED = 1 << 13
# Files and modules of the runtime itself, as FrameIsInternal of tsan_report.cpp and its GCC fork know them.
_RUNTIME_FILE = re.compile(
    r"(?:^|/)(?:tsan_(?:interceptors|interface|new_delete|rtl|external)|sanitizer_common)|/libsanitizer/"
)
_RUNTIME_MODULE = re.compile(r"(?:^|/)(?:libtsan\.so|libclang_rt\.tsan)")
_RUNTIME_SYMBOL = re.compile(r"_{2,3}(?:interceptor|tsan|sanitizer)_|wrap_(?=\w)|__(?:tsan|sanitizer)::")
# Clang links its runtime into the program without line tables: an interceptor is then a libc name with no file.
_LIBC_NAME = re.compile(
    r"mem(?:cpy|move|set|cmp|chr|rchr|mem|align|pcpy)|b(?:cmp|copy|zero)|(?:str|wcs)n?(?:len|cpy|cat|cmp|casecmp|chr|rchr|str|dup)"
    r"|[cm]alloc|(?:re|p?v)alloc(?:array)?|v?free|posix_memalign|aligned_alloc|operator (?:new|delete)(?:\[\])?\(.*\)"
    r"|(?:pthread|sem|mtx|cnd|thrd|epoll)_\w+|p?(?:read|write)v?(?:64)?|(?:open|creat)(?:at)?(?:64)?|close(?:dir)?"
    r"|socket(?:pair)?|accept4?|connect|bind|listen|dup[23]?|pipe2?|eventfd|(?:send|recv)(?:msg|to|from|mmsg)?"
    r"|f(?:open|close|read|write|flush|dopen|reopen)(?:64)?|v?s?n?f?printf|(?:u|nano)?sleep|raise|kill|abort|atexit"
    r"|on_exit|__cxa_\w+|(?:sig)?longjmp|_?setjmp|sigaction|signal|v?fork|mmap(?:64)?|munmap|call_once|getaddrinfo"
    r"|gethost\w+|rmdir|tmpfile|unlink|p?poll|select|realpath|[lf]?stat(?:64)?|inet_(?:ntop|pton|aton)|getnameinfo"
    r"|get(?:sock|peer)name|getsockopt|get(?:cwd|random|entropy|ifaddrs|rlimit)|if_(?:indextoname|nametoindex)|ioctl"
    r"|clock_get(?:time|res)|gettimeofday|(?:gm|local|c|asc|mk|strp)time(?:_r)?|time|readdir(?:64)?(?:_r)?|readlink(?:at)?"
    r"|opendir|scandir(?:64)?|mem(?:mem|rchr)|str(?:spn|cspn|pbrk|tok|xfrm|error(?:_r)?|casestr|chrnul|to[iu]max)"
    r"|(?:mbs|wcs)n?r?to(?:wcs|mbs)|wcrtomb|iconv|qsort(?:_r)?|bsearch|v?s?scanf|getline|getdelim|puts|fgets|fputs"
    r"|sched_getaffinity|sig(?:wait(?:info)?|timedwait|procmask|suspend|altstack)|dl_iterate_phdr|dlopen|dlclose"
    r"|getpw\w+|getgr\w+|uname|sysinfo|times|wait(?:pid|id|3|4)?"
)
# The standard library's own sources, and the counters and atomics that everything in CPython goes through: where an
# access happens, never why.
_PLUMBING_FILE = re.compile(r"/c\+\+/(?:v?\d+)(?:\.\d+)*/|(?:^|/)(?:pyatomic|refcount)\w*\.h$")
_PLUMBING_SYMBOL = re.compile(
    r"(?:std|__gnu_cxx|__cxxabiv1)::|__?(?:atomic|sync)_|_?Py_(?:X?(?:IN|DE)CREF|atomic_|SET_|REFCNT)\w*"
)


def is_interceptor(frame: Frame) -> bool:
    """Return whether a frame is the runtime's interceptor of a library function, or the runtime itself."""
    return _is_interceptor(frame.symbol, frame.module, frame.file)


@lru_cache(REMEMBERED)
def _is_interceptor(symbol: str, module: str, file: str) -> bool:
    if _RUNTIME_SYMBOL.match(symbol) or _is_runtime_module(module) or _is_runtime_file(file):
        return True
    return not file and bool(_LIBC_NAME.fullmatch(symbol))


# There are far fewer modules and files than frames.
@lru_cache(REMEMBERED)
def _is_runtime_module(module: str) -> bool:
    return bool(_RUNTIME_MODULE.search(module))


@lru_cache(REMEMBERED)
def _is_runtime_file(file: str) -> bool:
    return bool(_RUNTIME_FILE.search(file))


def is_plumbing(frame: Frame) -> bool:
    """Return whether a frame belongs to the C++ standard library or to the primitives that CPython is made of."""
    return _is_plumbing(frame.symbol, frame.file)


@lru_cache(REMEMBERED)
def _is_plumbing(symbol: str, file: str) -> bool:
    return _is_plumbing_file(file) or bool(_PLUMBING_SYMBOL.match(plain_symbol(symbol)))


@lru_cache(REMEMBERED)
def _is_plumbing_file(file: str) -> bool:
    return bool(_PLUMBING_FILE.search(file))


def identifying_stacks(finding: HasStacks) -> tuple[Stack | None, ...]:
    """Return the stacks that identify a finding: of its accesses, else of its acquisitions, else the best there are."""
    if finding.stacks and not finding.accesses and not finding.acquisitions:
        return finding.stacks
    parts = finding.accesses or finding.acquisitions or finding.threads or finding.mutexes
    return tuple(part.stack for part in parts)


def top_frame(stack: Stack | None) -> Frame | None:
    """Return the innermost frame that is no interceptor, the innermost of all if every one is, None without frames."""
    frames = stack.frames if stack else ()
    return next((frame for frame in frames if not is_interceptor(frame)), frames[0] if frames else None)


def frame_function(access: Access) -> str:
    """Return the symbol of an access's topmost frame that is no interceptor, as printed.

    Without a symbol it is ``module+0xoffset``, without a stack an empty string.
    """
    frame = top_frame(access.stack)
    if frame is None:
        return ""
    return frame.symbol or (f"{frame.module}+{frame.offset:#x}" if frame.offset is not None else frame.module)


def identifying_frame(stack: Stack | None) -> Frame | None:
    """Return the frame that identifies a stack: the innermost that is neither an interceptor nor plumbing.

    Without such a frame it is the best other one, and None without frames. A Python frame identifies only a stack that
    has no other: a thread may wait for the GIL in any of them.
    """
    frames = stack.frames if stack else ()
    frames = tuple(frame for frame in frames if not frame.python) or frames
    outside = None
    for frame in frames:
        if is_interceptor(frame):
            continue
        if frame.symbol and not is_plumbing(frame):
            return frame
        outside = outside or frame
    return outside or next(iter(frames), None)


# foo[abi:cxx11](int), foo(int) [clone .isra.0], foo(int) (.constprop.0), foo.part.1, foo::h0123456789abcdef
_DECORATION = re.compile(
    r"\[abi:\w+\]|\s*\[clone [^\]]*\]|\s*\(\.[\w.]+\)|(?:\.(?:isra|part|constprop|cold|llvm|lto_priv)(?:\.\d+)*)+$"
    r"|::h[0-9a-f]{16}$"
)
# main::$_0::operator()() const, main::{lambda(int)#1}::operator()(int) const, f()::'lambda0'(int)::operator()
_LAMBDA = re.compile(r"\$_\d+|\{lambda\([^{}]*\)#\d+\}|'lambda\d*'(?:\([^()]*\))?|\(anonymous class\)|\{closure#\d+\}")
# operator()(int), operator<<(a, b), operator->(), operator new(unsigned long), operator bool()
_OPERATOR = re.compile(r"\boperator\s*(\(\)|<=>|<<=?|>>=?|->\*?|[<>]=?|(?:new|delete)(?:\[\])?|[\w:]+(?=\())")
_QUALIFIERS = re.compile(r"(?:\s+(?:const|volatile|noexcept|&{1,2}))+\s*$|\s+(?:const|volatile)(?=::)")
_INNERMOST = re.compile(r"<[^<>()]*>|\([^<>()]*\)")
_ANGLE = {"<": "lt", ">": "gt", "(": "call", ")": ""}


# Beyond these a symbol is not a compiler's.
MAX_SYMBOL = 16_384
MAX_NESTING = 100


@lru_cache(REMEMBERED)
def plain_symbol(symbol: str) -> str:
    """Spell a symbol so that Clang's and GCC's demanglers agree: qualified name, no types, arguments or clones.

    Overloads and instances of one template become one name; that is the price of two compilers agreeing. So is the
    scope of what is in an unnamed namespace or in a lambda: GCC gives such functions no linkage name, and its
    runtime then prints the last part of the name alone.
    """
    name = symbol[:MAX_SYMBOL]
    if "[" in name or "." in name or "::h" in name:
        name = _DECORATION.sub("", name)
    name = name.replace("(anonymous namespace)", "{anonymous}")
    if "$" in name or "{" in name or "'" in name or "(anonymous class)" in name:
        name = _LAMBDA.sub("{lambda}", name)
    if "operator" in name:
        name = _OPERATOR.sub(_spell_operator, name)
    for _ in range(MAX_NESTING):
        name, count = _INNERMOST.subn("", name)
        if not count:
            break
    if "const" in name or "&" in name or "volatile" in name or "noexcept" in name:
        name = _QUALIFIERS.sub("", name)
    name = name.strip().rpartition(" ")[2]
    return name.rpartition("::")[2] if "{anonymous}" in name or "{lambda}" in name else name


def _spell_operator(found: re.Match[str]) -> str:
    return "operator{" + "".join(_ANGLE.get(letter, letter) for letter in found[1]) + "}"

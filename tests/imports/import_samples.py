"""A sample scan, with everything that a rendering may have to show."""

from text_sources import TextSources

from python_tsan.imports.confirm import Answer, Proof, StackFrame, ThreadStack, Wait
from python_tsan.imports.document import document_of
from python_tsan.imports.model.program_model import Model
from python_tsan.imports.model.requests import ImportRequest, Manner, Module
from python_tsan.imports.model.rules import rules_of
from python_tsan.imports.model.steps import Phase, Point
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.scan import Finding, Scan
from python_tsan.imports.search.schedules import Hazard, Link

SOURCES = {"/site/a.py": "one\n\n    import c  # asks\n", "/site/c.py": "import b\n"}
HAZARD = Hazard(
    first="a",
    second="b",
    stop=Point(phase=Phase.EXECUTING, module="a"),
    awaited="a",
    closing="b",
    outcome=ImportOutcome.ERROR,
    chains=((Link(module="a", where=""), Link(module="c", where="/site/a.py:3")), (Link(module="b", where=""),)),
)
CONFIRMED = Proof(
    answer=Answer.CONFIRMED,
    seen=2,
    runs=3,
    at_least=0.135,
    outcome=ImportOutcome.ERROR,
    thread="T1",
    error="_DeadlockError: x|y<b>",
    where="/site/c.py:1",
    graph=(Wait(thread="T2", module="a", holder="T1"), Wait(thread="T1", module="b", holder="T2")),
    stacks=(
        ThreadStack(
            thread="T1",
            frames=(
                StackFrame(file="/site/a.py", line=3, function="<module>"),
                StackFrame(file="/site/c.py", line=1, function="<module>"),
            ),
        ),
        ThreadStack(thread="T2", frames=()),
    ),
)
REFUTED = Proof(answer=Answer.REFUTED, seen=0, runs=3)
NOT_REACHED = Proof(answer=Answer.NOT_REACHED, seen=0, runs=1)


def asks(module):
    return (ImportRequest(module=module, manner=Manner.BY_NAME, file="f.py", line=1),)


def scan_of(*proofs, problems=None, main=(), hazards=None):
    program = {name: Module(name=name, requests=asks(other)) for name, other in ("ac", "cb", "ba")}
    findings = tuple(
        Finding(hazard=hazard, proof=proof)
        for hazard, proof in zip(hazards or [HAZARD] * len(proofs), proofs, strict=True)
    )
    return Scan(
        python="3.13.0",
        entries=("a", "b"),
        modules=7,
        problems=problems or {},
        findings=findings,
        main=main,
        model=Model(program=program, rules=rules_of((3, 13, 0)), sources=TextSources(SOURCES)),
    )


def document(*proofs, **more):
    return document_of(scan_of(*proofs, **more))
